package cli

import (
	"context"
	"errors"
	"net/http"

	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/ports"
)

func (d *doctor) managerChecks() []check {
	return []check{
		{name: "runtime manager", look: d.runtimeManager, gate: true},
		{name: "fencing", look: d.fencing},
	}
}

func (d *doctor) runtimeManager(ctx context.Context) finding {
	if d.settings.RTMURL == "" {
		return finding{Verdict: verdictSkipped, Seen: "RTM_URL is not set"}
	}
	manager, err := rtm.New(rtm.Options{BaseURL: d.settings.RTMURL})
	if err != nil {
		// The error repeats nothing of the URL.
		return ill("have RTM_URL be the base URL of Runtime Manager, such as http://rtm:8090", "%v", err)
	}
	d.manager = manager
	if err := manager.Recognize(ctx); err != nil {
		return ill(mendManager(err), "%v", err)
	}
	return well("answers at RTM_URL as the contract says")
}

// mendManager says what to do about an answer that is not Runtime Manager's.
func mendManager(err error) string {
	refused, ok := errors.AsType[*ports.RTMError](err)
	switch {
	case !ok || refused.Status == 0:
		return "start Runtime Manager, or have RTM_URL name the host and the port where it is"
	case refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden:
		return "let the worker in without credentials, which it has none of, or have RTM_URL name Runtime Manager: this may be something else"
	case refused.Status >= http.StatusInternalServerError:
		return "look into the log of Runtime Manager, or of the proxy before it"
	}
	return "have RTM_URL name Runtime Manager: something else answers there"
}

// fencing tells both answers as well: a patch works with either.
func (d *doctor) fencing(ctx context.Context) finding {
	knows, err := d.manager.KnowsFences(ctx)
	switch {
	case err != nil:
		return ill("see why Runtime Manager answers a look and no PUT …/fence", "%v", err)
	case !knows:
		return well("Runtime Manager knows no fencing numbers: undoing waits for GAMEMASTER_SETTLE_TIME and looks again")
	}
	return well("Runtime Manager knows fencing numbers")
}
