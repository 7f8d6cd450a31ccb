//go:build !linux

package drill

import "syscall"

// processAttributes keeps a Ctrl-C at the terminal from the child. There is no
// death signal here: only Close ends it.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// children are not known here, so that a Postgres cannot be paused as a whole.
func children(int) []int { return nil }
