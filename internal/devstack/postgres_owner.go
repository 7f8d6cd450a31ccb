package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgresOwner is the user that the server runs as. Postgres refuses root,
// for good reasons, so root runs it as somebody else.
type postgresOwner struct {
	name       string
	uid, gid   uint32
	credential *syscall.Credential // nil: this process's own user
}

func findPostgresOwner() (postgresOwner, error) {
	if os.Geteuid() != 0 {
		return postgresOwner{name: "you", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		owner := postgresOwner{name: name, uid: uint32(uid), gid: uint32(gid)}
		owner.credential = &syscall.Credential{Uid: owner.uid, Gid: owner.gid}
		return owner, nil
	}
	return postgresOwner{}, errors.New("postgres does not run as root, and there is neither a user postgres nor nobody: run gamemaster as an ordinary user")
}

// own gives a path to the server's user.
func (o postgresOwner) own(path string) error {
	if o.credential == nil {
		return nil
	}
	if err := os.Chown(path, int(o.uid), int(o.gid)); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, o.name, err)
	}
	return nil
}

// checkEnterable reports the first directory on the way down to dir that the
// server's user may not pass through.
func (o postgresOwner) checkEnterable(dir string) error {
	if o.credential == nil {
		return nil // it is our own user, whom the system tells itself
	}
	blocked := ""
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("postgres data directory: %w", err)
		}
		if !o.mayEnter(info) {
			blocked = at // the outermost one wins: it has to be mended first
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	if blocked == "" {
		return nil
	}
	return fmt.Errorf("user %s, which postgres runs as, cannot enter %s: run `chmod o+x %s` or choose a directory elsewhere", o.name, blocked, blocked)
}

// mayEnter judges by the permission bits; access lists are not looked at.
func (o postgresOwner) mayEnter(info os.FileInfo) bool {
	const execute = 0o1
	mode := info.Mode().Perm()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok && stat.Uid == o.uid:
		return mode>>6&execute != 0
	case ok && stat.Gid == o.gid:
		return mode>>3&execute != 0
	}
	return mode&execute != 0
}
