package watcher

import (
	"bytes"
	"context"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
)

const (
	// leastRestart is the shortest time between two restarts of chmpx.
	leastRestart = 10 * time.Minute

	// unitLimit bounds a question to systemd that the loop waits for.
	unitLimit = 2 * time.Second
)

// runs takes note that chmpx runs the file in place.
func (w *Watcher) runs() {
	w.looking.confirmed = true
	w.looking.tries = 0
	w.looking.safe = w.current.bytes
	w.started()
}

// late is for a chmpx that lives and does not take the file. Its notification
// may have been held up or swallowed (spec chmpx D.4, D.6); another
// replacement repairs that, and where its watch is lost only a restart does.
func (w *Watcher) late(ctx context.Context, st daemon.Status) {
	log := w.Log.With("file", w.current.config.FileVersion, "chmpx", st.Revision, "pid", st.PID)
	w.looking.tries++
	if w.looking.tries == 1 {
		log.Warn("chmpx has not taken the file; it is put in place once more", "held by", w.holders(ctx))
		if err := w.again(ctx); err != nil {
			log.Error("the file could not be put in place once more", "error", err)
		}
		return
	}
	if w.mayRestart(log) {
		log.Error("chmpx does not take the file and is restarted")
		w.restart(ctx)
		return
	}
	log.Error("chmpx does not take the file: somebody holds the old one, or its watch is lost; a restart of chmpx helps", "held by", w.holders(ctx))
}

// mayRestart: only where the operator wants it, and not in a row.
func (w *Watcher) mayRestart(log *slog.Logger) bool {
	if !w.RestartUnconfirmed || w.Unit == nil || w.looking.tries != 2 {
		return false
	}
	if ago := time.Since(w.looking.restarted); ago < leastRestart {
		log.Error("chmpx was restarted not long ago and is not restarted again", "ago", ago.Round(time.Second).String())
		return false
	}
	return true
}

// holders says in words who keeps the replaced file alive, and with it chmpx
// from hearing of the replacement.
func (w *Watcher) holders(ctx context.Context) string {
	found, err := daemon.Holders(ctx, w.File.Path, w.looking.replaced)
	var words bytes.Buffer
	for i, h := range found {
		if i > 0 {
			words.WriteString(", ")
		}
		words.WriteString(h.String())
	}
	switch {
	case len(found) == 0 && err != nil:
		return "not known: " + err.Error()
	case len(found) == 0:
		return "nobody"
	}
	return words.String()
}

// gone is for a chmpx that ended when it got the file. What is in place was
// judged to be good, and still it may be what ended chmpx; the file it ran
// before is not. That one is put back until K2HR3 has another text.
func (w *Watcher) gone(ctx context.Context) {
	log := w.Log.With("revision", w.current.config.FileVersion)
	switch {
	case w.stopped(ctx):
		log.Info("chmpx was stopped")
		return
	case !w.looking.ran:
		log.Warn("chmpx does not run; the file in place waits for it")
		return
	case w.looking.safe == nil || bytes.Equal(w.looking.safe, w.current.bytes):
		log.Error("chmpx does not run; the file in place is good, so its own log must tell why")
		return
	}
	log.Error("chmpx ended when it got the file; the one it ran before is put back")
	w.looking.fatal = w.current.origin
	w.current.bytes = w.looking.safe
	w.etag = ""
	if err := w.again(ctx); err != nil {
		log.Error("the file before could not be put back", "error", err)
		return
	}
	w.looking.safe = w.current.bytes
}

// stopped reports whether systemd says that chmpx was stopped, rather than
// ended: the unit is down for good and nothing went wrong with it.
func (w *Watcher) stopped(ctx context.Context) bool {
	if w.Unit == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	st, err := w.Unit.State(ctx)
	return err == nil && st.Result == "success" && (st.ActiveState == "inactive" || st.ActiveState == "deactivating")
}
