package engineversion_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/engineversion"
)

// TestParseSemver proves that only strict semantic versions are read.
func TestParseSemver(t *testing.T) {
	for _, version := range []string{"0.0.0", "1.4.2", "1.4.2-rc.1", "1.4.2+build.5", "10.20.30-a+b"} {
		_, err := engineversion.ParseSemver(version)
		require.NoError(t, err, version)
	}
	for _, version := range []string{
		"", " ", "1", "1.4", "v1.4.2", "1.4.2 ", " 1.4.2", "1.04.2", "1.4.2.1", "1.4.x", "latest",
		"1.4.2-", "-1.4.2", "1.4.2\n", "1.4.2\x00", "99999999999999999999.0.0", "1.0.0-" + strings.Repeat("a", 200),
	} {
		_, err := engineversion.ParseSemver(version)
		require.ErrorIs(t, err, engineversion.ErrInvalidSemver, version)
	}
}

// TestIsPatchUpgrade proves that major and minor decide and the patch number
// does not, and that an unreadable version is told by its side.
func TestIsPatchUpgrade(t *testing.T) {
	for _, row := range []struct {
		current, target string
		want            bool
	}{
		{"1.4.2", "1.4.3", true},
		{"1.4.2", "1.4.1", true},
		{"1.4.2", "1.4.2", true},
		{"1.4.2", "1.4.3-rc.1", true},
		{"1.4.2", "1.4.2+b2", true},
		{"1.4.2", "1.5.0", false},
		{"1.4.2", "2.4.2", false},
		{"0.1.0", "0.2.0", false},
	} {
		got, err := engineversion.IsPatchUpgrade(row.current, row.target)
		require.NoError(t, err)
		require.Equal(t, row.want, got, "%s to %s", row.current, row.target)
	}
	_, err := engineversion.IsPatchUpgrade("latest", "1.4.3")
	require.ErrorContains(t, err, "current version")
	_, err = engineversion.IsPatchUpgrade("1.4.2", "1.4")
	require.ErrorContains(t, err, "target version")
	require.ErrorIs(t, err, engineversion.ErrInvalidSemver)
}

// TestEngineVersionValidate proves that each field is asked for by name.
func TestEngineVersionValidate(t *testing.T) {
	good := engineversion.EngineVersion{Version: "1.4.2", ImageRef: "i", Status: engineversion.StatusActive}
	require.NoError(t, good.Validate())
	bad := good
	bad.Version = "v1"
	require.ErrorIs(t, bad.Validate(), engineversion.ErrInvalidSemver)
	bad = good
	bad.ImageRef = " "
	require.ErrorContains(t, bad.Validate(), "image ref")
	bad = good
	bad.Status = "retired"
	require.ErrorContains(t, bad.Validate(), "status")
}
