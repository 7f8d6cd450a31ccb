package rtm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"galaxy/gamemaster/internal/adapters/rtm"
)

// A base URL that cannot work is refused at start, by the name of its setting
// and without a byte of what it holds.
func TestNewRefusesBaseURL(t *testing.T) {
	const secret = "hunter2"
	for _, raw := range []string{
		"", "manager", "manager:8080", "/api", "//manager", "ftp://manager", "http:manager",
		"http://", "http://:8080", "http:///path", " http://manager",
		"http://user:" + secret + "@manager", "http://" + secret + "@manager",
		"http://user:" + secret + "/x@manager", "http://user:" + secret + "%zz@manager",
		"http://user:" + secret + "\x7f@manager",
		"http://manager?token=" + secret, "http://manager/?", "http://manager#" + secret, "http://manager/#",
		"http://manager:", "http://manager:0", "http://manager:65536", "http://manager:" + secret,
	} {
		client, err := rtm.New(rtm.Options{BaseURL: raw})
		if err == nil {
			client.Close()
			t.Errorf("New(%q) succeeded", raw)
			continue
		}
		if !strings.Contains(err.Error(), "RTM_URL") || strings.Contains(err.Error(), secret) {
			t.Errorf("New(%q): %q must name RTM_URL and hold no secret", raw, err)
		}
	}
}

func TestNewRefusesOptions(t *testing.T) {
	for name, options := range map[string]rtm.Options{
		"patch timeout":   {PatchTimeout: -time.Second},
		"inspect timeout": {InspectTimeout: -time.Second},
		"fence timeout":   {FenceTimeout: -time.Second},
		"calls":           {Calls: -1},
		"user agent":      {UserAgent: "game\r\nmaster"},
	} {
		options.BaseURL = "http://manager:8080"
		if _, err := rtm.New(options); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

// roundTripper is a transport without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (trip roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	return trip(request)
}

// A base path is kept, with and without a slash at its end, and a game id is
// one escaped segment whatever is in it.
func TestURLs(t *testing.T) {
	const path = "/api/v1/internal/runtimes/"
	for _, test := range []struct{ base, game, want string }{
		{"http://manager:8080", "g", "http://manager:8080" + path + "g"},
		{"http://manager/", "g", "http://manager" + path + "g"},
		{"HTTPS://manager/base", "g", "https://manager/base" + path + "g"},
		{"https://[::1]:8443/base/", "g", "https://[::1]:8443/base" + path + "g"},
		{"http://manager/a%2Fb", "g", "http://manager/a%2Fb" + path + "g"},
		{"http://manager", "a/b", "http://manager" + path + "a%2Fb"},
		{"http://manager", "../x", "http://manager" + path + "..%2Fx"},
		{"http://manager", "a?b#c", "http://manager" + path + "a%3Fb%23c"},
		{"http://manager", "a%2fb", "http://manager" + path + "a%252fb"},
		{"http://manager", "a b\n", "http://manager" + path + "a%20b%0A"},
		{"http://manager", "é", "http://manager" + path + "%C3%A9"},
	} {
		var got string
		client, err := rtm.New(rtm.Options{BaseURL: test.base, Transport: roundTripper(
			func(request *http.Request) (*http.Response, error) {
				got = request.URL.String()
				return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
			})})
		if err != nil {
			t.Errorf("New(%q): %v", test.base, err)
			continue
		}
		_, _ = client.Inspect(t.Context(), test.game)
		if got != test.want {
			t.Errorf("%q, %q: asked %s, want %s", test.base, test.game, got, test.want)
		}
		client.Close()
	}
}
