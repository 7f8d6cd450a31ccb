//go:build !race

package e2e_test

// raceFlags are empty: the tests are not built with the race detector either.
var raceFlags []string
