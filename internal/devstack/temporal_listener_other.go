//go:build !linux

package devstack

// listensAt cannot tell whose listener it is here without a tool of the system.
// What remains is that a server which finds its port taken ends, within
// milliseconds of its start, and the start fails with it.
func listensAt(int, string) bool { return true }
