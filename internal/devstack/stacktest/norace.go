//go:build !race

package stacktest

// RaceFlags are empty: the tests are not built with the race detector either.
var RaceFlags []string
