package engineversion_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/engineversion"
)

// semverRegexp is the one that semver.org gives; numbers in it may be larger
// than any that can be compared.
var semverRegexp = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?` +
	`(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)

// FuzzVersion proves that what is read as a version is one by the grammar of
// semver.org and is printed as it was, that everything by that grammar within
// bounds is read, and that being a patch of each other goes both ways.
func FuzzVersion(f *testing.F) {
	f.Fuzz(func(t *testing.T, one, other string) {
		parsed, err := engineversion.ParseSemver(one)
		if err != nil {
			require.ErrorIs(t, err, engineversion.ErrInvalidSemver)
			numbers := semverRegexp.FindStringSubmatch(one)
			if numbers != nil && len(one) <= engineversion.MaxLength {
				// Eighteen digits always fit.
				require.True(t, len(numbers[1]) > 18 || len(numbers[2]) > 18 || len(numbers[3]) > 18, "%q was refused", one)
			}
			_, err := engineversion.IsPatchUpgrade(one, other)
			require.ErrorIs(t, err, engineversion.ErrInvalidSemver)
			return
		}
		require.Regexp(t, semverRegexp, one)
		require.LessOrEqual(t, len(one), engineversion.MaxLength)
		require.Equal(t, one, parsed.String())
		same, err := engineversion.IsPatchUpgrade(one, one)
		require.NoError(t, err)
		require.True(t, same)

		there, err := engineversion.IsPatchUpgrade(one, other)
		if err != nil {
			return
		}
		back, err := engineversion.IsPatchUpgrade(other, one)
		require.NoError(t, err)
		require.Equal(t, there, back)
		line := func(version string) string { return strings.Join(strings.SplitN(version, ".", 3)[:2], ".") }
		require.Equal(t, line(one) == line(other), there)
	})
}

// FuzzImageRef proves that a reference that is taken can be told from another
// and stands in one word: a name with a tag or a digest, and nothing that a
// shell, a log or a header could trip over.
func FuzzImageRef(f *testing.F) {
	f.Fuzz(func(t *testing.T, ref string) {
		if err := engineversion.CheckImageRef(ref); err != nil {
			require.Contains(t, err.Error(), "want one such as registry.example/galaxy/engine:1.4.3")
			return
		}
		require.Regexp(t, `^[A-Za-z0-9._:/@+\[\]=-]+$`, ref)
		name, _, digested := strings.Cut(ref, "@")
		last := name[strings.LastIndex(name, "/")+1:]
		require.True(t, digested || strings.Contains(last, ":"), "%q has neither tag nor digest", ref)
	})
}
