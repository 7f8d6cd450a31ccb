// Package promtool has the tests of the alert rules and of the dashboard's
// expressions, with the parser and the engine of Prometheus itself, which come in
// its command promtool: as a library they would bring the whole module along.
// Those that need it are built with the tag `promtool` only, and then never
// skipped:
//
//	go test -tags promtool ./internal/promtool
//
// Whether the metrics that they name exist is tested by internal/e2e, on real
// processes.
package promtool
