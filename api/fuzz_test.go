package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// Whatever the text, reading a cursor returns. What is read is written again as
// a cursor of the same lists, and every place that a list can have comes back
// from its cursor as it was.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, seconds int64, key string, id int64, page []byte) {
		if read, err := api.DecodeCursor(text); err == nil {
			again, err := api.DecodeCursor(api.EncodeCursor(read))
			require.NoError(t, err)
			requireSamePlace(t, read, again)
		}
		if !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
			return // no game id
		}
		// From the year 1 to the year 9999, as the records' times are.
		const first, span = -62135596800, 315537897600
		at := time.Unix(first+int64(uint64(seconds)%span), id&0xffff).UTC()
		for _, place := range []api.Cursor{
			{Time: at, Key: key, List: "runtimes"}, {Time: at, ID: id, List: "operations"}, {Page: page, List: "open"},
			{ID: id, List: "drift"},
		} {
			written := api.EncodeCursor(place)
			if len(written) > 2048 {
				continue
			}
			read, err := api.DecodeCursor(written)
			require.NoError(t, err)
			requireSamePlace(t, place, read)
		}
	})
}

func requireSamePlace(t *testing.T, want, got api.Cursor) {
	t.Helper()
	require.Equal(t, api.PlaceFits(want), api.PlaceFits(got))
	require.True(t, want.Time.Equal(got.Time))
	require.Equal(t, want.Key, got.Key)
	require.Equal(t, want.ID, got.ID)
	require.Equal(t, want.List, got.List)
	require.True(t, bytes.Equal(want.Page, got.Page))
}

var patchIDRegexp = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}\.[a-z2-7]{26}$`)

// Whatever bytes stand in a path where an id belongs, the answer is one of the
// contract and no internal error; what passes has the shape of the id, and an id
// of that shape passes.
func FuzzPathIDs(f *testing.F) {
	f.Fuzz(func(t *testing.T, which uint8, segment string) {
		places := []struct {
			before, after string
			shape         func(string) bool
		}{
			{games + "/", "/operations", runtime.ValidGameID},
			{patches + "/", "", patchIDRegexp.MatchString},
			{versions + "/", "", possibleVersion},
		}
		place := places[int(which)%len(places)]
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(
			"GET " + place.before + segment + place.after + " HTTP/1.1\r\nHost: localhost\r\n\r\n")))
		if err != nil {
			return // net/http answers it
		}
		request.Header = http.Header{"Authorization": {"Bearer " + secret}}
		request = request.WithContext(t.Context())
		h := build(t)
		h.anything()
		got := h.serve(t, request)
		require.Less(t, got.status, 500, got.body)
		if strings.ContainsAny(segment, "/?# \t\r\n\x00") || request.URL.Opaque != "" {
			return // another path, or no path
		}
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return
		}
		if got.status == http.StatusOK {
			require.True(t, place.shape(plain), "%q passed", plain)
		} else if place.shape(plain) {
			require.Equal(t, http.StatusOK, got.status, "%q was refused: %s", plain, got.body)
		}
	})
}

// possibleVersion reports whether there can be such a version: numbers that are
// too large to be compared are none.
func possibleVersion(version string) bool {
	parsed, err := engineversion.ParseSemver(version)
	const tooLarge = 1e18
	return err == nil && parsed.Major() < tooLarge && parsed.Minor() < tooLarge && parsed.Patch() < tooLarge
}

// anything has everything that is read answered, of whatever id.
func (h *house) anything() {
	entry := entryOf("1.4.3", engineversion.StatusActive)
	h.runtimes.EXPECT().Get(gomock.Any(), gomock.Any()).Return(record("demo-1"), nil).AnyTimes()
	h.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).AnyTimes()
	h.pages.EXPECT().PageDueRunning(gomock.Any(), gomock.Any()).AnyTimes()
	h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).AnyTimes()
	h.versions.EXPECT().List(gomock.Any()).AnyTimes()
	h.versions.EXPECT().Get(gomock.Any(), gomock.Any()).Return(entry, nil).AnyTimes()
	h.versions.EXPECT().Users(gomock.Any(), gomock.Any()).AnyTimes()
	h.patcher.look = viewing(patch.View{Handle: handleFor(somePatch)}, nil)
}

// Whatever the header, the answer is no internal error; a key that passes is
// visible ASCII within its bound, and in quotes it is the same key.
func FuzzIdempotencyKey(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		key, ok := api.ReadKey(text)
		if ok && key != "" {
			require.LessOrEqual(t, len(key), api.MaxIdempotencyKey)
			require.Regexp(t, `^[!-~]+$`, key)
			quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
			same, ok := api.ReadKey(quoted)
			require.True(t, ok)
			require.Equal(t, key, same)
		}
		h := build(t)
		var claims []string
		h.keys.EXPECT().Claim(gomock.Any(), gomock.Any()).DoAndReturn(
			func(ctx context.Context, input ports.ClaimInput) (ports.IdempotencyKey, error) {
				require.NoError(t, input.Validate())
				claims = append(claims, input.Key)
				return claimed(ctx, input)
			}).AnyTimes()
		h.keys.EXPECT().Settle(gomock.Any(), gomock.Any()).AnyTimes()
		h.keys.EXPECT().KeepResult(gomock.Any(), gomock.Any(), gomock.Any(), gomock.Any()).AnyTimes()
		got := h.post(t, text, goodBody)
		if ok && key != "" {
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.Equal(t, []string{key}, claims)
			return
		}
		got.blames(t, "Idempotency-Key")
		require.Empty(t, claims)
		h.patcher.untouched(t)
	})
}

// Whatever the header, it is a wait of a whole number of seconds, sixty at most;
// what is told to have been applied means the same when it is sent back.
func FuzzPrefer(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		seconds, applied := api.Preferred(text)
		require.GreaterOrEqual(t, seconds, 0.0)
		require.LessOrEqual(t, seconds, api.MaxWait.Seconds())
		require.Equal(t, float64(int(seconds)), seconds)
		require.Regexp(t, `^(respond-async)?(, )?(wait=[0-9]{1,2})?$`, applied)
		if applied != "" {
			again, same := api.Preferred(applied)
			require.Equal(t, seconds, again)
			require.Equal(t, applied, same)
		} else {
			require.Equal(t, api.DefaultWait.Seconds(), seconds)
		}
		got := build(t).call(t, http.MethodPost, patchPath, goodBody, "Prefer", text)
		if seconds > 0 {
			require.Equal(t, http.StatusOK, got.status, got.body)
		} else {
			require.Equal(t, http.StatusAccepted, got.status, got.body)
		}
		require.Equal(t, applied, got.header.Get("Preference-Applied"))
	})
}

// strictly is what encoding/json makes of a body, without unknown keys.
func strictly[T any](t *testing.T, encoded []byte) T {
	t.Helper()
	var body T
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&body), "%q", encoded)
	return body
}
