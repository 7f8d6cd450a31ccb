package main

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server on a new file lists its runs in a second one beside it, and finds both again; whatever the path has in it.
func TestStoreOfNewFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a b%20c?#.sqlite")
	for _, start := range []string{"first", "second"} {
		st := openedStore(t, file)
		if st.visibility.DatabaseName != (&url.URL{Path: file + "_visibility"}).EscapedPath() || st.visibility.PluginName != st.conf.PluginName {
			t.Fatalf("%s start: runs are listed in %s", start, st.visibility.DatabaseName)
		}
		if st.persistence().DataStores["visibility"].SQL != st.visibility || st.persistence().DataStores["history"].SQL != st.conf {
			t.Fatalf("%s start: stores %+v", start, st.persistence())
		}
		for _, path := range []string{file, file + "_visibility"} {
			requireSchema(t, path)
		}
		st.close()
	}
}

// A file that was begun without a second one goes on without: the runs in it are listed in it, and none vanishes from a
// list. So it is with one that start-dev began, and with one whose first start was cut off before the second file.
func TestStoreOfFileBegunAlone(t *testing.T) {
	for name, begin := range map[string]func(file string) error{
		"by a server of before": func(file string) error { return ensureSchema(context.Background(), file) },
		"and cut off":           func(file string) error { return os.WriteFile(file, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "temporal.sqlite")
			if err := begin(file); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				st := openedStore(t, file)
				if st.visibility != st.conf {
					t.Fatalf("runs are listed in %s", st.visibility.DatabaseName)
				}
				requireSchema(t, file)
				st.close()
			}
			if _, err := os.Stat(file + "_visibility"); !os.IsNotExist(err) {
				t.Fatalf("a second file: %v", err)
			}
		})
	}
}

// A second file whose first one is gone is refused: it would list runs that nobody has. The file is not begun anew, so
// that the next start is refused as well, and the database is given free.
func TestStoreOfFileThatIsGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "temporal.sqlite")
	openedStore(t, file).close()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := openStore(fileOptions(t, file))
		if err == nil || !strings.Contains(err.Error(), file+"_visibility, which lists its runs, is left") {
			t.Fatalf("error %v", err)
		}
	}
	if err := os.Remove(file + "_visibility"); err != nil {
		t.Fatal(err)
	}
	openedStore(t, file).close()
}

// In memory there is one database, which lists its own runs.
func TestStoreInMemory(t *testing.T) {
	st := openedStore(t, "")
	if st.visibility != st.conf {
		t.Fatalf("runs are listed in %s, not in %s", st.visibility.DatabaseName, st.conf.DatabaseName)
	}
}

func fileOptions(t *testing.T, file string) *options {
	t.Helper()
	o, err := parseOptions([]string{"--db-filename", file})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func openedStore(t *testing.T, file string) *store {
	t.Helper()
	st, err := openStore(fileOptions(t, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.close)
	return st
}

// requireSchema looks for the table that runs are listed in.
func requireSchema(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var tables int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_master WHERE name = 'executions_visibility'").Scan(&tables); err != nil || tables != 1 {
		t.Fatalf("%s: %d tables, %v", file, tables, err)
	}
}
