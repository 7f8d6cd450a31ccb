package cli

import (
	"context"
	"errors"
	"net/http"

	"galaxy/gamemaster/client"
)

// Exit codes of every command.
const (
	ExitDone = 0
	// ExitFailed: it was tried and did not come about.
	ExitFailed = 1
	// ExitRefused: it cannot be done as asked; asking again changes nothing.
	ExitRefused = 2
	// ExitUsage: the command line is wrong (EX_USAGE of sysexits.h).
	ExitUsage = 64
	// ExitUnavailable: nobody answered, or the answer was "later", so that the
	// same command may do it another time (EX_TEMPFAIL of sysexits.h). What was
	// asked for may have been done all the same.
	ExitUnavailable = 75
)

// exitHelp tells the exit codes in --help.
const exitHelp = "Exit codes: 0 done; 1 failed, it was tried and did not come about; 2 refused, asking again changes nothing; " +
	"64 the command line is wrong; 75 nobody answers, the answer is later, or an operator has to decide first: try again."

// exit is an error with the exit code that it stands for.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string { return e.err.Error() }
func (e *exit) Unwrap() error { return e.err }

func misused(err error) error { return &exit{code: ExitUsage, err: err} }

func refused(err error) error { return &exit{code: ExitRefused, err: err} }

// exitCode is the exit code of a command that ended with err.
func exitCode(err error) int {
	coded, ok := errors.AsType[*exit](err)
	switch {
	case err == nil:
		return ExitDone
	case ok:
		return coded.code
	}
	return ExitFailed
}

// answered gives an error of the client the exit code that it stands for.
func answered(err error) error {
	var coded *exit
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case client.IsTemporary(err), errors.Is(err, context.DeadlineExceeded):
		return &exit{code: ExitUnavailable, err: err}
	case statusOf(err) != 0 && statusOf(err) < http.StatusInternalServerError:
		return refused(err)
	}
	return err
}

// statusOf is the HTTP status of an answer that is an error; 0 when there was
// none.
func statusOf(err error) int {
	if problem, ok := errors.AsType[*client.Error](err); ok {
		return problem.HTTPStatus
	}
	if wrong, ok := errors.AsType[*client.AnswerError](err); ok {
		return wrong.HTTPStatus
	}
	return 0
}
