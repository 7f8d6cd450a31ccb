package drill

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/workerfault"
)

// strike is one way in which a patch of a random drill is spoilt: one fault, and
// where that only strikes an undo, what makes the undo necessary.
type strike struct {
	Layer Layer
	// Mode is what happens, and Target what it happens to.
	Mode, Target string
	// Rough says that it takes a worker away from all the other patches too.
	Rough bool

	// Before are faults of Runtime Manager that have to come first. They are not
	// counted.
	Before []rtmsim.Fault
	// One of these is the fault; Games and names are filled in when it is put.
	Manager *rtmsim.Fault
	Store   *pgfault.Fault
	// API is a fault of a statement of the APIs, which names the key and not the
	// game.
	API    *pgfault.Fault
	Worker *workerfault.Fault
	// Resumes is when a worker goes on that stopped itself.
	Resumes time.Duration
}

// Kind is what the strike is counted as.
func (s strike) Kind() string { return s.Mode }

// name tells the strike, for names of faults.
func (s strike) name() string { return named(s.Layer, s.Mode, s.Target) }

// strikes returns every way to spoil a patch, in an order that never changes.
// What is left to chance of each - a status, a delay - is drawn from random.
func strikes(random *rand.Rand) []strike {
	return slices.Concat(managerStrikes(random), storeStrikes(random), workerStrikes(random))
}

// needsUndo has the recreate take place and be refused, so that the container
// has to be put back.
func needsUndo() []rtmsim.Fault {
	return []rtmsim.Fault{{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: http.StatusConflict, Times: 1}}
}

// The targets of faults of Runtime Manager. The recreate of an undo is the same
// call as that of a patch, behind a first one.
const (
	targetRecreate = "recreate"
	targetRestore  = "restore"
	targetLook     = "look"
	targetFence    = "fence"
)

func managerModes() []rtmsim.Mode {
	return []rtmsim.Mode{
		rtmsim.ModeStatus, rtmsim.ModeAppliedThenStatus, rtmsim.ModeReset, rtmsim.ModeAppliedThenReset,
		rtmsim.ModeHang, rtmsim.ModeAppliedThenHang, rtmsim.ModeSlow, rtmsim.ModeAppliedThenSlow,
		rtmsim.ModeGarbage, rtmsim.ModeAppliedThenGarbage, rtmsim.ModeLie, rtmsim.ModeOtherImage,
	}
}

// managerStrikes are Runtime Manager's: every mode at every call.
func managerStrikes(random *rand.Rand) (list []strike) {
	// Mostly what heals by itself: a patch that is refused for good proves less.
	statuses := []int{500, 502, 503, 503, 504, 429, 409}
	for _, at := range []struct {
		target string
		op     rtmsim.Op
		before []rtmsim.Fault
	}{
		{targetRecreate, rtmsim.OpPatch, nil},
		{targetRestore, rtmsim.OpPatch, needsUndo()},
		{targetLook, rtmsim.OpInspect, nil},
		{targetFence, rtmsim.OpFence, needsUndo()},
	} {
		for _, mode := range managerModes() {
			if mode == rtmsim.ModeOtherImage && at.op != rtmsim.OpPatch {
				continue
			}
			fault := rtmsim.Fault{
				Op: at.op, Mode: mode, Times: 1 + random.IntN(2),
				Status:  statuses[random.IntN(len(statuses))],
				DelayMS: 200 + random.IntN(2800),
			}
			if mode == rtmsim.ModeHang || mode == rtmsim.ModeAppliedThenHang {
				// One is half the budget already.
				fault.Times = 1
			}
			if mode == rtmsim.ModeLie {
				fault.ImageRef = Image(versions()[random.IntN(len(versions()))]).ImageRef
			}
			if fault.Status == http.StatusTooManyRequests {
				fault.RetryAfter = 1 + random.IntN(2)
			}
			list = append(list, strike{
				Layer: LayerManager, Mode: string(mode), Target: at.target, Before: at.before, Manager: &fault,
			})
		}
	}
	return list
}

func storeModes() []pgfault.Mode {
	return []pgfault.Mode{
		pgfault.CutBefore, pgfault.CutAfter, pgfault.Error, pgfault.ErrorAfter,
		pgfault.Hang, pgfault.HangAfter, pgfault.Slow, pgfault.Late,
	}
}

// The statements of a request's key.
const (
	claimsKey  = `INSERT INTO idempotency_keys`
	settlesKey = `UPDATE idempotency_keys SET patch_id`
)

// storeStrikes are Postgres': every mode at every statement that says which game
// or which request it is about.
func storeStrikes(random *rand.Rand) (list []strike) {
	// Busy, deadlocked, shut down, starting, full, too many connections.
	codes := []string{"40001", "40P01", "57P01", "57P03", "53100", "53300", "57014"}
	for _, at := range []struct {
		target, sql string
		ofAPI       bool
	}{
		{"load", readsRecord, false}, {"take_fence", takesFence, false},
		{"rotate", rotatesRecord, false}, {"audit", writesRow, false},
		{"claim_key", claimsKey, true}, {"settle_key", settlesKey, true},
	} {
		for _, mode := range storeModes() {
			fault := pgfault.Fault{
				SQL: at.sql, Mode: mode, Times: 1 + random.IntN(2), Code: codes[random.IntN(len(codes))],
				// A late statement comes when its attempt, five seconds, is over.
				Delay: cmp.Or(map[pgfault.Mode]time.Duration{pgfault.Late: 6 * time.Second}[mode],
					time.Duration(200+random.IntN(1800))*time.Millisecond),
			}
			struck := strike{Layer: LayerStore, Mode: string(mode), Target: at.target, Store: &fault}
			if at.ofAPI {
				struck.Layer, struck.Store, struck.API = LayerAPI, nil, &fault
			}
			list = append(list, struck)
		}
	}
	return list
}

func workerModes() []workerfault.Mode {
	return []workerfault.Mode{
		workerfault.KillBefore, workerfault.KillAfter, workerfault.StopBefore, workerfault.StopAfter,
		workerfault.ErrorBefore, workerfault.HangBefore, workerfault.ToldError, workerfault.Silent,
		workerfault.KillInTask,
	}
}

// roughModes take the whole worker away.
func roughModes() []workerfault.Mode {
	return []workerfault.Mode{
		workerfault.KillBefore, workerfault.KillAfter, workerfault.StopBefore, workerfault.StopAfter, workerfault.KillInTask,
	}
}

// workerStrikes are the workers': every mode at every step.
func workerStrikes(random *rand.Rand) (list []strike) {
	const restores = "RestoreContainer"
	steps := []string{"LoadRecord", "ValidateVersion", "TakeFence", "PatchContainer", "UpdateImage", "AppendOperationLog", restores}
	for _, mode := range workerModes() {
		for _, step := range steps {
			struck := strike{
				Layer: LayerWorker, Mode: string(mode), Target: step, Rough: slices.Contains(roughModes(), mode),
				Worker: &workerfault.Fault{Mode: mode, Activity: step, Times: 1}, Resumes: stopped(random),
			}
			if step == restores {
				struck.Before = needsUndo()
			}
			list = append(list, struck)
		}
	}
	return append(list, strike{
		Layer: LayerWorker, Mode: string(workerfault.KillAtClose), Target: "close", Rough: true,
		Worker: &workerfault.Fault{Mode: workerfault.KillAtClose, Times: 1}, Resumes: stopped(random),
	})
}

// missed is longer than a step may be silent before its worker is taken for dead.
const missed = 11 * time.Second

// stopped is how long a worker stands still: mostly a moment, and sometimes long
// enough to come back beside its successor.
func stopped(random *rand.Rand) time.Duration {
	long := random.IntN(4) == 0
	short := time.Second + time.Duration(random.IntN(3000))*time.Millisecond
	if long {
		return missed + time.Duration(random.IntN(2000))*time.Millisecond
	}
	return short
}
