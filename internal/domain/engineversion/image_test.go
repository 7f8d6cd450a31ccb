package engineversion_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/engineversion"
)

// TestCheckImageRef proves that references with a tag or a digest are taken in
// every common form, and nothing else, with a reason that mends it.
func TestCheckImageRef(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for _, ref := range []string{
		"engine:1.4.3", "galaxy/engine:1.4.3", "registry.example/galaxy/engine:1.4.3", "registry.example:5000/engine:1.4.3",
		"localhost:5000/engine:1", "engine:latest", "engine:" + strings.Repeat("a", 128), "[::1]:5000/engine:1", "10.0.0.7/engine:1",
		"engine@" + digest, "registry.example/galaxy/engine:1.4.3@" + digest, "a__b/c-d.e:1_2.3-4",
	} {
		require.NoError(t, engineversion.CheckImageRef(ref), ref)
	}
	for ref, why := range map[string]string{
		"":                                      "is not an image reference",
		" ":                                     "is not an image reference",
		"engine":                                "has neither tag nor digest",
		"registry.example:5000/engine":          "has neither tag nor digest",
		"registry.example/galaxy/engine":        "has neither tag nor digest",
		"engine:":                               "is not an image reference",
		"engine@":                               "is not an image reference",
		"engine:1 ":                             "is not an image reference",
		" engine:1":                             "is not an image reference",
		"engine:1\n":                            "is not an image reference",
		"engine:1;rm":                           "is not an image reference",
		"Engine:1":                              "is not an image reference",
		"galaxy//engine:1":                      "is not an image reference",
		"../engine:1":                           "is not an image reference",
		"https://registry.example/engine:1":     "is not an image reference",
		"engine:" + strings.Repeat("a", 129):    "is not an image reference",
		strings.Repeat("a", 256) + ":1":         "is not an image reference",
		"engine@sha256:abc":                     "is not an image reference",
		digest:                                  "is a digest without a name",
		"engine@md5:" + strings.Repeat("a", 32): "is not an image reference",
		"@" + digest:                            "is not an image reference",
	} {
		err := engineversion.CheckImageRef(ref)
		require.ErrorContains(t, err, why, "%q", ref)
		require.ErrorContains(t, err, "want one such as registry.example/galaxy/engine:1.4.3", "%q", ref)
	}
}
