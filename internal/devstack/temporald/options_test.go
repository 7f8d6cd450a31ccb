package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

// The command line that the Go SDK's test suite writes is understood in full.
func TestParseOptionsOfSDK(t *testing.T) {
	o, err := parseOptions([]string{
		"server", "start-dev", "--ip", "localhost", "--port", "7000", "--namespace", "game",
		"--dynamic-config-value", "frontend.enableServerVersionCheck=false",
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=7",
		"--dynamic-config-value", "some.text=plain words", "--dynamic-config-value", "some.share=0.5",
		"--log-level", "error", "--log-format", "json", "--db-filename", "x.db", "--search-attribute", "GameID=keyword",
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.address() != "127.0.0.1:7000" || o.uiAddress() != "127.0.0.1:8000" || o.headless || o.dbFile != "x.db" {
		t.Errorf("addresses and file: %+v", o)
	}
	if !slices.Equal(o.namespaces, []string{"default", "game"}) || o.retention != defaultRetention || o.retentionSet {
		t.Errorf("namespaces: %v, retention %v", o.namespaces, o.retention)
	}
	if o.attributes["GameID"] != enumspb.INDEXED_VALUE_TYPE_KEYWORD {
		t.Errorf("search attributes: %v", o.attributes)
	}
	want := map[string]any{
		"frontend.enableServerVersionCheck": false, "history.transferProcessorMaxPollRPS": 7,
		"some.text": "plain words", "some.share": 0.5,
	}
	if !maps.Equal(o.dynamicConfig, want) {
		t.Errorf("dynamic config: %v", o.dynamicConfig)
	}
}

// The bare program serves where people expect a dev server, and only there.
func TestParseOptionsDefaults(t *testing.T) {
	o, err := parseOptions([]string{"--retention", "48h"})
	if err != nil {
		t.Fatal(err)
	}
	if o.address() != "127.0.0.1:7233" || o.uiAddress() != "127.0.0.1:8233" {
		t.Errorf("addresses: %s, %s", o.address(), o.uiAddress())
	}
	if o.retention != 48*time.Hour || !o.retentionSet {
		t.Errorf("retention: %v", o.retention)
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--ip example.test":              "want IP addresses",
		"--port 0":                       "needs a port",
		"--ui-port 70000":                "not a port number",
		"--search-attribute GameID=Blob": "unknown type",
		"--search-attribute GameID":      "want NAME=VALUE",
		"--log-level loud":               "want one of",
		"--retention 5m":                 "an hour or more",
		"start-dev stray":                "unexpected argument",
		"--no-such-flag":                 "not defined",
	} {
		if _, err := parseOptions(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
