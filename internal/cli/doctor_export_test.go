package cli

import "time"

// ClockFinding is what doctor makes of a clock.
func ClockFinding(before, there, after time.Time) (ok bool, seen, mend string) {
	f := clockFinding(before, there, after)
	return f.Verdict == verdictOK, f.Seen, f.Mend
}
