package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// endPoll is how often a process is looked for where its end cannot be waited for.
const endPoll = 500 * time.Millisecond

// AwaitEnd returns nil as soon as the chmpx of a status may have ended: its process is
// gone, or its shared memory is, which a chmpx removes on its way out (docs/chmpx.md D.4).
// That is a hint to look again, for a chmpx in another PID namespace cannot be told from
// one that has ended. The error is ctx's, or why the end cannot be waited for.
func (p *Prober) AwaitEnd(ctx context.Context, st Status) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- awaitProcess(ctx, st) }()
	go func() { ended <- awaitMemory(ctx, st) }()
	var failed error
	for range 2 {
		err := <-ended
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// awaitProcess waits for the end of the process.
func awaitProcess(ctx context.Context, st Status) error {
	fd, err := unix.PidfdOpen(st.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil // since the status
	}
	if err != nil {
		return fmt.Errorf("cannot wait for the end of chmpx's process %d: %w", st.PID, err)
	}
	defer unix.Close(fd)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(endPoll/time.Millisecond))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("cannot wait for the end of chmpx's process %d: %w", st.PID, err)
		}
	}
	return ctx.Err()
}

// awaitMemory waits for the removal of the shared memory's file.
func awaitMemory(ctx context.Context, st Status) error {
	return awaitRemoval(ctx, MemoryPath(st.Group, st.Self.CtlPort), func() {})
}

// awaitRemoval waits for the removal of a file, and calls watched once it would be seen.
func awaitRemoval(ctx context.Context, path string, watched func()) error {
	was, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("cannot watch chmpx's memory: %w", err)
	}
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", path, err)
	}
	defer n.Close()
	if err := n.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("cannot watch %s: %w", filepath.Dir(path), err)
	}
	now, err := os.Stat(path)
	if err != nil || !os.SameFile(was, now) {
		return nil // before it was watched
	}
	watched()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-n.Events:
			// The next chmpx may have made another one by now.
			if e.Name == path && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
				return nil
			}
		case err := <-n.Errors:
			return fmt.Errorf("cannot watch %s: %w", path, err)
		}
	}
}

// LeftMemory reports whether chmpx's memory is there. A chmpx that ends in order removes it, and
// one that crashes leaves it.
func (*Prober) LeftMemory(group string, ctlPort int) bool {
	_, err := os.Lstat(MemoryPath(group, ctlPort))
	return err == nil
}
