package main

import (
	"context"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// fleetCall is a call of the product's stores that is measured.
type fleetCall struct {
	name string
	// prepare does what is not measured, and returns what is.
	prepare func(ctx context.Context, f *fleet) (func() error, error)
}

// fleetCalls are those that serve one game or one page, whatever the size of the
// fleet. Pages have the same number of rows in both.
func fleetCalls() []fleetCall {
	return []fleetCall{
		{"load one", loadOne},
		{"list, first page", pageOf(func(*fleet) ports.RuntimePageInput { return ports.RuntimePageInput{} })},
		{"list, far behind", pageOf(func(f *fleet) ports.RuntimePageInput {
			return ports.RuntimePageInput{After: f.farBehind(0.15)}
		})},
		{"list, one status", pageOf(func(*fleet) ports.RuntimePageInput {
			return ports.RuntimePageInput{Status: runtime.StatusStopped}
		})},
		{"list, one status, far behind", pageOf(func(f *fleet) ports.RuntimePageInput {
			// Far enough from the end that a page is full of them.
			return ports.RuntimePageInput{Status: runtime.StatusStopped, After: f.farBehind(0.6)}
		})},
		{"list, games of one team", pageOf(func(*fleet) ports.RuntimePageInput {
			return ports.RuntimePageInput{GamePrefixes: []string{teamPrefix}}
		})},
		{"list, due", dueOf},
		{"take a fencing number", takeFence},
		{"compare and swap", swapImage},
	}
}

func loadOne(ctx context.Context, f *fleet) (func() error, error) {
	n := f.random.IntN(f.size)
	return func() error {
		record, err := f.records.Get(ctx, f.gameID(n))
		if err == nil && record.Status != f.status(n) {
			return fmt.Errorf("game %s is %s", record.GameID, record.Status)
		}
		return err
	}, nil
}

// pageOf reads pages as the API does: with a row more than is shown, which tells
// whether there is another page.
func pageOf(input func(f *fleet) ports.RuntimePageInput) func(context.Context, *fleet) (func() error, error) {
	return func(ctx context.Context, f *fleet) (func() error, error) {
		asked := input(f)
		asked.Limit = f.page + 1
		return func() error {
			records, err := f.records.PageRuntimes(ctx, asked)
			if err == nil && len(records) != asked.Limit {
				return fmt.Errorf("%d records: %w", len(records), errShortPage)
			}
			return err
		}, nil
	}
}

func dueOf(ctx context.Context, f *fleet) (func() error, error) {
	input := ports.DuePageInput{At: f.dueBy(), Limit: f.page + 1}
	return func() error {
		records, err := f.records.PageDueRunning(ctx, input)
		if err == nil && len(records) != input.Limit {
			return fmt.Errorf("%d due: %w", len(records), errShortPage)
		}
		return err
	}, nil
}

func takeFence(ctx context.Context, f *fleet) (func() error, error) {
	n := f.running()
	return func() error {
		_, err := f.fences.Next(ctx, f.gameID(n))
		return err
	}, nil
}

// swapImage moves a game to its next version as the patch's own step does: with
// the number that was taken last, and if the record still holds what it held.
func swapImage(ctx context.Context, f *fleet) (func() error, error) {
	n := f.running()
	fence, err := f.fences.Next(ctx, f.gameID(n))
	if err != nil {
		return nil, err
	}
	held := f.version(n)
	f.moved[n]++
	next := f.version(n)
	input := ports.UpdateImageInput{
		GameID: f.gameID(n), ExpectedStatus: runtime.StatusRunning,
		CurrentImageRef: image(next), CurrentEngineVersion: next,
		ExpectedImageRef: image(held), ExpectedEngineVersion: held,
		Fence: fence, Now: time.Now(),
	}
	return func() error { return f.records.UpdateImage(ctx, input) }, nil
}
