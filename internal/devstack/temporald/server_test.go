package main

import (
	"testing"

	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
)

// What this program sets otherwise than a cluster holds, can be set to anything else, and with null is the server's own
// default again; whatever the case of the key.
func TestDynamicConfig(t *testing.T) {
	rates := map[string]dynamicconfig.GlobalIntSetting{
		"history.transferProcessorMaxPollRPS": dynamicconfig.TransferProcessorMaxPollRPS,
		"history.timerProcessorMaxPollRPS":    dynamicconfig.TimerProcessorMaxPollRPS,
		"history.outboundProcessorMaxPollRPS": dynamicconfig.OutboundProcessorMaxPollRPS,
	}
	for key, setting := range rates {
		for _, test := range []struct {
			args []string
			want int
		}{
			{nil, 2000},
			{[]string{key + "=20"}, 20},
			{[]string{key + "=2000", key + "=7"}, 7},
			{[]string{"HISTORY" + key[len("history"):] + "=7"}, 7},
			{[]string{key + "=7", "HISTORY" + key[len("history"):] + "=8"}, 8},
			{[]string{key + "=null"}, 20},
			{[]string{key + "=7", key + "=null"}, 20},
		} {
			if got := setting.Get(dynamicSettings(t, test.args))(); got != test.want {
				t.Errorf("%v: %s is %d, want %d", test.args, key, got, test.want)
			}
		}
	}
}

// Every setting that this program has for itself can be taken away.
func TestDynamicConfigTakenAway(t *testing.T) {
	var none []string
	for key := range dynamicDefaults {
		none = append(none, key+"=null")
	}
	settings := dynamicSettings(t, none)
	for name, test := range map[string]struct{ got, want any }{
		"pause": {dynamicconfig.WorkflowPauseEnabled.Get(settings)("game"), false},
		"cache": {dynamicconfig.HistoryCacheHostLevelMaxSize.Get(settings)(), 128000},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	if left := dynamicConfig(parsed(t, none)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func dynamicSettings(t *testing.T, values []string) *dynamicconfig.Collection {
	t.Helper()
	return dynamicconfig.NewCollection(dynamicConfig(parsed(t, values)), log.NewNoopLogger())
}

func parsed(t *testing.T, values []string) *options {
	t.Helper()
	var args []string
	for _, value := range values {
		args = append(args, "--dynamic-config-value", value)
	}
	o, err := parseOptions(args)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
