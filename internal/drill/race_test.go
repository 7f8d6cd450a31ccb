//go:build race

package drill_test

// raceFlags build the binary under test with the race detector when the tests
// themselves are: the races that count are in its processes.
var raceFlags = []string{"-race"}
