package main

import (
	"regexp"

	"galaxy/gamemaster/bench/rivals"
	"galaxy/gamemaster/internal/domain/patch"
)

// rival is one way to write and to run the patch.
type rival struct {
	name string
	// about says in a few words what it is.
	about string
	// parts are its processes in order of starting; the last that has an address
	// is where requests go.
	parts []part
	// workflowID is that of a game's runs; nil for rivals without Temporal.
	workflowID func(gameID string) string
	// extra rivals run only when they are asked for.
	extra bool
}

// part is one process of a rival.
type part struct {
	role string
	// own is a subcommand of this program; otherwise args are the product's.
	own   string
	args  []string
	ready *regexp.Regexp
}

var (
	ownAddress = regexp.MustCompile(`listening on (http://[0-9.:]+)`)
	ownWorking = regexp.MustCompile(`working`)
	// The product's API names its address without the scheme.
	productAddress = regexp.MustCompile(`"msg":"api is listening","addr":"([0-9.:]+)"`)
	productWorking = regexp.MustCompile(`"msg":"worker is starting"`)
)

// servers are the subcommands of this program that rivals run as.
var servers = map[string]server{
	"floor":       rivals.ServeFloor,
	"saga-api":    rivals.ServeSagaAPI,
	"saga-worker": rivals.ServeSagaWorker,

	"queue-api":             rivals.ServeQueueAPI(rivals.QueueCooldown),
	"queue-worker":          rivals.ServeQueueWorker(rivals.QueueCooldown),
	"queue-defaults-api":    rivals.ServeQueueAPI(0),
	"queue-defaults-worker": rivals.ServeQueueWorker(0),
}

// allRivals are the settings in the order of the tables. A new one is an entry
// here.
func allRivals() []rival {
	return []rival{
		{
			name: "floor", about: "the specification's synchronous service, nothing durable",
			parts: []part{{role: "api+worker", own: "floor", ready: ownAddress}},
		},
		{
			name: "saga", about: "five regular activities as in Temporal's samples, defaults of the SDK",
			parts: []part{
				{role: "worker", own: "saga-worker", ready: ownWorking},
				{role: "api", own: "saga-api", ready: ownAddress},
			},
			workflowID: rivals.SagaWorkflowID,
		},
		{
			name: "queue", about: "River on Postgres, the saga's state in a table; fetches every 2 ms",
			parts: []part{
				{role: "worker", own: "queue-worker", ready: ownWorking},
				{role: "api", own: "queue-api", ready: ownAddress},
			},
		},
		{
			name: "queue-defaults", about: "the same with River's default of 100 ms", extra: true,
			parts: []part{
				{role: "worker", own: "queue-defaults-worker", ready: ownWorking},
				{role: "api", own: "queue-defaults-api", ready: ownAddress},
			},
		},
		{
			name: "ours", about: "gamemaster api and gamemaster worker",
			parts: []part{
				{role: "worker", args: []string{"worker"}, ready: productWorking},
				{role: "api", args: []string{"api", "--addr", "127.0.0.1:0"}, ready: productAddress},
			},
			workflowID: patch.WorkflowID,
		},
		{
			name: "ours-one-process", about: "gamemaster api --worker: both in one process",
			parts: []part{{
				role:  "api+worker",
				args:  []string{"api", "--worker", "--addr", "127.0.0.1:0"},
				ready: productAddress,
			}},
			workflowID: patch.WorkflowID,
		},
	}
}
