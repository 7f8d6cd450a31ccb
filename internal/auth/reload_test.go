package auth_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

const newer = "canary-newer-0123456789"

// A rewritten file is in force after the interval and not before; each change
// is logged once, with counts.
func TestReload(t *testing.T) {
	d := hang(t, tokenPolicy(secret))
	d.passes(t, secret, "admin")
	require.Equal(t, 1, d.log.count("INFO"))
	d.clock.pass(time.Second)
	d.passes(t, secret, "admin")
	require.Equal(t, 1, d.log.count("INFO"), "nothing has changed")

	// The same length and, it may be, the same time.
	d.write(t, tokenPolicy(newer))
	d.refuses(t, newer, "token is not known")
	d.clock.pass(time.Second - 1)
	d.passes(t, secret, "admin")
	d.clock.pass(1)
	d.passes(t, newer, "admin")
	d.refuses(t, secret, "token is not known")
	require.Equal(t, 2, d.log.count("INFO"))
	require.Contains(t, d.log.String(), `"tokens":1,"issuers":0,"certificates":0`)

	d.write(t, certificatePolicy)
	require.False(t, d.NeedsClientCA())
	require.NoError(t, d.Reload())
	require.True(t, d.NeedsClientCA())
	d.refuses(t, newer, "token is not known")
	require.Zero(t, d.log.count("ERROR"))
}

// A file that is bad, gone, too large or a folder keeps the policy in force,
// which is logged once; a good one puts an end to that.
func TestReloadKeepsWhatIsGood(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"empty":      func(t *testing.T, path string) { write(t, path, "") },
		"no entries": func(t *testing.T, path string) { write(t, path, "tokens: []\n") },
		"not YAML":   func(t *testing.T, path string) { write(t, path, "tokens: ["+newer) },
		"a token":    func(t *testing.T, path string) { write(t, path, "tokens: [{name: a, sha256: "+newer+"}]") },
		"too large":  func(t *testing.T, path string) { write(t, path, strings.Repeat("# "+newer+"\n", 1<<16)) },
		"gone":       func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"a folder": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
		"dangling": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink(path+".none", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := hang(t, tokenPolicy(secret))
			spoil(t, d.path)
			for range 3 {
				d.clock.pass(time.Second)
				d.passes(t, secret, "admin")
			}
			require.Equal(t, 1, d.log.count("ERROR"), d.log)
			require.Error(t, d.Reload())
			require.Equal(t, 1, d.log.count("ERROR"))
			require.NotContains(t, d.log.String(), "canary")

			require.NoError(t, os.RemoveAll(d.path))
			d.write(t, "tokens: canary\n")
			d.clock.pass(time.Second)
			d.passes(t, secret, "admin")
			require.Equal(t, 2, d.log.count("ERROR"), "another fault is told")

			d.write(t, tokenPolicy(secret))
			d.clock.pass(time.Second)
			d.passes(t, secret, "admin")
			require.Equal(t, 2, d.log.count("INFO"))
			d.write(t, "tokens: canary\n")
			require.Error(t, d.Reload())
			require.Equal(t, 3, d.log.count("ERROR"), "the same fault again, after a good file")
			require.NotContains(t, d.log.String(), "canary")
		})
	}
}

// A file that is a link into a folder that is a link, as mounted secrets are,
// is followed anew when the folder's link is swapped.
func TestReloadFollowsLinks(t *testing.T) {
	folder := t.TempDir()
	for name, policy := range map[string]string{"..1": tokenPolicy(secret), "..2": tokenPolicy(newer)} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o700))
		write(t, filepath.Join(folder, name, "auth.yaml"), policy)
	}
	require.NoError(t, os.Symlink("..1", filepath.Join(folder, "..data")))
	require.NoError(t, os.Symlink(filepath.Join("..data", "auth.yaml"), filepath.Join(folder, "auth.yaml")))
	d := &door{clock: newClock(), log: &journal{}, path: filepath.Join(folder, "auth.yaml")}
	d.open(t)
	d.passes(t, secret, "admin")

	require.NoError(t, os.Symlink("..2", filepath.Join(folder, "..tmp")))
	require.NoError(t, os.Rename(filepath.Join(folder, "..tmp"), filepath.Join(folder, "..data")))
	d.clock.pass(time.Second)
	d.passes(t, newer, "admin")
	d.refuses(t, secret, "token is not known")
}

// Keys survive a new policy unless they come from elsewhere in it, so that a
// reload does not depend on the issuer being up.
func TestReloadKeepsKeys(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy())
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")
	server.goDown(true)
	d.write(t, server.policy("games: [demo-]", "name_prefix: 'other:'")+tokenPolicy(secret))
	d.clock.pass(time.Second)
	require.True(t, d.passes(t, good, "other:alice").Limited())
	require.Equal(t, 1, server.hit(keysPath))

	d.write(t, server.policy("jwks_url: "+server.URL+keysPath))
	d.clock.pass(time.Second)
	d.doubts(t, good, keysPath)
	server.goDown(false)
	d.clock.pass(5 * time.Second)
	d.passes(t, good, "oidc:alice")

	// An issuer that is no longer in the policy lets nobody pass.
	d.write(t, tokenPolicy(secret))
	d.clock.pass(time.Second)
	d.refuses(t, good, "token is not known")
}

// Requests and reloads at the same time get along: each request is judged by
// the old policy or by the new one, never by half of each.
func TestReloadUnderLoad(t *testing.T) {
	d := hang(t, tokenPolicy(secret))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				d.clock.pass(time.Second)
				// The file is replaced in one step, as it has to be.
				if caller, err := d.Authenticate(t.Context(), request("Bearer "+secret)); err != nil || caller.Name != "admin" {
					t.Errorf("the right token: %v", err)
				}
			}
		})
	}
	for i := range 50 {
		write(t, d.path+".new", tokenPolicy(secret)+strings.Repeat("# again\n", i))
		require.NoError(t, os.Rename(d.path+".new", d.path))
		require.NoError(t, d.Reload())
	}
	group.Wait()
	require.Zero(t, d.log.count("ERROR"), d.log)
}
