// Command temporald is a Temporal server and its web UI in one process, for demos, development and tests.
//
// It lives in a module of its own, so that the hundreds of modules behind a Temporal server stay out of the product's
// go.mod. It answers to the part of the command line of "temporal server start-dev" that a test suite or a person at a
// terminal uses, so either program can stand in for the other.
//
// It keeps its state in memory, in a SQLite file or, with --db-url, in Postgres, where it has several history shards.
// It is not for production: one process, no authentication.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// stopTimeout is the time from the signal to stop until the end, come what may. Temporal waits for its services one
// after the other and, with workers still polling or in the middle of its start, can take long; nothing it would still
// do then is needed, for all state is in the database.
const stopTimeout = 10 * time.Second

func main() {
	// The process ends with main, and what stop would free with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go watchParent(stop)
	context.AfterFunc(ctx, func() { time.AfterFunc(stopTimeout, func() { os.Exit(1) }) })
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "temporald:", err)
		os.Exit(1)
	}
}

// run serves until the context ends. The banner goes to out once everything answers; logs go to standard error.
func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	if err := checkAddressesFree(opts); err != nil {
		return err
	}
	st, err := openStore(opts)
	if err != nil {
		return err
	}
	defer st.close()

	server, err := newServer(opts, st)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting the Temporal server on %s: %w", opts.address(), err)
	}
	stopServer := server.Stop
	if !opts.headless {
		web := startUI(opts)
		stopServer = func() error { web.Stop(); return server.Stop() }
	}
	if err := waitForListeners(ctx, opts); err == nil {
		printBanner(out, opts)
	} else if ctx.Err() == nil { // told to stop this early, it stops like any other time
		return err
	}
	<-ctx.Done()
	if opts.inMemory() {
		return nil // whatever a graceful stop would save, one or two seconds later, is thrown away anyway
	}
	return stopServer()
}

// parentVar is set by a program that wants this server to end with it, also where the kernel has no signal for the
// death of a parent. It holds that program's process id.
const parentVar = "TEMPORALD_PARENT"

// watchParent calls stop when the program that started this one is gone.
func watchParent(stop func()) {
	parent, err := strconv.Atoi(os.Getenv(parentVar))
	if err != nil {
		return
	}
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	stop()
}

// printBanner names the addresses the way start-dev does.
func printBanner(out io.Writer, opts *options) {
	fmt.Fprintf(out, "%-8s %s\n", "Server:", opts.address())
	if !opts.headless {
		fmt.Fprintf(out, "%-8s http://%s%s\n", "UI:", opts.uiAddress(), opts.uiPublicPath)
	}
	if opts.metricsPort != 0 {
		fmt.Fprintf(out, "%-8s http://%s/metrics\n", "Metrics:", hostPort(opts.ip, opts.metricsPort))
	}
}
