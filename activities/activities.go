// Package activities holds the steps of a patch, one method each. A step talks
// to the ports, and every decision that it takes is a pure rule of
// internal/domain/patch, so that the verdict stands in the history.
//
// Each method's error is a Temporal ApplicationError whose type is a
// [patch.Code]; failed makes it, as the last thing
// that a step does.
package activities

import (
	"errors"

	"galaxy/gamemaster/internal/ports"
)

// Activities is registered with a worker as a whole: every exported method is
// an activity.
type Activities struct {
	runtimes ports.RuntimeRecordStore
	versions ports.EngineVersionStore
	log      ports.OperationLogStore
	fences   ports.FenceStore
	rtm      ports.RTMClient
}

// Dependencies are what the steps need; all are required. Steps log through
// [activity.GetLogger], whose lines carry the ids of the run.
type Dependencies struct {
	RuntimeRecords ports.RuntimeRecordStore
	EngineVersions ports.EngineVersionStore
	OperationLogs  ports.OperationLogStore
	Fences         ports.FenceStore
	RTM            ports.RTMClient
}

// New returns the steps over deps, or an error that names what is missing.
func New(deps Dependencies) (*Activities, error) {
	switch {
	case deps.RuntimeRecords == nil:
		return nil, errors.New("new activities: nil runtime records")
	case deps.EngineVersions == nil:
		return nil, errors.New("new activities: nil engine versions")
	case deps.OperationLogs == nil:
		return nil, errors.New("new activities: nil operation logs")
	case deps.Fences == nil:
		return nil, errors.New("new activities: nil fences")
	case deps.RTM == nil:
		return nil, errors.New("new activities: nil rtm client")
	}
	return &Activities{
		runtimes: deps.RuntimeRecords,
		versions: deps.EngineVersions,
		log:      deps.OperationLogs,
		fences:   deps.Fences,
		rtm:      deps.RTM,
	}, nil
}
