package workerfault

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// kill ends this process at once, without a chance to say goodbye to anybody.
func kill() {
	send(syscall.SIGKILL)
	select {} // the signal takes a moment to arrive
}

// stop stops this process until somebody sends it SIGCONT.
func stop() {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	send(syscall.SIGSTOP)
	// The signal takes a moment to arrive; nothing may be done in it.
	<-resumed
}

// send sends this process a signal, which the kernel allows everybody.
func send(sig syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		panic(fmt.Sprintf("workerfault: send %s to this process: %v", sig, err))
	}
}
