package measure

import (
	"fmt"
	"io"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Counted is what a Temporal server has counted since it started.
type Counted struct {
	// All are the actions of its own metric. It counts the markers of a workflow
	// task as one, as the published rules do, and changes of the memo, which they do
	// not.
	All float64
	// Heartbeats are those of them that are heartbeats of activities: what the SDK
	// held back is not in it.
	Heartbeats float64
}

// ServerActions reads the metrics of a Temporal server in the text format of
// Prometheus. The error is about text that cannot be read.
func ServerActions(metrics io.Reader) (Counted, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return Counted{}, fmt.Errorf("metrics of Temporal: %w", err)
	}
	var sum Counted
	for _, metric := range families["action"].GetMetric() {
		value := metric.GetCounter().GetValue()
		sum.All += value
		if slices.ContainsFunc(metric.GetLabel(), isHeartbeat) {
			sum.Heartbeats += value
		}
	}
	return sum, nil
}

func isHeartbeat(label *dto.LabelPair) bool {
	return label.GetValue() == "grpc_RecordActivityTaskHeartbeat"
}
