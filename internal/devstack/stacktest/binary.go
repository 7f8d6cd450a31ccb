package stacktest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// BuildGamemaster builds the gamemaster under test, with flags of go build such as
// [RaceFlags], and returns its path in dir.
func BuildGamemaster(ctx context.Context, dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "gamemaster")
	// Debugging information is a tenth of the build, and nobody reads it here.
	arguments := append([]string{"build", "-ldflags=-w", "-o", binary}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(arguments, "galaxy/gamemaster")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gamemaster: %w\n%s", err, out)
	}
	return binary, nil
}
