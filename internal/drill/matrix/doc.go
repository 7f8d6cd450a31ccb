// Package matrix has the tests that drill every fault by name; see
// docs/reliability.md. There is nothing else in it.
package matrix
