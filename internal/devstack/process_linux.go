package devstack

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// processAttributes puts the child into a process group of its own, under the
// wanted user, and has the kernel end it when this process dies. Go sets the
// death signal after the user, as it must: a change of user clears it.
func processAttributes(o processOptions) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: o.Credential, Pdeathsig: o.DeathSignal}
}

// processCommand returns the command line of any process, its words separated
// by blanks; empty when there is no such process or it may not be read.
func processCommand(pid int) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
}
