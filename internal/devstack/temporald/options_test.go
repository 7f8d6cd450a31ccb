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
		"--ip example.test":                             "want IP addresses",
		"--port 0":                                      "needs a port",
		"--ui-port 70000":                               "not a port number",
		"--search-attribute GameID=Blob":                "unknown type",
		"--search-attribute GameID":                     "want NAME=VALUE",
		"--log-level loud":                              "want one of",
		"--retention 5m":                                "an hour or more",
		"start-dev stray":                               "unexpected argument",
		"--no-such-flag":                                "not defined",
		"--shards 4":                                    "goes with --db-url",
		"--db-url mysql://u@h/d":                        "want postgres://",
		"--db-url postgres://u@h/d?dbname=e":            "belongs in the path",
		"--db-url postgres://u@h/d --shards 513":        "want 1 to 512",
		"--db-url postgres://u@h/d --shards -1":         "want 1 to 512",
		"--db-url postgres://u@h/d -f x.db":             "want one of them",
		"--db-url postgres://u@h/d --sqlite-pragma a=b": "want one of them",
	} {
		if _, err := parseOptions(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// A password among the arguments is refused however it is written, and not said again.
func TestParseOptionsHidesPassword(t *testing.T) {
	for _, given := range []string{
		"postgres://u:hush@h/d", "postgres://u@h/d?password=hush", "postgres://u:hu%shush@h/d", "u:hush@h/d", "host=h password=hush",
	} {
		_, err := parseOptions([]string{"--db-url", given})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", given, err)
		}
	}
}

// The URL goes to Postgres as it is, but for the database, which has a default.
func TestParseOptionsDatabase(t *testing.T) {
	for given, want := range map[string]string{
		"postgres://u@h:1/d?sslmode=disable": "postgres://u@h:1/d?sslmode=disable",
		"postgresql://h":                     "postgresql://h/temporal",
		"postgres:///a%20b?host=/run/pg":     "postgres:///a%20b?host=/run/pg",
	} {
		o, err := parseOptions([]string{"--db-url", given})
		if err != nil {
			t.Fatal(err)
		}
		if got := databaseURL(o, o.database()); got != want || o.inMemory() {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}
