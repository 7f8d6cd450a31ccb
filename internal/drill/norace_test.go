//go:build !race

package drill_test

// raceFlags are empty: the tests are not built with the race detector either.
var raceFlags []string
