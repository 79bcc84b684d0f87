package watcher

import (
	"context"
	"errors"
	"fmt"

	"k2hdkc-slave-agent/watcher/member"
)

// Once makes one pass and returns when its end is known: nothing to do, or the
// file in place, chmpx's unit told, and chmpx seen to run it (where chmpx can
// be looked at and runs). The error is a *Refusal for a text that is not put
// in place.
func (w *Watcher) Once(ctx context.Context) error {
	lock, err := w.File.Lock()
	if err != nil {
		return err
	}
	defer lock.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer w.ops.Wait()
	defer cancel()

	w.begin(ctx)
	joinErr := w.keepNow(ctx)
	a := w.askOnce(ctx, w.knownETag(), 0)
	if a.err != nil {
		return errors.Join(joinErr, a.err)
	}
	if !a.answer.NotModified {
		if w.lookFirst(ctx, a.answer.Text) {
			w.looked(ctx, <-w.looking.done)
		}
		if _, err := w.apply(ctx, a.answer); err != nil {
			return errors.Join(joinErr, err)
		}
	}
	if err := w.settled(ctx); err != nil {
		return err
	}
	return w.membership(joinErr)
}

// keepNow sees to the membership and, as this is by hand, takes K2HR3's first no
// for one.
func (w *Watcher) keepNow(ctx context.Context) error {
	known, err := w.Member.Keep(ctx, w.standing.known)
	if errors.Is(err, member.ErrMissing) {
		known, err = w.Member.Keep(ctx, member.Identity{})
	}
	if err == nil && w.standing.know(known) {
		w.remember()
	}
	return err
}

// Preview returns what Once would put in place, nil if it would change
// nothing. It changes nothing itself, not even the membership.
func (w *Watcher) Preview(ctx context.Context) ([]byte, error) {
	if err := w.File.Check(); err != nil {
		return nil, err
	}
	w.begin(ctx)
	a := w.askOnce(ctx, "", 0)
	if a.err != nil {
		return nil, a.err
	}
	c, err := w.candidate(ctx, a.answer.Text)
	if err != nil || c.same {
		return nil, err
	}
	return c.bytes, nil
}

// settled waits for the end of what a replacement has set going.
func (w *Watcher) settled(ctx context.Context) error {
	asked, ran := w.looking.confirm != nil, w.looking.last != nil
	for w.looking.confirm != nil || w.looking.busy || w.telling.busy {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.looking.timer.C:
			w.look(ctx)
		case l := <-w.looking.done:
			w.looked(ctx, l)
		case t := <-w.telling.done:
			w.told(ctx, t)
		}
	}
	switch {
	case !asked || w.looking.confirmed:
		return nil
	case w.looking.seen:
		return fmt.Errorf("the file is in place, but chmpx has not taken it: it runs revision %d, the file is %d",
			w.looking.last.Revision, w.current.config.FileVersion)
	case ran && w.looking.last == nil:
		return errors.New("the file is in place, but chmpx, which ran before, does not run any more: its own log must tell why")
	}
	return nil
}

// membership returns what is wrong with it, unless the file in place proves
// that the host is a member: it lists it.
func (w *Watcher) membership(joinErr error) error {
	if joinErr == nil || w.place() < 0 {
		return joinErr
	}
	w.Log.Warn("the file lists this host, but K2HR3 would not say that it is a member", "error", joinErr)
	return nil
}
