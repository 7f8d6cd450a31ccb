package main

import "syscall"

// processAttributes has the kernel kill the child when this process dies. The
// child stays in this process's group, so that a Ctrl-C reaches both.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
