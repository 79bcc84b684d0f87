package status

import (
	"context"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Changes returns a channel that receives when status.json or the lock in dir has changed, until
// ctx ends. Changes that follow each other closely may come as one. Where dir is not there, or
// cannot be watched, none comes: look now and then besides.
func Changes(ctx context.Context, dir string) <-chan struct{} {
	changes := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return changes
	}
	if err := w.Add(dir); err != nil {
		w.Close()
		return changes
	}
	go func() {
		defer w.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case err := <-w.Errors:
				_ = err // whoever looks now and then misses nothing
			case e := <-w.Events:
				if name := filepath.Base(e.Name); name != FileName && name != LockName {
					continue
				}
				select {
				case changes <- struct{}{}:
				default:
				}
			}
		}
	}()
	return changes
}
