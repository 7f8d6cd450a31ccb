package devstack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"sort"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// postgresBinaries is a directory with the server's programs.
type postgresBinaries struct {
	dir   string
	major string // such as "15"; as PG_VERSION in a data directory has it
}

func (b postgresBinaries) program(name string) string { return filepath.Join(b.dir, name) }

// findPostgresBinaries looks at $PG_BIN (and then nowhere else), at what
// pg_config names, at the places where packages install to, newest first, and
// at last at a download. A directory with data wants the major version that
// made it.
func findPostgresBinaries(home *postgresHome, progress io.Writer) (postgresBinaries, error) {
	wanted := home.majorVersion()
	if dir := os.Getenv("PG_BIN"); dir != "" {
		bin, ok := inspectBinaries(dir)
		if !ok {
			return postgresBinaries{}, fmt.Errorf("PG_BIN is %s, which has no postgres and initdb", dir)
		}
		return bin, wrongMajor(home, wanted, []postgresBinaries{bin})
	}
	var found []postgresBinaries
	for _, dir := range binaryDirs() {
		bin, ok := inspectBinaries(dir)
		if !ok {
			continue
		}
		if wanted == "" || bin.major == wanted {
			return bin, nil
		}
		found = append(found, bin)
	}
	if len(found) > 0 {
		return postgresBinaries{}, wrongMajor(home, wanted, found)
	}
	if os.Geteuid() == 0 {
		// The download runs its server once, and as its own user.
		return postgresBinaries{}, fmt.Errorf("no Postgres found: %s", installPostgres())
	}
	bin, err := downloadPostgres(wanted, progress)
	if err != nil {
		return postgresBinaries{}, fmt.Errorf("no Postgres found, and none could be downloaded: %s: %w", installPostgres(), err)
	}
	return bin, nil
}

// binaryDirs returns the directories to look into, best first.
func binaryDirs() []string {
	var dirs []string
	if dir, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(dir)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // the RPM packages
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	} {
		matches, _ := filepath.Glob(pattern)
		sort.SliceStable(matches, func(i, j int) bool { return numberIn(matches[i]) > numberIn(matches[j]) })
		dirs = append(dirs, matches...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

func numberIn(path string) int {
	number, _ := strconv.Atoi(digits.FindString(path))
	return number
}

// inspectBinaries reports whether dir has the two programs, and their version.
func inspectBinaries(dir string) (postgresBinaries, bool) {
	bin := postgresBinaries{dir: dir}
	if _, err := os.Stat(bin.program("initdb")); err != nil {
		return bin, false
	}
	version, err := exec.Command(bin.program("postgres"), "--version").Output()
	if err != nil {
		return bin, false
	}
	bin.major = digits.FindString(string(version))
	return bin, bin.major != ""
}

// majorVersion returns the Postgres version that made the data; empty when
// there is no data yet.
func (h *postgresHome) majorVersion() string {
	version, err := os.ReadFile(filepath.Join(h.data, "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(version))
}

func wrongMajor(home *postgresHome, wanted string, found []postgresBinaries) error {
	var majors []string
	for _, bin := range found {
		if wanted == "" || bin.major == wanted {
			return nil
		}
		majors = append(majors, bin.major)
	}
	return fmt.Errorf("data directory %s was made by Postgres %s and only %s is installed: install Postgres %s or remove the directory",
		home.root, wanted, strings.Join(majors, ", "), wanted)
}

// installPostgres names the one command that installs a server here.
func installPostgres() string {
	if goruntime.GOOS == "darwin" {
		return "install it with `brew install postgresql@17`"
	}
	for _, manager := range []struct{ program, command string }{
		{"apt-get", "apt-get install postgresql"},
		{"dnf", "dnf install postgresql-server"},
		{"apk", "apk add postgresql"},
		{"pacman", "pacman -S postgresql"},
	} {
		if _, err := exec.LookPath(manager.program); err == nil {
			return "install it with `" + manager.command + "`"
		}
	}
	return "install a Postgres server, or point PG_BIN at the directory of its programs"
}

// downloadable maps the major versions that can be downloaded.
var downloadable = map[string]embeddedpostgres.PostgresVersion{
	"": embeddedpostgres.V17, "18": embeddedpostgres.V18, "17": embeddedpostgres.V17,
	"16": embeddedpostgres.V16, "15": embeddedpostgres.V15, "14": embeddedpostgres.V14,
}

// downloadPostgres fetches a server's programs into the user's cache, once,
// and returns where they are. The library downloads only on its way to starting
// a server, so it starts one and stops it again.
func downloadPostgres(wanted string, progress io.Writer) (postgresBinaries, error) {
	version, ok := downloadable[wanted]
	if !ok {
		return postgresBinaries{}, fmt.Errorf("postgres %s cannot be downloaded", wanted)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return postgresBinaries{}, err
	}
	cache = filepath.Join(cache, "gamemaster", "postgres-"+string(version))
	if bin, ok := inspectBinaries(filepath.Join(cache, "bin")); ok {
		return bin, nil
	}
	fmt.Fprintf(progress, "postgres: downloading version %s, once, to %s\n", version, cache)
	trial, err := os.MkdirTemp("", "gamemaster-download-")
	if err != nil {
		return postgresBinaries{}, err
	}
	defer func() { _ = os.RemoveAll(trial) }()
	var port Postgres
	if err := port.choosePort(); err != nil {
		return postgresBinaries{}, err
	}
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).Port(uint32(port.port)).CachePath(cache).BinariesPath(cache).
		RuntimePath(trial).DataPath(filepath.Join(trial, "data")).Logger(io.Discard))
	if err := server.Start(); err != nil {
		return postgresBinaries{}, err
	}
	if err := server.Stop(); err != nil {
		return postgresBinaries{}, err
	}
	bin, ok := inspectBinaries(filepath.Join(cache, "bin"))
	if !ok {
		return postgresBinaries{}, errors.New("the download has no postgres and initdb")
	}
	return bin, nil
}
