package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/cli"
)

// TestConfirm proves that a record is deleted only for somebody who says yes.
func TestConfirm(t *testing.T) {
	t.Parallel()
	for said, deleted := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "n\n": false, "demo-1\n": false, "": false} {
		s := newServer(t, map[string][]reply{"DELETE /runtimes/demo-1": {{204, ""}}})
		code, _, stderr := s.run(cli.Shell{Asks: true, Stdin: said}, "runtimes", "delete", "demo-1")
		require.Contains(t, stderr, `Delete the record of "demo-1"?`)
		require.Equal(t, deleted, code == cli.ExitDone, "%q: %s", said, stderr)
		require.Equal(t, deleted, len(s.asked) == 1)
	}
}

// TestTokenHash proves that the entry lets the token's holder pass when it is put
// into a policy, and that the token is not printed.
func TestTokenHash(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"", "\n", "\r\n"} {
		code, stdout, stderr := cli.Shell{Stdin: token + end}.Run("token", "hash", "--name", "ops",
			"--scope", "runtime:read", "--scope", "runtime:patch", "--game", "demo-")
		require.Zero(t, code, stderr)
		require.NotContains(t, stdout+stderr, token)
		policy, err := auth.Parse([]byte("tokens:\n"+stdout), "")
		require.NoError(t, err, stdout)
		require.Len(t, policy.Tokens, 1)
		require.Equal(t, "ops", policy.Tokens[0].Name)
		require.Equal(t, []auth.Scope{auth.ScopeRead, auth.ScopePatch}, policy.Tokens[0].Scopes)
		require.Equal(t, []string{"demo-"}, policy.Tokens[0].Games)
		require.Contains(t, stdout, auth.HashToken(token))
	}
	code, stdout, _ := cli.Shell{Stdin: token}.Run("token", "hash", "--name", "ops")
	require.Zero(t, code)
	policy, err := auth.Parse([]byte("tokens:\n"+stdout), "")
	require.NoError(t, err)
	require.Equal(t, []auth.Scope{auth.ScopeRead}, policy.Tokens[0].Scopes, "the least")
	require.Nil(t, policy.Tokens[0].Games)

	for _, row := range []struct {
		stdin, args string
		code        int
		says        string
	}{
		{"s3cret", "--name ops", 2, "shorter"},
		{"s3cret with spaces in it", "--name ops", 2, "visible ASCII"},
		{token + "\n" + token, "--name ops", 2, "visible ASCII"},
		{"", "--name ops", 2, "shorter"},
		{strings.Repeat("x", 100_000), "--name ops", 2, "longer"},
		{token, "--name no/name", 2, "name"},
		{token, "", 64, "--name"},
		{token, "--name ops --scope runtime:all", 64, "runtime:all"},
		{token, "--name ops " + token, 64, "unexpected"},
	} {
		code, stdout, stderr := cli.Shell{Stdin: row.stdin}.Run(append([]string{"token", "hash"}, strings.Fields(row.args)...)...)
		require.Equal(t, row.code, code, stderr)
		require.Contains(t, stderr, row.says)
		require.Empty(t, stdout)
		require.NotContains(t, stderr, "s3cret")
	}
}

// TestHelp proves that the exit codes are told where people look for them, and
// that no secret of the environment is.
func TestHelp(t *testing.T) {
	t.Setenv("GAMEMASTER_TOKEN", token)
	for _, args := range [][]string{{"--help"}, {"patch", "--help"}, {"runtimes", "list", "--help"}} {
		code, stdout, stderr := cli.Shell{}.Run(args...)
		require.Zero(t, code, stderr)
		require.NotContains(t, stdout+stderr, token)
	}
	_, stdout, _ := cli.Shell{}.Run("--help")
	require.Contains(t, strings.Join(strings.Fields(stdout), " "), "75 nobody answers")
}

// TestCompletion proves that the shell is told commands, flags and choices.
func TestCompletion(t *testing.T) {
	for line, offers := range map[string]string{
		"gamemaster runt":                     "runtimes\n",
		"gamemaster runtimes de":              "delete\n",
		"gamemaster runtimes list --status f": "finished\n",
		"gamemaster patch --dry":              "--dry-run\n",
	} {
		t.Setenv("COMP_LINE", line)
		code, stdout, stderr := cli.Shell{}.Run()
		require.Zero(t, code, stderr)
		require.Equal(t, offers, stdout, line)
	}
	t.Setenv("COMP_LINE", "")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, stdout, stderr := cli.Shell{}.Run("completion", "--code", shell)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, "gamemaster")
	}
}

// TestInterruptedQuestion proves that a question does not outlive an interrupt.
func TestInterruptedQuestion(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newServer(t, nil)
	code, _, _ := s.run(cli.Shell{Context: ctx, Asks: true, Endless: true}, "runtimes", "delete", "demo-1")
	require.Equal(t, cli.ExitFailed, code)
	require.Empty(t, s.asked)
}
