package watcher

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// Files sends the path of each of the files that something happens to, until
// ctx ends. Their directories are watched, not the files: a file that is
// replaced takes its watch with it. A directory that is not there is left out,
// with a word in the log; the interval makes up for it.
//
// The channel holds one path of each file at most, so a burst of changes may
// come as one; whoever reads it looks at the file itself.
func Files(ctx context.Context, log *slog.Logger, files ...string) (<-chan string, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch files: %w", err)
	}
	var dirs []string
	for _, f := range files {
		if dir := filepath.Dir(f); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		if err := n.Add(dir); err != nil {
			log.Debug("directory is not watched", "directory", dir, "error", err)
		}
	}
	touched := make(chan string)
	go func() {
		defer n.Close()
		forward(ctx, log, n, files, touched)
	}()
	return touched, nil
}

// forward hands on what happened to the files, each one once until it is
// taken.
func forward(ctx context.Context, log *slog.Logger, n *fsnotify.Watcher, files []string, touched chan<- string) {
	var waiting []string
	for {
		var out chan<- string
		var next string
		if len(waiting) > 0 {
			out, next = touched, waiting[0]
		}
		select {
		case <-ctx.Done():
			return
		case out <- next:
			waiting = waiting[1:]
		case e := <-n.Events:
			if slices.Contains(files, e.Name) && !slices.Contains(waiting, e.Name) {
				waiting = append(waiting, e.Name)
			}
		case err := <-n.Errors:
			// Events may have been lost.
			log.Debug("file events were lost", "error", err)
			waiting = slices.Clone(files)
		}
	}
}
