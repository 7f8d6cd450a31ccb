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
	arguments := append([]string{"build", "-o", binary}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(arguments, "galaxy/gamemaster")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gamemaster: %w\n%s", err, out)
	}
	return binary, nil
}
