package cli

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

type rtmsimCommand struct {
	Addr        string `help:"Address to listen on." default:"127.0.0.1:8090"`
	Data        string `help:"File that keeps the containers between runs; none are kept without it." type:"path"`
	AllowRemote bool   `help:"Listen on other than loopback addresses. The simulator has no authentication."`
}

// Run serves the simulator until the process is told to stop.
func (c *rtmsimCommand) Run(p *process) error {
	simulator := rtmsim.New()
	if c.Data != "" {
		var err error
		if simulator, err = rtmsim.Open(c.Data); err != nil {
			return err
		}
	}
	defer simulator.Close()
	err := simulator.Run(p.ctx, rtmsim.RunOptions{
		Addr: c.Addr, AllowRemote: c.AllowRemote,
		Started: func(addr net.Addr) { fmt.Fprintf(p.stdout, "Runtime Manager simulator at http://%s\n", addr) },
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("rtmsim: address %s is already in use", c.Addr)
	}
	return err
}
