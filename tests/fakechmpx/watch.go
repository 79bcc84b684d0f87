package fakechmpx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watchMask is what chmpx asks the kernel to tell of its file (D.1).
const watchMask = unix.IN_DELETE_SELF | unix.IN_MODIFY | unix.IN_MOVE_SELF

// How long chmpx waits for its file to come back, and how often it looks (D.2).
const (
	comeBackTries = 500
	comeBackEvery = time.Millisecond
)

// ErrEnded is returned once the chmpx behind a [Watch] has died or crashed.
var ErrEnded = errors.New("chmpx has ended")

// Event is what chmpx made of one event of its file.
type Event struct {
	Effect Effect
	Config *Config // what was loaded; nil if nothing was
	Err    error   // of the load, for Died
}

// Watch watches a file as chmpx does: one inotify watch on the path's inode, and
// a load for each event. It is a chmpx without a process, for stress tests.
type Watch struct {
	path  string
	host  Host
	slave *Slave

	fd      int
	file    *os.File // fd, for reads that can be interrupted
	wd      int      // -1: lost
	pending []inotifyEvent
	ended   bool
}

type inotifyEvent struct {
	wd   int
	mask uint32
	name string
}

// WatchFile loads path and then watches it; what happens between the two is
// missed, as it is by chmpx. The error is that of the load, or of the kernel.
func WatchFile(path string, host Host) (*Watch, error) {
	c, err := ReadConfig(path, host)
	if err != nil {
		return nil, err
	}
	return newWatch(path, host, NewSlave(c, host))
}

func newWatch(path string, host Host, slave *Slave) (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	w := &Watch{path: path, host: host, slave: slave, fd: fd}
	w.file = os.NewFile(uintptr(fd), "inotify")
	if w.wd, err = unix.InotifyAddWatch(fd, path, watchMask); err != nil {
		w.file.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	return w, nil
}

// ReadConfig reads and loads a file. A file of a type that is not INI is refused
// before it is opened (A.1). For a path without a file errors.Is says fs.ErrNotExist.
func ReadConfig(path string, host Host) (*Config, error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext != "" && ext != ".ini" {
		return nil, fmt.Errorf("%s: the file type %s is unknown here", path, ext)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Load(b, host)
}

// Close ends the watch.
func (w *Watch) Close() error { return w.file.Close() }

// Next waits for the next event chmpx acts on and says what came of it. After
// Lost it only returns when ctx is done; after Died and Crashed it returns [ErrEnded].
func (w *Watch) Next(ctx context.Context) (Event, error) {
	if w.ended {
		return Event{}, ErrEnded
	}
	w.file.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		for len(w.pending) > 0 {
			next := w.pending[0]
			w.pending = w.pending[1:]
			if e, acted := w.handle(next); acted {
				return e, nil
			}
		}
		events, err := readEvents(w.file)
		switch {
		case ctx.Err() != nil:
			return Event{}, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded): // set for an earlier call, too late
			w.file.SetReadDeadline(time.Time{})
		case err != nil:
			return Event{}, err
		}
		w.pending = events
	}
}

// readEvents waits for events of an inotify descriptor.
func readEvents(r io.Reader) ([]inotifyEvent, error) {
	buf := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	n, err := r.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	var events []inotifyEvent
	for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		events = append(events, inotifyEvent{
			wd:   int(int32(binary.NativeEndian.Uint32(b))),
			mask: binary.NativeEndian.Uint32(b[4:]),
			name: strings.TrimRight(string(b[unix.SizeofInotifyEvent:end]), "\x00"),
		})
		b = b[end:]
	}
	return events, nil
}

// handle acts on one event (D.2). acted is false for one chmpx does not look at.
func (w *Watch) handle(e inotifyEvent) (event Event, acted bool) {
	gone := e.mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0
	if w.wd < 0 || e.wd != w.wd || !gone && e.mask&unix.IN_MODIFY == 0 {
		return Event{}, false
	}
	if gone && !w.rewatch() {
		w.wd = -1
		return Event{Effect: Lost}, true
	}
	return w.load(), true
}

// rewatch waits for the path to exist and watches what is there now. It does so
// before the file is read: what replaces it meanwhile is not missed.
func (w *Watch) rewatch() bool {
	for range comeBackTries {
		if _, err := os.Stat(w.path); err == nil {
			break
		}
		time.Sleep(comeBackEvery)
	}
	unix.InotifyRmWatch(w.fd, uint32(w.wd)) // fails where the inode is gone
	var err error
	w.wd, err = unix.InotifyAddWatch(w.fd, w.path, watchMask)
	return err == nil
}

// load is a load in the running process, and what comes of it.
func (w *Watch) load() Event {
	c, err := ReadConfig(w.path, w.host)
	if errors.Is(err, fs.ErrNotExist) {
		return Event{Effect: Unchanged}
	}
	if err != nil {
		w.ended = true
		return Event{Effect: Died, Err: err}
	}
	e := Event{Effect: w.slave.Reload(c), Config: c}
	w.ended = e.Effect == Crashed
	return e
}
