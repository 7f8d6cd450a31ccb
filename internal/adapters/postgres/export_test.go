package postgres

import (
	"time"

	"galaxy/gamemaster/internal/ports"
)

// The statements whose plans the tests look at.
var (
	ListDueRunningSQL = listDueRunning.sql
	ListByStatusSQL   = listByStatus.sql
	ListRecordsSQL    = listRecords.sql
	GetRecordSQL      = getRecord.sql
	UpdateImageSQL    = updateImage.sql
	ListByGameSQL     = listByGame.sql
	ListByPatchSQL    = listByPatch.sql
	FindEntrySQL      = findEntry.sql
	FindSuccessSQL    = findSuccess.sql
	ChangeImageSQL    = changeImage.sql
	SettleKeySQL      = settleKey.sql
	PruneKeysSQL      = pruneKeys.sql
	TakeFenceSQL      = takeFence.sql
	ResolveSeenSQL    = resolveSeen.sql
	OpenFoundSQL      = openFound.sql
	ResolveGoneSQL    = resolveGone.sql
	DropFindingsSQL   = dropFindings.sql
	DropPassesSQL     = dropPasses.sql
	CountDriftSQL     = countDrift.sql
	LastPassSQL       = lastPass.sql
)

// RuntimePage returns the statement of a page and its arguments.
func RuntimePage(input ports.RuntimePageInput) (string, []any) { return runtimePage(input).parts() }

// DuePage is as RuntimePage.
func DuePage(input ports.DuePageInput) (string, []any) { return duePage(input).parts() }

// OperationPage is as RuntimePage.
func OperationPage(input ports.OperationPageInput) (string, []any) {
	return operationPage(input).parts()
}

// DriftPage is as RuntimePage.
func DriftPage(input ports.DriftPageInput) (string, []any) { return driftPage(input).parts() }

// ColumnsOf returns the arguments that OpenFoundSQL takes for found, but for the time.
var ColumnsOf = columnsOf

// NoteLockID names the lock that pages are noted under.
const NoteLockID = noteLockID

// SweepBatch is how many rows Finish changes at once.
const SweepBatch = sweepBatch

// Users is as RuntimePage.
func Users(input ports.VersionUsersInput) (string, []any) { return versionUsers(input).parts() }

func (p page) parts() (string, []any) { return p.sql, p.arguments }

// OutcomesKept is how many runs are remembered.
const OutcomesKept = outcomesKept

// Probe has o try its connection every interval, and returns o.
func (o *Outcomes) Probe(interval time.Duration) *Outcomes {
	o.probe = interval
	return o
}

// Hears reports whether anything can be heard.
func (o *Outcomes) Hears() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hears
}

// Tell is as if the row of a run was heard of.
func (o *Outcomes) Tell(runID string) { o.tell(runID) }

// Waiting is how many runs are waited for.
func (o *Outcomes) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}
