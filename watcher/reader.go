package watcher

import (
	"errors"
	"fmt"
	"time"

	"k2hdkc-slave-agent/render"
)

// unreadable is the error for a file that chmpx surely cannot read, or could not. chmpx loses its
// watch on it for good, and its next look at it, by its control port or its start, ends it
// (docs/chmpx.md D.4).
type unreadable struct {
	file   string
	reader render.Reader // chmpx
	bar    render.Bar
	set    bool // the configuration has mode, owner or group
}

func (e *unreadable) Error() string {
	does, remedy := "read "+e.file, "chmod or chown it, or set mode, owner or group in the agent's configuration"
	switch {
	case e.bar.Mode.IsDir():
		does, remedy = "enter "+e.bar.Path, "chmod that folder"
	case e.set:
		remedy = "correct mode, owner or group in the agent's configuration"
	}
	return fmt.Sprintf("chmpx (uid %d, groups %v) cannot %s with %s: %s; chmpx loses its watch on a file that it cannot read, and ends at its next load", e.reader.UID, e.reader.Groups, does, e.bar.Looks(), remedy)
}

// cannotReadNext returns an *unreadable if the chmpx that runs could not read what a replacement
// would put in place. Where that is not sure, as for a chmpx in another PID namespace, it is nil.
func (l *loop) cannotReadNext() error { return l.cannotRead(l.File.Bar) }

// cannotReadFile is the same for the file that is in place.
func (l *loop) cannotReadFile() error {
	return l.cannotRead(func(r render.Reader) *render.Bar { return r.Bar(l.File.Path) })
}

func (l *loop) cannotRead(look func(render.Reader) *render.Bar) error {
	if l.Chmpx == nil || l.probe.last == nil {
		return nil
	}
	r, ok := l.Chmpx.Reader(*l.probe.last)
	if !ok {
		return nil
	}
	r.Elsewhere = r.Elsewhere || l.Pod
	bar := look(r)
	if bar == nil {
		return nil
	}
	set := l.File.Mode != nil || l.File.Owner != nil || l.File.Group != nil
	return &unreadable{l.File.Path, r, *bar, set}
}

// lookWhetherReadable goes on with what was held back because chmpx could not read it, as soon as
// chmpx can.
func (l *loop) lookWhetherReadable(now time.Time) {
	_, held := errors.AsType[*unreadable](l.output.refusal.err)
	if held && l.cannotReadNext() == nil {
		l.output.refusal.over() // what comes of the next try counts
		l.poll.Want(now)
	}
	if l.confirmation.unread && l.probe.found == foundRunning && l.cannotReadFile() == nil {
		l.confirmation.renew()
		l.expect(now, l.probe.last)
	}
}
