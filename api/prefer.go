package api

import (
	"fmt"
	"strings"
	"time"
)

// preference is how long a caller wants to wait for a patch (RFC 7240).
type preference struct {
	// wait is how long to wait; zero is not at all.
	wait time.Duration
	// applied is the Preference-Applied of the answer, "" when nothing was
	// preferred.
	applied string
}

const headerPrefer = "Prefer"

// preferenceOf reads the value of Prefer. What is not understood in them is
// ignored, as RFC 7240 wants, and the first of several equal ones counts.
//
// "wait=N" is in seconds and capped at [MaxWait]. "respond-async" alone waits
// for nothing; beside a wait it adds nothing to it, because the answer after a
// wait is asynchronous anyway.
func preferenceOf(text string) preference {
	async, waits, wait := false, false, DefaultWait
	for _, item := range splitQuoted(text, ',') {
		item = splitQuoted(item, ';')[0]
		name, value, valued := strings.Cut(item, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			async = async || !valued
		case "wait":
			if seconds, ok := waitSeconds(value); ok && !waits {
				waits, wait = true, seconds
			}
		}
	}
	var applied []string
	if async {
		applied = append(applied, "respond-async")
	}
	switch {
	case waits:
		applied = append(applied, fmt.Sprintf("wait=%d", int(wait.Seconds())))
	case async:
		wait = 0
	}
	return preference{wait: wait, applied: strings.Join(applied, ", ")}
}

// waitSeconds reads the value of wait, bare or quoted.
func waitSeconds(value string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, `"`) {
		var ok bool
		if value, ok = unquote(value); !ok {
			return 0, false
		}
	}
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, false
	}
	seconds := 0
	for _, digit := range value {
		// Held at the cap at every digit, so that no length overflows it.
		seconds = min(seconds*10+int(digit-'0'), int(MaxWait.Seconds()))
	}
	return time.Duration(seconds) * time.Second, true
}

// splitQuoted splits text at separator where that is not inside double quotes.
// It always returns at least one part.
func splitQuoted(text string, separator byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}
