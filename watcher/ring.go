package watcher

import (
	"log/slog"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
)

// ring compares the servers that chmpx has with those of the file.
type ring struct {
	log     *slog.Logger
	differs string // how, in words; empty: they are the same
}

// ringNews is what a probe tells of the ring.
type ringNews int

const (
	noRingNews  ringNews = iota
	ringChanged          // chmpx has other servers than the file
	ringAgrees           // it had, and has no more
	ringLeaving          // a server that is in the file goes down
)

// compare takes the status of a chmpx that runs the file, and the status before,
// nil if there was none.
func (r *ring) compare(before *daemon.Status, now daemon.Status, file *chmpx.Config) ringNews {
	differs := difference(now, file)
	was := r.differs
	r.differs = differs
	switch {
	case differs == "" && was != "":
		r.log.Info("chmpx and slave.ini list the same servers again")
		return ringAgrees
	case differs != was:
		r.log.Info("chmpx has other servers than slave.ini; asking K2HR3", "difference", differs)
		return ringChanged
	case differs == "" && before != nil && len(daemon.Leaving(*before, now)) != 0:
		// It may be gone for good or just be restarted; K2HR3 knows.
		return ringLeaving
	}
	return noRingNews
}

// reset forgets what the ring had: the file in place is another one.
func (r *ring) reset() { r.differs = "" }

// difference says in words how chmpx's servers differ from the file's, whose revision it runs. The
// state of a server does not matter: a listed one that is down stays in chmpx's list, see
// daemon.Leaving. One that only chmpx has is of the ring and not in the file, or the file dropped
// it and it still runs.
func difference(st daemon.Status, file *chmpx.Config) string {
	var words []string
	for _, p := range daemon.Pairs(st, servers(file)) {
		switch {
		case !p.InFile:
			words = append(words, "only chmpx has "+p.Name)
		case !p.InRing:
			words = append(words, "only slave.ini has "+p.Name)
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func servers(c *chmpx.Config) []daemon.Server {
	list := make([]daemon.Server, len(c.Servers))
	for i, n := range c.Servers {
		list[i] = daemon.Server{Name: n.Name, CtlPort: n.CtlPort, CUK: n.CUK}
	}
	return list
}
