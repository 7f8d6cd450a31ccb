package patch

import "fmt"

// advice is what an operator may do about an open run, what to keep the hands
// off, and what the run does next.
type advice struct{ do, leave, next string }

// The parts that several phases share.
const (
	mendPostgres = "nothing; when this lasts for more than seconds, Postgres does not answer: mend it, the run goes on by itself"
	mendManager  = "nothing; when the attempts rise, mend what their error names (Runtime Manager or Postgres), the run goes on by itself"
	mendUndo     = mendManager + "; a turn that is being generated is waited for"
	noHands      = "do not start, stop or recreate the container by hand, do not edit the record; " +
		"*Terminate* runs no undo and may leave the two apart"
)

// advice follows the phase.
func (page Page) advice() advice {
	if page.Reconciles && page.State.Phase == PhaseCompensating {
		return advice{
			do: mendUndo, leave: noHands,
			next: "the audit row; when the budget is spent the run closes as Failed and waits for nobody, the watch tells what differs",
		}
	}
	switch page.State.Phase {
	case PhaseValidating:
		return advice{
			do:    mendPostgres + "; *Request Cancellation* is safe",
			leave: "nothing: neither the container nor the record has been touched",
			next:  page.afterValidating(),
		}
	case PhasePatching:
		return advice{
			do: mendManager + "; a step that has not started waits for a free slot of a worker: " +
				"more workers help; *Request Cancellation* puts the container back",
			leave: noHands,
			next:  "the record is rotated; when the budget is spent, the container is put back in line with the record",
		}
	case PhaseRecording:
		return advice{
			do: mendPostgres + "; it is too late to cancel", leave: noHands + ": the container runs the new image, the record may name the old one",
			next: "the audit row; when the budget is spent, the container is put back in line with the record",
		}
	case PhaseCompensating:
		return page.compensating()
	case PhaseNeedsOperator:
		return page.needsOperator()
	default:
		return advice{
			do:    mendPostgres,
			leave: "*Terminate* would lose the audit row; everything else is done",
			next:  "the run closes as soon as its row is written",
		}
	}
}

func (page Page) afterValidating() string {
	if page.Reconciles {
		return "record and container are brought together, then the audit row is written"
	}
	return "the container is recreated on the target, the record rotated, the audit row written"
}

func (page Page) compensating() advice {
	told := advice{
		do: mendUndo, leave: noHands,
		next: "the audit row; when the budget is spent, the run waits for an operator and keeps the game",
	}
	if page.State.Step == "" {
		told.do = "nothing; this Runtime Manager cannot be told to refuse a late call, so that the run waits for it"
		told.next = "record and container are looked at once more"
	}
	return told
}

func (page Page) needsOperator() advice {
	const input = "`{\"actor\":\"your name\",\"reason\":\"why\"}`"
	return advice{
		do: fmt.Sprintf("mend what the error names (when it says so, stop the container), then *Send an Update* with input %s: "+
			"`retry` makes the container follow the record again, for %s, and is safe at any time; `abandon` ends the run as Failed and "+
			"leaves the two as they are. From a shell: `gamemaster patches retry %s --reason …`", input, page.Budgets.Undo, plainID(page.State.PatchID)),
		leave: "container and record may differ; *Terminate* runs no undo and leaves no audit row of its own, *Request Cancellation* does nothing here",
		next:  "nothing happens before that decision, and no other patch of the game can start",
	}
}

// plainID is a patch id as a command line takes it; a run that was started by
// hand may carry anything.
func plainID(patchID string) string {
	if _, ok := GameOf(patchID); ok {
		return patchID
	}
	return "ID"
}

// afterwards is what is left to do when the run has ended.
func (page Page) afterwards() string {
	result := *page.Result
	switch {
	case result.IsSuccess():
		return "nothing"
	case result.Undo != nil && result.Undo.Line == LineAbandoned:
		return "container and record may differ: look with `gamemaster drift`, bring them together with `gamemaster reconcile`"
	case result.Undo != nil && result.Undo.Line == LineMissing:
		return "the game has no container: create it the way the game was created"
	case result.Code == CodeInternalError:
		return "look at the worker's log, which has the detail, and at `gamemaster drift`"
	case page.Reconciles && result.Code.Closing() == ClosesFailed:
		return "look at `gamemaster drift`, mend what the message names, and reconcile again"
	case result.Undo != nil, result.Code.Closing() == ClosesFailed:
		return "the undo left container and record in line; mend what the message names, and ask for the patch again if it is still wanted"
	default:
		return "nothing was changed; ask again once the reason is mended"
	}
}
