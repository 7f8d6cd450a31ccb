//go:build !race

package stacktest

// BuildFlags are empty: the tests are not built with the race detector either.
var BuildFlags []string
