package watcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// Files sends the path of each of the files when it changes, until ctx ends. It
// watches their directories, not the files: a file that is replaced takes its
// watch with it. While a directory is missing, Files watches the nearest one
// above it; when the directory appears, Files sends all files it should hold.
// What cannot be watched is logged and left out; the interval makes up for it.
//
// The channel holds each path once at most, so a burst of changes may arrive as
// one. The reader looks at the file itself.
func Files(ctx context.Context, log *slog.Logger, files ...string) (<-chan string, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch files: %w", err)
	}
	f := fileEvents{log: log, notify: n, files: files, watched: map[string]bool{}}
	for _, file := range files {
		f.watched[filepath.Dir(file)] = false
	}
	f.cover()
	f.waiting = nil // what was there before is nothing new
	touched := make(chan string)
	go func() {
		defer n.Close()
		f.forward(ctx, touched)
	}()
	return touched, nil
}

// fileEvents turns events of directories into paths of files.
type fileEvents struct {
	log     *slog.Logger
	notify  *fsnotify.Watcher
	files   []string
	watched map[string]bool // their directories, and whether those are watched
	waiting []string        // the paths to send
}

// cover watches every directory, or the nearest one above it. When a directory
// has appeared, cover queues its files.
func (f *fileEvents) cover() {
	for dir, already := range f.watched {
		f.watched[dir] = f.nearest(dir) == dir
		if f.watched[dir] && !already {
			f.touch(func(file string) bool { return filepath.Dir(file) == dir })
		}
	}
}

// nearest watches a directory or, while that is not there, the nearest one
// above it, and returns which.
func (f *fileEvents) nearest(dir string) string {
	missing := ""
	for at := dir; ; at = filepath.Dir(at) {
		err := f.notify.Add(at)
		switch {
		case err == nil && missing != "" && exists(missing):
			return f.nearest(dir) // it came in between
		case err == nil:
			return at
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR), at == filepath.Dir(at):
			f.log.Debug("directory is not watched", "directory", at, "error", err)
			return ""
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

// event handles one event: of a file, or of a directory on the way to one.
func (f *fileEvents) event(e fsnotify.Event) {
	f.touch(func(file string) bool { return file == e.Name })
	if gone := e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename); gone && f.watched[e.Name] {
		f.notify.Remove(e.Name) // one that was moved is watched where it went
		f.watched[e.Name] = false
	}
	for _, watched := range f.watched {
		if !watched {
			f.cover()
			return
		}
	}
}

// forward sends the queued paths.
func (f *fileEvents) forward(ctx context.Context, touched chan<- string) {
	for {
		var out chan<- string
		var next string
		if len(f.waiting) > 0 {
			out, next = touched, f.waiting[0]
		}
		select {
		case <-ctx.Done():
			return
		case out <- next:
			f.waiting = f.waiting[1:]
		case e := <-f.notify.Events:
			f.event(e)
		case err := <-f.notify.Errors:
			// Events may have been lost.
			f.log.Debug("file events were lost", "error", err)
			f.cover()
			f.touch(func(string) bool { return true })
		}
	}
}
