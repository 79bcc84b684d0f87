package glance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

var (
	// ErrNotGood says that the file in place is none that chmpx loads, or lists no server node.
	ErrNotGood = errors.New("the file in place is not a good one")
	// ErrNoChmpx says that there is nothing to look with, or that no file says yet which chmpx to
	// look at.
	ErrNoChmpx = errors.New("nothing says which chmpx to look at")
)

// File reads the slave.ini at path, as [Look] wants it: nil without an error where there is none.
// Errors are ErrNotGood, or fs.ErrPermission where this user may not read it.
func File(path string) (*chmpx.Config, error) {
	b, err := regularfile.Read(path, render.MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("what the file is now cannot be seen: %w", err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotGood, err)
	}
	c, wrong := chmpx.Load(b, pathKind)
	switch {
	case c == nil && len(wrong) > 0:
		return nil, fmt.Errorf("%w: %v", ErrNotGood, wrong[0])
	case c == nil:
		return nil, ErrNotGood
	case len(c.Servers) == 0:
		return nil, fmt.Errorf("%w: it lists no server node", ErrNotGood)
	}
	return c, nil
}

// pathKind is what a path leads to. What this user may not look at is as it should be: that is
// chmpx's user's to see.
func pathKind(path string) chmpx.PathKind {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return chmpx.RegularFile
	case err != nil:
		return chmpx.NoPath
	case info.IsDir():
		return chmpx.Directory
	case info.Mode().IsRegular():
		return chmpx.RegularFile
	}
	return chmpx.OtherPath
}

// Eye looks at chmpx beside a daemon, or without one.
type Eye struct {
	Command string // name or path of chmpxstatus; empty: none
	RunDir  string // the daemon's, whose probe file says which chmpx it looks at
	File    string // path of slave.ini, which says it where there is no probe file
}

// Status probes the chmpx. It writes nothing of the daemon's. Its errors are daemon.Prober's, and
// ErrNoChmpx.
func (e Eye) Status(ctx context.Context) (daemon.Status, error) {
	if e.Command == "" {
		return daemon.Status{}, fmt.Errorf("%w: status-command is empty", ErrNoChmpx)
	}
	probe := filepath.Join(e.RunDir, daemon.ProbeName)
	if b, err := regularfile.Read(probe, regularfile.Small); err == nil {
		if c, _ := chmpx.Load(b, nil); c != nil {
			return (&daemon.Prober{Command: e.Command}).StatusBy(ctx, probe, c.Group, max(c.SelfCtlPort, 0))
		}
	}
	c, err := File(e.File)
	if err != nil {
		return daemon.Status{}, err
	}
	if c == nil {
		return daemon.Status{}, ErrNoChmpx
	}
	dir, err := os.MkdirTemp("", "k2hdkc-slave-agent-")
	if err != nil {
		return daemon.Status{}, err
	}
	defer os.RemoveAll(dir)
	return (&daemon.Prober{Command: e.Command, Dir: dir}).Status(ctx, c.Group, max(c.SelfCtlPort, 0))
}
