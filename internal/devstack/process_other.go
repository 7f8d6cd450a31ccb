//go:build !linux

package devstack

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// processAttributes puts the child into a process group of its own, under the
// wanted user. There is no death signal here: what a killed parent leaves
// behind is stopped by the next start.
func processAttributes(o processOptions) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: o.Credential}
}

// processCommand returns the command line of any process, its words separated
// by blanks; empty when there is no such process or it may not be read.
func processCommand(pid int) string {
	line, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(line))
}
