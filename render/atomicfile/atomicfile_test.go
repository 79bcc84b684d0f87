package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	fatal.If(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWriteReplacesTheFileAndItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o666} {
		fatal.If(t, Write(path, []byte("new"), mode))
		info, err := os.Stat(path)
		if err != nil || info.Mode() != mode {
			t.Errorf("mode %v, want %v whatever the umask: %v", info.Mode(), mode, err)
		}
	}
	if left := names(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

func TestWriteThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	fatal.If(t, os.Mkdir(path, 0o700))
	if err := Write(path, []byte("new"), 0o600); err == nil || err.Error() != "replace "+path+": file exists" {
		t.Errorf("a folder in the way: %v", err)
	}
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
	if err := Write(filepath.Join(dir, "none", "state.json"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// Whoever reads while two writers replace the file finds what one of them wrote, whole.
func TestReadersFindWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "probe.ini")
	long := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 100_000)}
	fatal.If(t, Write(path, long[0], 0o600))
	var writers sync.WaitGroup
	for _, content := range long {
		writers.Go(func() {
			for range 100 {
				if err := Write(path, content, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, long[0]) && !bytes.Equal(got, long[1]) {
			t.Fatalf("a reader found %d bytes, %v", len(got), err)
		}
	}
}

func TestWriteRemovesWhatAKilledProcessLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	for name, age := range map[string]time.Duration{
		".state.json.OLD.next": time.Hour, ".state.json.NEW.next": 0, ".other.json.OLD.next": time.Hour, ".state.json.swp": time.Hour,
	} {
		file, made := filepath.Join(dir, name), time.Now().Add(-age)
		fatal.If(t, errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, made, made)))
	}
	fatal.If(t, Write(path, nil, 0o600))
	want := []string{".other.json.OLD.next", ".state.json.NEW.next", ".state.json.swp", "state.json"}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// A folder that others have filled makes a write neither slow nor large.
func TestWriteInAFolderWithManyNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 5_000 {
		fatal.If(t, os.WriteFile(filepath.Join(dir, "other."+strconv.Itoa(i)), nil, 0o600))
	}
	path := filepath.Join(dir, "state.json")
	n := testing.AllocsPerRun(3, func() { fatal.If(t, Write(path, []byte("new"), 0o600)) })
	if n > 10*maxNames {
		t.Errorf("a write makes %v allocations", n)
	}
}
