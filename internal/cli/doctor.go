package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/config"
)

type doctorCommand struct {
	For  string `help:"Whose surroundings to look at: those of all, of the api or of a worker." enum:"all,api,worker" default:"all"`
	JSON bool   `help:"Print the findings as one JSON document." name:"json"`
}

// checkPatience bounds one check. What is well answers within milliseconds; five
// seconds forgive a server that is busy, and as long as that nobody who looks at
// a screen wants to wait for more. What waits for a check that did not answer is
// not looked at.
const checkPatience = 5 * time.Second

// verdict is what a check came to.
type verdict string

const (
	verdictOK   verdict = "ok"
	verdictFail verdict = "FAIL"
	// verdictSkipped is a check that could not say anything, because one before
	// it failed.
	verdictSkipped verdict = "skip"
)

// finding is a check with what it saw.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Seen    string  `json:"seen"`
	// lines are what Seen joins, when it is a list whose every entry is to be read.
	lines []string
	// Mend says in one sentence what to do; empty unless the check failed.
	Mend string `json:"mend,omitempty"`
}

func well(seen string, arguments ...any) finding {
	return finding{Verdict: verdictOK, Seen: fmt.Sprintf(seen, arguments...)}
}

func ill(mend, seen string, arguments ...any) finding {
	return finding{Verdict: verdictFail, Seen: fmt.Sprintf(seen, arguments...), Mend: mend}
}

// check is one thing to look at. Its text may show names of hosts, databases and
// users, and no secret.
type check struct {
	name string
	look func(context.Context) finding
	// gate says that the checks behind it need what it looks at.
	gate bool
}

// examination is what doctor says with --json.
type examination struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// Run looks at everything that the processes need, and changes nothing. It fails
// when one check does.
func (c *doctorCommand) Run(p *process) error {
	settings, fault := config.Load(p.environ, c.needs()...)
	rows := [][]check{{checkEnvironment(fault)}}
	d := &doctor{settings: settings, environ: p.environ}
	defer d.close()
	rows = append(rows, d.databaseChecks(), d.temporalChecks())
	if c.For != "api" {
		rows = append(rows, d.managerChecks())
	}
	if c.For != "worker" {
		rows = append(rows, []check{{name: "auth file", look: d.authFile}})
	}
	seen := examine(p.ctx, rows)
	if c.JSON {
		if err := printJSON(p.stdout, seen); err != nil {
			return err
		}
	} else {
		seen.print(p.stdout)
	}
	return seen.failure()
}

// needs are the variables without which what is looked at cannot run.
func (c *doctorCommand) needs() []config.Need {
	switch c.For {
	case "api":
		return []config.Need{config.NeedDatabase, config.NeedAuth}
	case "worker":
		return []config.Need{config.NeedDatabase, config.NeedRTM}
	}
	return []config.Need{config.NeedDatabase, config.NeedRTM, config.NeedAuth}
}

// doctor has what the checks look at, and what the first check of a row leaves
// to those after it.
type doctor struct {
	settings config.Config
	environ  map[string]string

	pool     *pgxpool.Pool
	temporal temporalConnection
	manager  *rtm.Client
}

func (d *doctor) close() {
	if d.pool != nil {
		d.pool.Close()
	}
	if d.temporal.Client != nil {
		d.temporal.Close()
	}
	if d.manager != nil {
		d.manager.Close()
	}
}

// checkEnvironment tells what config.Load found.
func checkEnvironment(fault error) check {
	return check{name: "environment", look: func(context.Context) finding {
		if fault == nil {
			return well("every variable that is needed is set and can be read")
		}
		lines := strings.Split(fault.Error(), "\n")
		found := ill("set what is named in the environment of the process, and start it again", "%s", strings.Join(lines, "; "))
		found.lines = lines
		return found
	}}
}

// authFile opens the policy as the API does.
func (d *doctor) authFile(context.Context) finding {
	if d.settings.AuthFile == "" {
		return finding{Verdict: verdictSkipped, Seen: "GAMEMASTER_AUTH_FILE is not set"}
	}
	// Whether there is a CA for client certificates is a flag of the API's.
	if _, err := openGate(d.settings.AuthFile, true, slog.New(slog.DiscardHandler)); err != nil {
		return ill("mend the file that GAMEMASTER_AUTH_FILE names (`gamemaster token hash` prints entries for it)", "%v", err)
	}
	return well("%s can be read", d.settings.AuthFile)
}

// examine runs the rows side by side, and the checks of a row one after the
// other: what comes after a gate that failed could only say so again.
func examine(ctx context.Context, rows [][]check) examination {
	findings := make([][]finding, len(rows))
	var group sync.WaitGroup
	for i, row := range rows {
		group.Go(func() { findings[i] = lookThrough(ctx, row) })
	}
	group.Wait()
	seen := examination{OK: true}
	for _, row := range findings {
		for _, f := range row {
			seen.OK = seen.OK && f.Verdict != verdictFail
			seen.Checks = append(seen.Checks, f)
		}
	}
	return seen
}

func lookThrough(ctx context.Context, row []check) []finding {
	var findings []finding
	failed := ""
	for _, check := range row {
		f := finding{Verdict: verdictSkipped, Seen: "not looked at, because of: " + failed}
		if failed == "" {
			f = lookAt(ctx, check)
		}
		f.Check = check.name
		if check.gate && failed == "" && f.Verdict != verdictOK {
			failed = check.name
		}
		findings = append(findings, f)
	}
	return findings
}

func lookAt(ctx context.Context, check check) finding {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	return check.look(ctx)
}

// print prints a line for each check, and its mend below it; a list has a line
// for each entry.
func (e examination) print(out io.Writer) {
	for _, f := range e.Checks {
		lines := f.lines
		if len(lines) == 0 {
			lines = []string{f.Seen}
		}
		fmt.Fprintf(out, "%-5s %-17s %s\n", f.Verdict, f.Check, cell(lines[0], maxSeen))
		for _, line := range lines[1:] {
			fmt.Fprintf(out, "      %-17s %s\n", "", cell(line, maxSeen))
		}
		if f.Mend != "" {
			fmt.Fprintf(out, "      %-17s mend: %s\n", "", printable(f.Mend))
		}
	}
}

// maxSeen bounds a line of what is shown of a check, in characters: some errors
// repeat a server's whole answer.
const maxSeen = 400

// failure is the error of an examination that found something ill.
func (e examination) failure() error {
	failed := 0
	for _, f := range e.Checks {
		if f.Verdict == verdictFail {
			failed++
		}
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return errors.New("1 check failed")
	}
	return fmt.Errorf("%d checks failed", failed)
}
