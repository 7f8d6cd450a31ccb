package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/bench/report"
)

const (
	// profileCallers ask meanwhile: as many as the throughput is judged at.
	profileCallers = 32
	// profileFor is how long a processor profile is: an export of histories is in
	// it, which comes once a minute.
	profileFor = time.Minute
	// profileSlack is what there is beyond that until the load ends: for the answer
	// of a busy process, and for its heap, which is to be seen under load.
	profileSlack = 5 * time.Second
	// profileTimeout is what the product gives itself for such an answer.
	profileTimeout = 2 * time.Minute
)

// profiledEnviron has the product's processes listen for who asks for profiles.
var profiledEnviron = []string{"GAMEMASTER_API_ADMIN=127.0.0.1:0", "GAMEMASTER_WORKER_ADMIN=127.0.0.1:0"}

// adminAddress is where a process of the product said that they are.
var adminAddress = regexp.MustCompile(`"msg":"admin pages are listening","addr":"([0-9.:]+)"`)

// measureProfiles writes profiles of the product's processes under load. The other
// rivals have no such listener.
func (s *stack) measureProfiles(ctx context.Context, p plan, b block, _ *report.Report) error {
	if p.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(p.profiles, 0o755); err != nil {
		return fmt.Errorf("directory of profiles: %w", err)
	}
	for _, rival := range b.rivals {
		if !strings.HasPrefix(rival.name, report.OwnPrefix) {
			continue
		}
		s.tell("profiles, %d callers for %s: %s", profileCallers, profileFor, rival.name)
		options := placeOptions{
			rival: rival, setting: b.setting, callers: profileCallers, fleet: p.fleet, environ: profiledEnviron,
		}
		if err := s.takeProfiles(ctx, options, p); err != nil {
			return fmt.Errorf("profiles of %s: %w", rival.name, err)
		}
	}
	return nil
}

func (s *stack) takeProfiles(ctx context.Context, options placeOptions, plan plan) (err error) {
	p, err := s.openPlace(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	group, loaded := errgroup.WithContext(ctx)
	group.Go(func() error {
		w, err := measureWindow(loaded, p.callers, plan.warmUp, profileFor+profileSlack)
		if err == nil {
			s.tell("%s: %.1f patches/s meanwhile", p.rival.name, w.PerSecond)
		}
		return err
	})
	for _, process := range p.processes {
		group.Go(func() error {
			wait(loaded, plan.warmUp)
			return process.writeProfiles(loaded, filepath.Join(plan.profiles, p.rival.name+"."+process.role))
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return p.check(ctx)
}

// writeProfiles writes a profile of the processor, and then one of the heap.
func (p *process) writeProfiles(ctx context.Context, name string) error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	said := adminAddress.FindSubmatch(text)
	if said == nil {
		return fmt.Errorf("%s did not say where its profiles are; it wrote:\n%s", p.role, p.tail())
	}
	pages := "http://" + string(said[1]) + "/debug/pprof/"
	seconds := int(profileFor.Seconds())
	if err := download(ctx, fmt.Sprintf("%sprofile?seconds=%d", pages, seconds), name+".cpu.pb.gz"); err != nil {
		return err
	}
	return download(ctx, pages+"heap", name+".heap.pb.gz")
}

// download writes what is at a URL to a file.
func download(ctx context.Context, url, name string) error {
	ctx, cancel := context.WithTimeout(ctx, profileTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %s", response.StatusCode, body)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return os.WriteFile(name, body, 0o600)
}
