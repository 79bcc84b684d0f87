package watcher

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// lookEvery is how often files are looked at that the kernel does not tell of.
	lookEvery = 2 * time.Second
	// retryEvery is how often the kernel is asked again to tell of them.
	retryEvery = time.Minute
)

// FileWatch tells of files that change. Its zero value is ready for use.
type FileWatch struct {
	told atomic.Bool // the log has it that the kernel does not tell of changes

	inotify func() (*fsnotify.Watcher, error) // nil: fsnotify.NewWatcher
}

// Files sends the path of each of the files when it changes, until ctx ends. It
// watches their directories, not the files: a file that is replaced takes its
// watch with it. While a directory is missing, Files watches the nearest one
// above it; when the directory appears, Files sends all files it should hold.
//
// Where the kernel has no watch for the agent, Files looks at the files every two
// seconds, and says so once. It asks the kernel again every minute.
//
// The channel holds each path once at most, so a burst of changes may arrive as
// one. The reader looks at the file itself.
func (w *FileWatch) Files(ctx context.Context, log *slog.Logger, files ...string) <-chan string {
	f := fileEvents{watch: w, log: log, files: files, dirs: map[string]coverage{}, seen: map[string]fileState{}}
	for _, file := range files {
		f.dirs[filepath.Dir(file)] = unwatched
	}
	f.begin()
	f.lookAround()
	f.waiting = nil // what was there before is nothing new
	touched := make(chan string)
	go func() {
		defer f.close()
		f.forward(ctx, touched)
	}()
	return touched
}

// coverage is how changes in a directory are heard of.
type coverage int

const (
	unwatched coverage = iota // by looking
	above                     // it is missing, and the nearest one above it is watched
	watched
)

// fileEvents turns events of directories into paths of files.
type fileEvents struct {
	watch   *FileWatch
	log     *slog.Logger
	notify  *fsnotify.Watcher // nil: the kernel has none
	files   []string
	dirs    map[string]coverage  // their directories
	seen    map[string]fileState // files in unwatched directories, as they were
	waiting []string             // the paths to send
	why     error                // why a directory is unwatched
}

// begin has the kernel tell of every directory, as far as it does.
func (f *fileEvents) begin() {
	f.why = nil
	if f.notify == nil {
		open := f.watch.inotify
		if open == nil {
			open = fsnotify.NewWatcher
		}
		f.notify, f.why = open()
	}
	if f.why == nil {
		f.cover()
	} else {
		f.notify = nil
	}
	f.tell()
}

func (f *fileEvents) close() {
	if f.notify != nil {
		f.notify.Close()
	}
}

// tell logs whether the kernel tells of changes, when that is new.
func (f *fileEvents) tell() {
	switch {
	case f.blind() && f.watch.told.CompareAndSwap(false, true):
		f.log.Warn("the kernel does not notify the agent of changed files; looking at them every 2 s (sysctl fs.inotify.max_user_instances and max_user_watches set the limits)", "error", f.why)
	case !f.blind() && f.watch.told.CompareAndSwap(true, false):
		f.log.Info("the kernel notifies the agent of changed files again")
	}
}

// blind tells whether some directory is unwatched.
func (f *fileEvents) blind() bool {
	for _, c := range f.dirs {
		if c == unwatched {
			return true
		}
	}
	return false
}

// cover watches every directory, or the nearest one above it. When a directory
// has appeared, cover queues its files.
func (f *fileEvents) cover() {
	for dir, before := range f.dirs {
		now := f.nearest(dir)
		f.dirs[dir] = now
		switch {
		case before == above && now == watched:
			f.touch(func(file string) bool { return filepath.Dir(file) == dir })
		case before == unwatched && now != unwatched:
			f.look(dir) // once more: from here on the kernel tells
		}
	}
}

// nearest watches a directory or, while that is not there, the nearest one
// above it, and returns which.
func (f *fileEvents) nearest(dir string) coverage {
	missing := ""
	for at := dir; ; at = filepath.Dir(at) {
		err := f.notify.Add(at)
		switch {
		case err == nil && missing != "" && exists(missing):
			return f.nearest(dir) // it came in between
		case err == nil && at == dir:
			return watched
		case err == nil:
			return above
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR), at == filepath.Dir(at):
			f.why = err
			return unwatched
		}
		missing = at
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// touch queues every file for which ok is true, each one once until it is sent.
func (f *fileEvents) touch(ok func(file string) bool) {
	for _, file := range f.files {
		if ok(file) && !slices.Contains(f.waiting, file) {
			f.waiting = append(f.waiting, file)
		}
	}
}

// fileState is what changes when a file does.
type fileState struct {
	stat syscall.Stat_t
	err  error
}

// look queues the files in a directory that have changed since the last look.
func (f *fileEvents) look(dir string) {
	f.touch(func(file string) bool {
		if filepath.Dir(file) != dir {
			return false
		}
		var now fileState
		now.err = syscall.Stat(file, &now.stat)
		now.stat.Atim = syscall.Timespec{}
		before, seen := f.seen[file]
		f.seen[file] = now
		return seen && now != before
	})
}

// lookAround looks at all directories that the kernel does not tell of.
func (f *fileEvents) lookAround() {
	for dir, c := range f.dirs {
		if c == unwatched {
			f.look(dir)
		}
	}
}

// event handles one event: of a file, or of a directory on the way to one.
func (f *fileEvents) event(e fsnotify.Event) {
	f.touch(func(file string) bool { return file == e.Name })
	if gone := e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename); gone && f.dirs[e.Name] == watched {
		f.notify.Remove(e.Name) // one that was moved is watched where it went
		f.dirs[e.Name] = above
	}
	for _, c := range f.dirs {
		if c == above {
			f.cover()
			f.tell()
			return
		}
	}
}

// forward sends the queued paths.
func (f *fileEvents) forward(ctx context.Context, touched chan<- string) {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	looks, armed := 0, true
	for {
		if f.blind() && !armed {
			timer.Reset(lookEvery)
			armed = true
		}
		var out chan<- string
		var next string
		if len(f.waiting) > 0 {
			out, next = touched, f.waiting[0]
		}
		var events chan fsnotify.Event
		var errs chan error
		if f.notify != nil {
			events, errs = f.notify.Events, f.notify.Errors
		}
		select {
		case <-ctx.Done():
			return
		case out <- next:
			f.waiting = f.waiting[1:]
		case e := <-events:
			f.event(e)
		case err := <-errs:
			// Events may have been lost.
			f.log.Debug("file events were lost", "error", err)
			f.cover()
			f.touch(func(string) bool { return true })
		case <-timer.C:
			armed = false
			if looks++; looks%int(retryEvery/lookEvery) == 0 && f.blind() {
				f.begin()
			}
			f.lookAround()
		}
	}
}
