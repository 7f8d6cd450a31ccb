package drill

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// processAttributes has the kernel kill the child when this process dies, and
// keeps a Ctrl-C at the terminal from it.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// children returns the processes that pid has started; none when they cannot be
// known.
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
