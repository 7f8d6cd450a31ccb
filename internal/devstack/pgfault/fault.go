package pgfault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mode is what a fault does to a call. A call is one simple query, or the
// messages of the extended protocol up to a Sync.
type Mode string

// The modes of a fault.
const (
	// CutBefore resets the connection; the server never sees the call, and has
	// carried out what came before it.
	CutBefore Mode = "cut_before"
	// CutAfter lets the server carry the call out to its end, which is the
	// commit unless a transaction is open, and resets the connection instead of
	// passing the reply on.
	CutAfter Mode = "cut_after"
	// Error answers with Fault.Code; the call is not carried out. An open
	// transaction is failed at the server as well, as by a real error, and a
	// COMMIT rolls back.
	Error Mode = "error"
	// ErrorAfter lets the server carry the call out as CutAfter does, and
	// answers with Fault.Code all the same: a server that lies.
	ErrorAfter Mode = "error_after"
	// Hang never answers; the server does not see the call. It ends when the
	// client gives up or the fault is cleared: then the connection is reset.
	Hang Mode = "hang"
	// HangAfter lets the server carry the call out as CutAfter does and keeps
	// the reply back until the client gives up or the fault is cleared: then
	// the reply is passed on.
	HangAfter Mode = "hang_after"
	// Slow passes the reply on after Fault.Delay.
	Slow Mode = "slow"
	// Late passes the call on after Fault.Delay, even when the client has given
	// up meanwhile: a write that lands when nobody waits for it any more.
	Late Mode = "late"
)

func modes() []Mode {
	return []Mode{CutBefore, CutAfter, Error, ErrorAfter, Hang, HangAfter, Slow, Late}
}

// withholds reports whether the mode lets the server answer and then decides
// what becomes of the whole answer.
func (m Mode) withholds() bool {
	return m == CutAfter || m == ErrorAfter || m == HangAfter || m == Slow
}

// Fault is a misbehaviour that waits for its statement.
type Fault struct {
	// Name is what reports and injected errors call it; required.
	Name string
	// SQL is a regular expression that the statement's text has to match, in
	// upper or lower case and with any run of white space taken for one blank;
	// empty matches every statement. pgx writes "begin", "commit" and
	// "rollback".
	SQL string
	// Argument has to equal one of the statement's text or binary arguments,
	// byte for byte, so that tests on one server leave each other alone; empty
	// asks for none. In a simple query it has to stand as a quoted literal. A
	// statement without arguments, such as COMMIT, is matched by the arguments
	// of the earlier statements in its transaction.
	Argument string
	// Mode is what happens to the call.
	Mode Mode
	// Code is the SQLSTATE that Error and ErrorAfter answer with. With one that
	// Postgres only ever ends connections with, such as 57P01
	// (admin_shutdown), the connection ends.
	Code string
	// Times is how often the fault fires; zero is until it is cleared.
	Times int
	// Delay is that of Slow and Late.
	Delay time.Duration
}

// FaultReport is a fault with what became of it. A used up fault stays in the
// report.
type FaultReport struct {
	Fault
	// Fired is how often a call met the fault.
	Fired int
	// Committed is how many of these calls the server then carried out without
	// an error and with no transaction left open. With a mode that keeps the
	// call from the server it stays zero.
	Committed int
}

// entry is a fault at work.
type entry struct {
	FaultReport
	pattern *regexp.Regexp
	cleared chan struct{}
}

var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// Validate returns the first reason why the fault cannot be put.
func (fault Fault) Validate() error {
	answers := fault.Mode == Error || fault.Mode == ErrorAfter
	waits := fault.Mode == Slow || fault.Mode == Late
	switch _, err := compile(fault.SQL); {
	case fault.Name == "":
		return errors.New("pgfault: a fault needs a name")
	case err != nil:
		return fmt.Errorf("pgfault: %s: SQL: %w", fault.Name, err)
	case !slices.Contains(modes(), fault.Mode):
		return fmt.Errorf("pgfault: %s: mode %q is not one of %q", fault.Name, fault.Mode, modes())
	case answers && !sqlState.MatchString(fault.Code):
		return fmt.Errorf("pgfault: %s: code %q is no SQLSTATE", fault.Name, fault.Code)
	case waits && fault.Delay <= 0:
		return fmt.Errorf("pgfault: %s: mode %s needs a delay", fault.Name, fault.Mode)
	case fault.Times < 0:
		return fmt.Errorf("pgfault: %s: times must not be negative", fault.Name)
	}
	return nil
}

func compile(sql string) (*regexp.Regexp, error) { return regexp.Compile("(?i)" + sql) }

// PutFault adds a fault behind those that are there; of several that match, the
// first one that is not used up fires. The error is that of [Fault.Validate],
// or says that the name is taken.
func (p *Proxy) PutFault(fault Fault) error {
	if err := fault.Validate(); err != nil {
		return err
	}
	pattern, err := compile(fault.SQL)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.faults {
		if e.Name == fault.Name {
			return fmt.Errorf("pgfault: there is a fault %q already", fault.Name)
		}
	}
	p.faults = append(p.faults, &entry{
		FaultReport: FaultReport{Fault: fault}, pattern: pattern, cleared: make(chan struct{}),
	})
	return nil
}

// ClearFault removes the fault of that name and lets go of what it holds; false
// when there is none.
func (p *Proxy) ClearFault(name string) bool {
	return p.clear(func(e *entry) bool { return e.Name == name })
}

// ClearFaults removes every fault and lets go of what they hold.
func (p *Proxy) ClearFaults() { p.clear(func(*entry) bool { return true }) }

func (p *Proxy) clear(concerned func(*entry) bool) (found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = slices.DeleteFunc(p.faults, func(e *entry) bool {
		if !concerned(e) {
			return false
		}
		close(e.cleared)
		found = true
		return true
	})
	if found {
		p.signal()
	}
	return found
}

// Faults returns every fault that has not been cleared, in order of putting.
func (p *Proxy) Faults() []FaultReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	reports := make([]FaultReport, 0, len(p.faults))
	for _, e := range p.faults {
		reports = append(reports, e.FaultReport)
	}
	return reports
}

// Await returns the report of the named fault as soon as enough says so. It
// fails when ctx ends first, and when there is no such fault.
func (p *Proxy) Await(ctx context.Context, name string, enough func(FaultReport) bool) (FaultReport, error) {
	for {
		report, changed, found := p.report(name)
		switch {
		case !found:
			return FaultReport{}, fmt.Errorf("pgfault: there is no fault %q", name)
		case enough(report):
			return report, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return report, fmt.Errorf("pgfault: wait for fault %q, which fired %d times: %w", name, report.Fired, context.Cause(ctx))
		}
	}
}

func (p *Proxy) report(name string) (report FaultReport, changed <-chan struct{}, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.faults {
		if e.Name == name {
			return e.FaultReport, p.changed, true
		}
	}
	return FaultReport{}, nil, false
}

// signal tells those who wait that a count has changed. The caller holds mu.
func (p *Proxy) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// fire returns the fault that one of the executions meets, if any, and counts
// it.
func (p *Proxy) fire(executions []execution) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.faults {
		usedUp := e.Times > 0 && e.Fired >= e.Times
		if !usedUp && slices.ContainsFunc(executions, e.meets) {
			e.Fired++
			p.signal()
			return e
		}
	}
	return nil
}

// committed counts a call that the server carried out.
func (p *Proxy) committed(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.Committed++
	p.signal()
}

// execution is one statement that is about to be carried out.
type execution struct {
	sql       string
	arguments [][]byte
	// simple says that arguments stand in the text.
	simple bool
	// earlier are the statements of the transaction so far.
	earlier []execution
}

func (e *entry) meets(x execution) bool {
	if !e.pattern.MatchString(strings.Join(strings.Fields(x.sql), " ")) {
		return false
	}
	concerned := func(x execution) bool { return x.names(e.Argument) }
	return e.Argument == "" || concerned(x) || len(x.arguments) == 0 && slices.ContainsFunc(x.earlier, concerned)
}

// names reports whether argument is one of the statement's.
func (x execution) names(argument string) bool {
	if x.simple {
		return strings.Contains(x.sql, "'"+strings.ReplaceAll(argument, "'", "''")+"'")
	}
	return slices.ContainsFunc(x.arguments, func(bound []byte) bool { return string(bound) == argument })
}
