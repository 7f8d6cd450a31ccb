package e2e_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnsweredAhead proves, of patches that follow each other as fast as they are
// answered, that none is in the way of the next one, and that whoever looks at
// once is told what the caller was told, and later on from Temporal as well.
func TestAnsweredAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.hasty = true
	versions := []string{"1.4.3", "1.4.2"}
	for n := range 20 {
		answered := r.patch(game, versions[n%2])
		require.Equal(t, http.StatusOK, answered.status, answered.body)
		path := base + "/patches/" + answered.body["patch_id"].(string)
		for range 2 {
			looked := r.call(http.MethodGet, path, "")
			require.Equal(t, "closed", looked.body["state"], strconv.Itoa(n))
			delete(looked.body, "actor")
			require.Equal(t, answered.body, looked.body)
		}
		require.Equal(t, versions[n%2], r.record(game).CurrentEngineVersion)
	}
	require.Len(t, r.audit(game), 20)
}
