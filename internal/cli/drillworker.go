package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/devstack/workerfault"
)

// drillWorkerCommand is the worker with faults planned into it. It is hidden, and
// works on this machine's own stacks only.
type drillWorkerCommand struct {
	workerCommand
	Faults  string `help:"File with the planned faults, which is read anew at each step." required:"" type:"path"`
	Journal string `help:"File that gets which faults fired." required:"" type:"path"`
}

// Run polls for work, with the faults, until the process is told to stop or a
// fault ends it.
func (c *drillWorkerCommand) Run(p *process) error {
	if err := checkThrowAway(p.environ); err != nil {
		return refused(err)
	}
	faults, err := workerfault.New(workerfault.Files{Plan: c.Faults, Journal: c.Journal})
	if err != nil {
		return refused(err)
	}
	return c.poll(p, faults)
}

// checkThrowAway refuses an environment that leads anywhere but to this machine:
// what serves others must not be broken on purpose, least of all by a shell that
// still has the variables of something else. All three variables have to be set,
// as each has a default or a file behind it that nobody thinks of. No value is
// repeated, since some have passwords.
func checkThrowAway(environ map[string]string) error {
	var faults []error
	for _, variable := range []struct {
		name  string
		hosts func(value string) []string
	}{
		{"DATABASE_URL", databaseHosts},
		{"RTM_URL", urlHosts},
		{"TEMPORAL_ADDRESS", addressHosts},
	} {
		value := environ[variable.name]
		if value == "" || !allLoopback(variable.hosts(value)) {
			faults = append(faults, fmt.Errorf("%s: want a loopback address: faults are for throw-away stacks on this machine", variable.name))
		}
	}
	return errors.Join(faults...)
}

// databaseHosts returns every host that the driver might connect to.
func databaseHosts(databaseURL string) []string {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil
	}
	hosts := []string{config.Host}
	for _, fallback := range config.Fallbacks {
		hosts = append(hosts, fallback.Host)
	}
	return hosts
}

func urlHosts(value string) []string {
	location, err := url.Parse(value)
	if err != nil {
		return nil
	}
	return []string{location.Hostname()}
}

func addressHosts(value string) []string {
	host, _, err := net.SplitHostPort(value)
	if err != nil {
		return nil
	}
	return []string{host}
}

func allLoopback(hosts []string) bool {
	for _, host := range hosts {
		if host != "localhost" && !net.ParseIP(host).IsLoopback() {
			return false
		}
	}
	return len(hosts) > 0
}
