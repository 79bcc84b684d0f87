// Package awaitchmpx waits until the running chmpx has applied its configuration
// file, which it reads by itself when the file is replaced. It is what
// `systemctl reload chmpx` runs. It only looks: chmpx is not told anything, and
// its file is held open for no longer than it takes to read it.
package awaitchmpx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

// pause is the time between two looks at a chmpx that is connected to a server; without one it is
// daemon.Starves.
const pause = 50 * time.Millisecond

// wait is one wait for a chmpx.
type wait struct {
	file  string
	limit time.Duration
	// pid is chmpx's process; 0: not known.
	pid int
	// look is that of daemon.Prober, alive whether there is a process.
	look  func(ctx context.Context, group string, ctlPort int) (daemon.Status, error)
	alive func(pid int) bool
}

// errEnded says that chmpx has ended.
var errEnded = errors.New("chmpx has ended")

// run returns nil when chmpx shows the FILEVERSION of the file. It gives up when
// that takes longer than the limit, when chmpx has ended, when chmpx would not load
// the file, when nobody can tell what it runs, and when ctx ends.
func (w wait) run(ctx context.Context) error {
	end := time.Now().Add(w.limit)
	for {
		// The file may be replaced once more meanwhile.
		want, err := w.load()
		if err != nil {
			return err
		}
		st, err := w.look(ctx, want.Group, max(want.SelfCtlPort, 0))
		switch {
		case err == nil && st.Revision == want.FileVersion:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, daemon.ErrNotInstalled), errors.Is(err, daemon.ErrNoAccess):
			return fmt.Errorf("nobody can tell which file chmpx runs: %w", err)
		case w.pid != 0 && !w.alive(w.pid):
			return errEnded
		case !time.Now().Before(end):
			return w.late(want, st, err)
		}
		next := pause
		if !st.Connected() {
			next = daemon.Starves
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// load reads the file as chmpx does.
func (w wait) load() (*chmpx.Config, error) {
	text, err := regularfile.Read(w.file, render.MaxFile)
	if err != nil {
		return nil, err
	}
	c, findings := chmpx.Load(text, nil)
	if c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("chmpx does not load %s: %s", w.file, chmpx.Report{Findings: findings}.Why())
}

// late says what chmpx runs when the limit has passed.
func (w wait) late(want *chmpx.Config, st daemon.Status, err error) error {
	if err != nil {
		return fmt.Errorf("chmpx does not show after %v that it runs version %d of %s: %w", w.limit, want.FileVersion, w.file, err)
	}
	return fmt.Errorf("chmpx runs version %d after %v, and %s is version %d; somebody may hold the old file open, or chmpx has lost its watch and needs a restart",
		st.Revision, w.limit, w.file, want.FileVersion)
}

// alive tells whether there is a process of that number.
func alive(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
