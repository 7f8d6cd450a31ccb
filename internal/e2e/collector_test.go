package e2e_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span is one that arrived.
type span struct {
	*tracepb.Span
	service string
}

func (s span) trace() string { return hex.EncodeToString(s.GetTraceId()) }

// took is how long the span was open.
func (s span) took() time.Duration {
	return time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano())
}

// attributes are all that the span says, as text.
func (s span) attributes() map[string]string {
	all := map[string]string{}
	for _, attribute := range s.GetAttributes() {
		all[attribute.GetKey()] = textOf(attribute.GetValue())
	}
	return all
}

func textOf(value *commonpb.AnyValue) string {
	if text, ok := value.GetValue().(*commonpb.AnyValue_StringValue); ok {
		return text.StringValue
	}
	return value.String()
}

// collector takes what processes send by OTLP over HTTP.
type collector struct {
	url string

	mu    sync.Mutex
	spans []span
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// ServeHTTP takes one batch.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	encoded, err := io.ReadAll(body)
	var batch collectorpb.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(encoded, &batch) != nil {
		http.Error(w, "not a batch of spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range batch.GetResourceSpans() {
		service := ""
		for _, attribute := range resource.GetResource().GetAttributes() {
			if attribute.GetKey() == "service.name" {
				service = textOf(attribute.GetValue())
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{Span: s, service: service})
			}
		}
	}
}

// of returns the spans of a trace that have arrived, first begun first.
func (c *collector) of(trace string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := slices.DeleteFunc(slices.Clone(c.spans), func(s span) bool { return s.trace() != trace })
	slices.SortStableFunc(spans, func(a, b span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	return spans
}

// tree draws the spans as a tree: name, service, and how long each took.
func tree(spans []span) string {
	known := map[string]bool{}
	for _, s := range spans {
		known[string(s.GetSpanId())] = true
	}
	var b strings.Builder
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		for _, s := range spans {
			above := string(s.GetParentSpanId())
			if !known[above] {
				above = ""
			}
			if above == parent {
				fmt.Fprintf(&b, "%-72s %-18s %8.1f ms\n", indent+s.GetName(), s.service, float64(s.took().Microseconds())/1000)
				draw(string(s.GetSpanId()), indent+"  ")
			}
		}
	}
	draw("", "")
	return b.String()
}
