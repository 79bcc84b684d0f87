package watcher

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// next waits for a file to be touched. Inotify has no virtual time.
func next(t *testing.T, touched <-chan string) string {
	t.Helper()
	select {
	case path := <-touched:
		return path
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told of")
		return ""
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	noError(t, os.WriteFile(path, []byte("x"), 0o600))
}

func TestFilesTellsOfWhateverHappensToThem(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(other, "two")
	write(t, one)
	touched := new(FileWatch).Files(t.Context(), slog.New(&logbook{}), one, two, filepath.Join(dir, "no", "such"))
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"written", func() error { return os.WriteFile(one, []byte("y"), 0o600) }, one},
		{"made", func() error { return os.WriteFile(two, nil, 0o600) }, two},
		{"replaced", func() error {
			write(t, filepath.Join(dir, "aside")) // which nobody asked for
			return os.Rename(filepath.Join(dir, "aside"), one)
		}, one},
		{"replaced again", func() error {
			write(t, filepath.Join(dir, "aside"))
			return os.Rename(filepath.Join(dir, "aside"), one)
		}, one},
		{"deleted", func() error { return os.Remove(two) }, two},
	} {
		noError(t, step.do())
		for path := next(t, touched); path != step.want; path = next(t, touched) {
			if path != one && path != two {
				t.Fatalf("%s: told of %s", step.name, path)
			}
		}
	}
}

func TestFilesFollowsDirectoriesThatComeAndGo(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "file")
	link := filepath.Join(dir, "link", "file") // by way of a link that leads nowhere yet
	noError(t, os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "link")))
	mark := filepath.Join(t.TempDir(), "mark")
	touched := new(FileWatch).Files(t.Context(), slog.New(&logbook{}), deep, link, mark)
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"its directories come", func() error { return os.MkdirAll(filepath.Dir(deep), 0o755) }, deep},
		{"it comes", func() error { return os.WriteFile(deep, nil, 0o600) }, deep},
		{"all is deleted", func() error { return os.RemoveAll(filepath.Join(dir, "a")) }, deep},
		{"all comes at once", func() error {
			if err := os.MkdirAll(filepath.Join(dir, "aside", "b"), 0o755); err != nil {
				return err
			}
			write(t, filepath.Join(dir, "aside", "b", "file"))
			return os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, "a"))
		}, deep},
		{"it is written", func() error { return os.WriteFile(deep, []byte("y"), 0o600) }, deep},
		{"its directory is moved away", func() error { return os.Rename(filepath.Dir(deep), filepath.Join(dir, "gone")) }, ""},
		{"another directory comes", func() error { return os.Mkdir(filepath.Dir(deep), 0o755) }, deep},
		{"it comes again", func() error { return os.WriteFile(deep, nil, 0o600) }, deep},
		{"the link leads somewhere", func() error { return os.Mkdir(filepath.Join(dir, "target"), 0o755) }, link},
		{"a file comes there", func() error { return os.WriteFile(link, nil, 0o600) }, link},
	} {
		if err := step.do(); err != nil {
			t.Fatal(step.name, err)
		}
		for step.want != "" && next(t, touched) != step.want {
		}
		// What is left of this step must not stand for the next one.
		write(t, mark)
		for next(t, touched) != mark {
		}
	}
}

func TestABurstOfEventsLosesNeitherFile(t *testing.T) {
	dir := t.TempDir()
	one, last := filepath.Join(dir, "one"), filepath.Join(dir, "last")
	touched := new(FileWatch).Files(t.Context(), slog.New(&logbook{}), one, last)
	for range 100 {
		write(t, one)
	}
	write(t, last)
	if path := next(t, touched); path != one {
		t.Errorf("told of %s first", path)
	}
	for path := next(t, touched); path != last; path = next(t, touched) {
		if path != one {
			t.Errorf("told of %s", path)
		}
	}
}

func TestFilesEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "file")
	touched := new(FileWatch).Files(ctx, slog.New(&logbook{}), file)
	write(t, file)
	next(t, touched)
	cancel()
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), ".forward(") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a goroutine is left")
		}
	}
}

// blind is a FileWatch on a host that has no inotify instance left.
func blind() *FileWatch {
	return &FileWatch{inotify: func() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE }}
}

func TestFilesLooksWhereTheKernelTellsOfNothing(t *testing.T) {
	dir := t.TempDir()
	one, deep := filepath.Join(dir, "one"), filepath.Join(dir, "a", "b", "file")
	write(t, one)
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		w := blind()
		ctx, cancel := context.WithCancel(t.Context())
		touched := w.Files(ctx, slog.New(log), one, deep)
		for _, step := range []struct {
			name string
			do   func() error
			want string
		}{
			{"written", func() error { return os.WriteFile(one, []byte("yy"), 0o600) }, one},
			{"replaced by its like", func() error {
				return errors.Join(os.WriteFile(one+".new", []byte("zz"), 0o600), os.Rename(one+".new", one))
			}, one},
			{"its mode changes", func() error { return os.Chmod(one, 0o644) }, one},
			{"made, with its directories", func() error {
				return errors.Join(os.MkdirAll(filepath.Dir(deep), 0o755), os.WriteFile(deep, nil, 0o600))
			}, deep},
			{"it becomes a FIFO", func() error { return errors.Join(os.Remove(one), syscall.Mkfifo(one, 0o600)) }, one},
			{"deleted", func() error { return os.Remove(one) }, one},
			{"its directory goes away", func() error { return os.RemoveAll(filepath.Join(dir, "a")) }, deep},
		} {
			if err := step.do(); err != nil {
				t.Fatal(step.name, err)
			}
			start := time.Now()
			if got := <-touched; got != step.want || time.Since(start) > lookEvery {
				t.Errorf("%s: %s after %v", step.name, got, time.Since(start))
			}
		}
		select {
		case path := <-touched:
			t.Errorf("nothing has happened to %s", path)
		case <-time.After(10 * retryEvery):
		}
		cancel()
		again, stop := context.WithCancel(t.Context())
		w.Files(again, slog.New(log), one) // the next round's
		stop()
		log.want(t, 1, "WARN", "looking at them every 2 s", "too many open files")
	})
}

// What happens to a file until the kernel tells of it again is not missed.
func TestFilesTakesInotifyUpWhenItComesBack(t *testing.T) {
	dir := t.TempDir()
	one := filepath.Join(dir, "one")
	write(t, one)
	log := &logbook{}
	w := blind()
	f := fileEvents{watch: w, log: slog.New(log), files: []string{one}, dirs: map[string]coverage{dir: unwatched}, seen: map[string]fileState{}}
	defer f.close()
	f.begin()
	f.lookAround()
	noError(t, os.WriteFile(one, []byte("changed"), 0o600))
	w.inotify = nil
	f.begin()
	if len(f.waiting) != 1 || f.blind() {
		t.Errorf("waiting %q, covered %v", f.waiting, f.dirs)
	}
	log.want(t, 1, "INFO", "notifies the agent of changed files again")
	select {
	case <-f.notify.Errors:
	case e := <-f.notify.Events:
		t.Errorf("%v is old", e)
	default:
	}
	noError(t, os.Remove(one))
	if e := <-f.notify.Events; e.Name != one {
		t.Errorf("told of %v", e)
	}
}
