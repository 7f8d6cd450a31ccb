package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// noSecret: no token or password is kept anywhere: in no history, no audit row
// and no log.
func noSecret(evidence Evidence) (broken []string) {
	for _, secret := range evidence.Secrets {
		if secret.Value == "" {
			// It would be found everywhere, and so nowhere.
			broken = append(broken, fmt.Sprintf("%s is empty, so that nothing can be looked for", secret.Name))
			continue
		}
		for _, log := range evidence.Logs {
			if strings.Contains(log.Text, secret.Value) {
				broken = append(broken, fmt.Sprintf("%s is in the log of %s", secret.Name, log.Process))
			}
		}
		for _, game := range evidence.Games {
			broken = append(broken, secretOf(game, secret)...)
		}
	}
	return broken
}

func secretOf(game GameEvidence, secret Secret) (broken []string) {
	for _, run := range game.Runs {
		if bytes.Contains(run.Raw, []byte(secret.Value)) {
			broken = append(broken, fmt.Sprintf("%s is in the history of run %s", secret.Name, run.RunID))
		}
	}
	for _, row := range game.Rows {
		text, err := json.Marshal(row)
		if err != nil || bytes.Contains(text, []byte(secret.Value)) {
			broken = append(broken, fmt.Sprintf("%s is in audit row %d", secret.Name, row.ID))
		}
	}
	return broken
}

// What the Go runtime writes when a program is at fault.
const (
	toldRace  = "WARNING: DATA RACE"
	toldPanic = "panic: "
	toldFatal = "fatal error: "
)

// noCrash: no process ended by a panic, and none of those that were built to look
// for races found one. A supervisor would hide it: it starts them again. A log
// whose beginning is gone cannot show it.
func noCrash(evidence Evidence) (broken []string) {
	for _, log := range evidence.Logs {
		if log.Truncated {
			broken = append(broken, fmt.Sprintf("the log of %s is not whole: its oldest lines were dropped", log.Process))
		}
		for line := range strings.Lines(log.Text) {
			if strings.HasPrefix(line, toldRace) || strings.HasPrefix(line, toldPanic) || strings.HasPrefix(line, toldFatal) {
				broken = append(broken, fmt.Sprintf("%s wrote: %s", log.Process, strings.TrimSpace(line)))
			}
		}
	}
	return broken
}
