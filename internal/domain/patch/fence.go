package patch

// FenceStep is the least distance between two fencing numbers of one game that
// were taken one after the other. What lies between belongs to the attempts of
// the step that the lower one was taken for: a step is tried for a day at most,
// and never more than ten times a second.
const FenceStep = 1 << 20

// Fence returns the fencing number of one attempt, counted from one, of the
// step that base was taken for. Runtime Manager refuses a call whose number is
// lower than one that it has seen for the game, so that a call which was given
// up on cannot land after a later one: neither after the undo, nor after the
// next attempt of its own step.
func Fence(base int64, attempt int) int64 {
	return base + int64(min(max(attempt, 1), FenceStep)) - 1
}
