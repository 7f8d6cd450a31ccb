//go:build race

package stacktest

// RaceFlags build a binary under test with the race detector when the tests
// themselves are: the races that count are in its processes. A race ends them
// with an exit code that no test wants.
var RaceFlags = []string{"-race"}
