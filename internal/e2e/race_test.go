//go:build race

package e2e_test

// raceFlags build the binary under test with the race detector when the tests
// themselves are: the races that count are in its processes. A race ends them
// with an exit code that no test wants.
var raceFlags = []string{"-race"}
