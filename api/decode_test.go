package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
)

// Whatever the bytes, the decoder returns; what it takes is within every
// bound, is what encoding/json reads too, and comes back the same when it is
// written and read again; what it refuses it refuses by name.
func FuzzDecodePatch(f *testing.F) {
	for _, seed := range []string{
		goodBody,
		`{"version":"1.4.3","source_ref":"T-1","op_source":"admin_cli","reason":"a\nb","force":true}`,
		`{"version":""}`,
		`{"Version":"1.4.3","version":"1.4.4"}`,
		`{"version":"1.4.3","version":"1.4.4"}`,
		`{"version":"\ud83d\ude80"}`,
		`{"version":"\ud800"}`,
		`{"version":{"a":[[[1]]]}}`,
		`{"version":"1"}{}`,
		`{"version"`,
		"{\"version\":\"\xff\"}",
		`[]`, ``, `null`, `{"":"", "x":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		body, mistakes := api.DecodePatch(encoded)
		if len(mistakes) > 0 {
			require.Equal(t, api.PatchBody{}, body)
			require.LessOrEqual(t, len(mistakes), 10)
			for _, mistake := range mistakes {
				require.NotEmpty(t, mistake.Detail)
				require.LessOrEqual(t, len(mistake.Field), 64)
			}
			return
		}
		require.LessOrEqual(t, len(body.Version), engineversion.MaxLength)
		require.LessOrEqual(t, len(body.SourceRef), patch.MaxSourceRef)
		require.LessOrEqual(t, len(body.Reason), patch.MaxReason)
		for _, text := range []string{body.Version, body.SourceRef, body.OpSource} {
			require.True(t, utf8.ValidString(text))
			require.False(t, strings.ContainsFunc(text, unicode.IsControl))
		}
		var loose api.PatchBody
		require.NoError(t, json.Unmarshal(encoded, &loose))
		require.Equal(t, loose, body)

		again, err := json.Marshal(body)
		require.NoError(t, err)
		same, mistakes := api.DecodePatch(again)
		require.Empty(t, mistakes)
		require.Equal(t, body, same)
	})
}
