package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"galaxy/gamemaster/client"
)

// The API of the examples answers what its document has as examples.
func Example() {
	api := newStub()
	defer api.Close()

	games, err := client.New(api.URL, client.WithToken("dev"), client.WithUserAgent("release-train/2"))
	if err != nil {
		panic(err)
	}
	patch, err := games.Patch(context.Background(), "demo-1",
		client.PatchRequest{Version: "1.4.3", Reason: "security fix", SourceRef: "ticket-7"},
		client.PatchOptions{IdempotencyKey: "ticket-7-demo-1"})
	if err != nil {
		panic(err)
	}
	if patch.State == client.StateOpen {
		if patch, err = games.AwaitPatch(context.Background(), patch.PatchID); err != nil {
			panic(err)
		}
	}
	fmt.Println(patch.Outcome, patch.From.Version, "->", patch.To.Version)
	// Output: success 1.4.2 -> 1.4.3
}

// What a patch would do, before it is asked for.
func ExampleClient_PlanPatch() {
	api := newStub()
	defer api.Close()
	games, err := client.New(api.URL)
	if err != nil {
		panic(err)
	}
	plan, err := games.PlanPatch(context.Background(), "demo-1", client.PatchRequest{Version: "1.4.3"})
	if err != nil {
		panic(err)
	}
	fmt.Println(plan.Allowed, plan.Kind)
	for _, check := range plan.Checks[:3] {
		fmt.Println(check.Name, check.Status)
	}
	// Output:
	// true upgrade
	// request passed
	// runtime_exists passed
	// runtime_running passed
}

// All runtimes of one status, however many pages they take.
func ExampleClient_AllRuntimes() {
	api := newStub()
	defer api.Close()
	games, err := client.New(api.URL)
	if err != nil {
		panic(err)
	}
	for runtime, err := range games.AllRuntimes(context.Background(), client.ListRuntimesParams{Status: client.RuntimeRunning}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(runtime.GameID, runtime.CurrentEngineVersion)
	}
	// Output:
	// demo-1 1.4.3
	// demo-1 1.4.3
}

// A patch that is started now and awaited, or looked at, whenever it suits.
func ExampleClient_AwaitPatch() {
	api := newStub()
	defer api.Close()
	games, err := client.New(api.URL)
	if err != nil {
		panic(err)
	}
	started, err := games.Rollback(context.Background(), "demo-1",
		client.RollbackRequest{To: client.Previous}, client.PatchOptions{Wait: new(time.Duration(0))})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	patch, err := games.AwaitPatch(ctx, started.PatchID)
	if err != nil {
		panic(err)
	}
	fmt.Println(patch.State, patch.Outcome)
	// Output: closed success
}

// What was refused is told from what may work later, and the code says why.
func ExampleError() {
	refusing := newScripted(problem(http.StatusConflict, "runtime_exists"))
	defer refusing.Close()
	games, err := client.New(refusing.URL)
	if err != nil {
		panic(err)
	}
	_, err = games.RegisterRuntime(context.Background(), client.RegisterRuntime{GameID: "demo-1", EngineVersion: "1.4.3"})
	var problem *client.Error
	switch {
	case client.IsCode(err, client.CodeRuntimeExists):
		fmt.Println("it has a record already, nothing to do")
	case errors.As(err, &problem):
		fmt.Println("refused:", problem.Detail)
	case client.IsTemporary(err):
		fmt.Println("another time")
	}
	// Output: it has a record already, nothing to do
}
