// Package e2e holds the end-to-end tests: the real binary's API and workers as
// processes of their own, against a real Postgres, a real Temporal server and
// the Runtime Manager simulator. Each test has its own database, task queue,
// simulator and game ids, so that they run side by side.
//
// It has no code of its own.
package e2e
