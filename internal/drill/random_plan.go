package drill

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// plan is everything about a random drill that its seed chooses. What is left is
// the machine's: when each thing comes to pass beside the others.
type plan struct {
	// Games are the versions that the games begin with.
	Games   []string
	Patches []plannedPatch
	Hazards []plannedHazard
}

// plannedPatch is one patch, with what is to happen to it.
type plannedPatch struct {
	Number, Game int
	Version      string
	Force        bool
	// API is which one is asked first.
	API int
	// Key is the Idempotency-Key.
	Key string
	// Strike is nil for a patch that is left alone, and Act when no operator
	// meddles.
	Strike *strike
	Act    *act
	// Second is a second request beside the first one; nil for none.
	Second *second
}

// act is something that an operator, or another writer, does in the middle of a
// patch.
type act struct {
	Kind string
	// Holds keeps the patch open for that long, and After is when it is done.
	Holds, After time.Duration
	// Task is which workflow task a reset goes back to.
	Task int
	// Away is how long the record stays in another status.
	Away time.Duration
}

// The kinds of acts.
const (
	actCancel    = "cancel"
	actCancelRun = "cancel_run"
	actTerminate = "terminate"
	actReset     = "reset"
	actStatus    = "status_away_and_back"
)

func actKinds() []string { return []string{actCancel, actCancelRun, actTerminate, actReset, actStatus} }

// second is another request for the same game while the first is open.
type second struct {
	Kind    string
	Version string
	Key     string
	After   time.Duration
}

// The kinds of second requests.
const (
	secondSameKey      = "same_key"
	secondSameVersion  = "same_version"
	secondOtherVersion = "other_version"
)

func secondKinds() []string { return []string{secondSameKey, secondSameVersion, secondOtherVersion} }

// Shares of the patches, in percent. A third is struck, so that about a fifth of
// the patches meets a fault that fires, and most of the others are left alone: a
// product that only ever sees patches in trouble is not what runs anywhere.
const (
	strikeShare = 30
	actShare    = 8
	secondShare = 12
	forceShare  = 4
	// otherMinorShare is of patches that the rules refuse.
	otherMinorShare = 2
)

const (
	// leastGames and patchesPerGame: each game is patched about twenty times, so
	// that faults meet games with a past, and there are enough for all askers.
	leastGames     = 10
	patchesPerGame = 20

	// patchesPerHazard leaves each hazard some seconds of work around it.
	patchesPerHazard = 50
	leastHazards     = 2
	// everyHazard is from how many patches on every kind of hazard strikes.
	everyHazard = 500

	// roughOneIn keeps workers from being away more often than they work: behind
	// the first round through all strikes, one deck of the rough ones goes with so
	// many of the others.
	roughOneIn = 4
)

// newPlan chooses everything from the seed.
func newPlan(seed uint64, patches int) plan {
	// The stream is the seed's alone; the second number only has to stay.
	random := rand.New(rand.NewPCG(seed, 0))
	var p plan
	for range max(leastGames, patches/patchesPerGame) {
		p.Games = append(p.Games, somewhere(random, ""))
	}
	at := slices.Clone(p.Games)
	struck, acts := newDeck(random, dealStrikes), newDeck(random, dealActs)
	seconds := newDeck(random, func(*rand.Rand, int) []string { return secondKinds() })
	for number := range patches {
		next := plannedPatch{
			Number: number, Game: random.IntN(len(p.Games)), API: random.IntN(2),
			Force: random.IntN(100) < forceShare, Key: fmt.Sprintf("drill-%d-%d", seed, number),
		}
		next.Version = somewhere(random, at[next.Game])
		if random.IntN(100) < otherMinorShare {
			next.Version = otherMinor
		} else {
			at[next.Game] = next.Version
		}
		if chance := random.IntN(100); next.Version == otherMinor {
			// It never gets to where anything strikes.
		} else if chance < strikeShare {
			next.Strike = new(struck.draw())
		} else if chance < strikeShare+actShare {
			next.Act = new(acts.draw())
		}
		if random.IntN(100) < secondShare {
			next.Second = &second{
				Kind: seconds.draw(), Version: somewhere(random, next.Version), Key: next.Key + "-second",
				After: time.Duration(random.IntN(300)) * time.Millisecond,
			}
		}
		p.Patches = append(p.Patches, next)
	}
	p.Hazards = planHazards(random, patches)
	return p
}

// otherMinor is a version that no game of a drill may be patched to.
const otherMinor = "1.5.0"

// somewhere returns a version that games can be patched to, and not from.
func somewhere(random *rand.Rand, from string) string {
	for {
		version := versions()[random.IntN(len(versions()))]
		if version != from && version != otherMinor {
			return version
		}
	}
}

// dealStrikes is a deck of strikes: all of them at first, mostly gentle ones
// after that.
func dealStrikes(random *rand.Rand, round int) (cards []strike) {
	cards = strikes(random)
	if round == 0 {
		return cards
	}
	for range roughOneIn - 1 {
		cards = append(cards, slices.DeleteFunc(strikes(random), func(s strike) bool { return s.Rough })...)
	}
	return cards
}

// dealActs is a deck of acts.
func dealActs(random *rand.Rand, _ int) (cards []act) {
	for _, kind := range actKinds() {
		holds := time.Duration(500+random.IntN(1500)) * time.Millisecond
		cards = append(cards, act{
			Kind: kind, Holds: holds, After: time.Duration(random.Int64N(int64(holds))),
			Task: 1 + random.IntN(resetTasks), Away: time.Duration(100+random.IntN(1900)) * time.Millisecond,
		})
	}
	return cards
}

// resetTasks is about how many workflow tasks a patch has.
const resetTasks = 5

// hold is what keeps the patch open that the act is about.
func (a act) hold() rtmsim.Fault {
	return rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: int(a.Holds.Milliseconds()), Times: 1}
}

// deck deals cards in an order of chance: no card comes again before all others
// have come.
type deck[T any] struct {
	random *rand.Rand
	deal   func(random *rand.Rand, round int) []T
	rounds int
	left   []T
}

func newDeck[T any](random *rand.Rand, deal func(*rand.Rand, int) []T) *deck[T] {
	return &deck[T]{random: random, deal: deal}
}

func (d *deck[T]) draw() T {
	if len(d.left) == 0 {
		d.left = d.deal(d.random, d.rounds)
		d.rounds++
		d.random.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	card := d.left[0]
	d.left = d.left[1:]
	return card
}
