package watcher

import (
	"context"
	"errors"
	"slices"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
	"k2hdkc-slave-agent/watcher/schedule"
)

// startCheck checks the membership, or does so again when the check under way
// has ended.
func (l *loop) startCheck(now time.Time) {
	if l.checkOp.busy {
		l.membership.repeat()
		return
	}
	known := l.membership.known
	l.start(now, &l.checkOp, l.longest(checkExchanges), func(ctx context.Context) any {
		before, began := l.Member.Registrations(), time.Now()
		is, err := l.Member.Keep(ctx, known)
		if l.once && errors.Is(err, member.ErrMissing) {
			is, err = l.Member.Keep(ctx, member.Identity{})
		}
		return checked{is, err, l.Member.Registrations() != before, time.Since(began)}
	})
}

func (l *loop) checkDone(now time.Time, c checked) {
	if l.ctx.Err() != nil {
		return
	}
	changed, ask := l.membership.result(now, c, checking{
		silent: errors.Is(l.poll.silence.err, k2hr3.ErrTransport), stretch: l.poll.Stretch(),
	})
	if changed {
		l.save()
	}
	if ask {
		l.poll.Want(now)
	}
}

// startRequest asks K2HR3 for the RESOURCE, unless that is under way.
func (l *loop) startRequest(now time.Time) {
	if l.requestOp.busy {
		return
	}
	l.poll.Begin(now)
	etag, known, wait, gently := l.output.knownETag(), l.membership.known, l.poll.hold(), l.poll.Gently()
	exchanges := askExchanges
	if gently {
		exchanges += knockExchanges
	}
	l.start(now, &l.requestOp, 2*l.Wait+l.longest(exchanges), func(ctx context.Context) any {
		r := l.knockAndAsk(ctx, etag, wait, gently)
		if l.removeStale(ctx, known, r) {
			r = l.ask(ctx, etag, 0)
		}
		r.moved = ctx.Err() == nil && l.Member.Moved(ctx, known)
		return r
	})
}

// removeStale takes the members out of the role that were pods of this pod's address, as the text
// of an answer has them. It reports whether the text is another one now.
func (l *loop) removeStale(ctx context.Context, known member.Identity, r reply) bool {
	if !l.Pod || r.err != nil || known.Address == "" {
		return false
	}
	cuks := chmpx.SlaveCUKs([]byte(r.answer.Text), known.Address)
	cuks = slices.DeleteFunc(cuks, func(cuk string) bool { return cuk == l.InstanceID })
	return len(cuks) > 0 && l.Member.RemoveStale(ctx, known, cuks)
}

// knockAndAsk is one request; gently: that K2HR3 is to work on only if it is there.
func (w *Watcher) knockAndAsk(ctx context.Context, etag string, wait time.Duration, gently bool) reply {
	if gently {
		if took, err := w.Member.Knock(ctx); err != nil {
			return reply{err: err, took: took, knocked: true}
		}
	}
	return w.ask(ctx, etag, wait)
}

// ask is one request.
func (w *Watcher) ask(ctx context.Context, etag string, wait time.Duration) (r reply) {
	r.answer, r.err = w.Member.Ask(ctx, etag, wait)
	r.took = r.answer.Took
	if r.err != nil {
		r.took = k2hr3.Took(r.err)
	}
	if ambiguous(r.err) {
		r.apiUp = w.Member.Ping(ctx) == nil
	}
	return r
}

// requestDue asks K2HR3 because it is time to. A request that somebody wants takes
// the place of one that K2HR3 holds now: the end of that one begins it.
func (l *loop) requestDue(now time.Time) {
	switch {
	case !l.requestOp.busy:
		l.startRequest(now)
	case l.poll.Wanted():
		l.requestOp.cancel()
	}
}

// requestDone takes what came of a request.
func (l *loop) requestDone(now time.Time, r reply) {
	r.at = now
	if r.moved {
		l.membership.moved(now)
	}
	switch {
	case l.ctx.Err() != nil:
		return
	case r.err != nil && l.poll.Wanted():
		l.poll.Plan(now, 0, schedule.WhyWanted)
	case r.err != nil:
		l.requestFailed(now, r)
	default:
		l.poll.heard(now, r, l.scene())
		if l.Member.Outside() {
			l.membership.doubt(now)
		}
		l.consider(now, r)
	}
	if l.ctx.Err() == nil {
		l.checkFile(now) // the events of the file may have been lost
	}
}

func (l *loop) requestFailed(now time.Time, r reply) {
	if p := l.poll.takePending(); p != nil {
		l.pass(now, *p)
	}
	if errors.Is(r.err, k2hr3.ErrNotMember) {
		l.membership.doubt(now)
	}
	l.poll.failed(now, r, l.scene(), l.output.none())
}

// consider takes a proper answer: it is applied now, later, or is nothing new.
func (l *loop) consider(now time.Time, r reply) {
	switch {
	case r.answer.NotModified:
		l.poll.takePending()
		l.accept()
		l.flips.calm(now)
		l.poll.Same(now, r.scheduled(), l.scene())
	case l.previousBlocks(now):
		l.poll.keepWaiting(r)
	case l.jobOp.busy:
		l.poll.keepWaiting(r)
		l.jobs.supersede(now)
	case l.mayBeBurst(r) && l.poll.unsettled(now, r):
	case l.probesFirst(now, r):
		l.poll.keepUnseen(r)
	default:
		l.poll.takePending()
		l.pass(now, r)
	}
}

// mayBeBurst: without a good file every moment counts, and a text that was
// refused stays so.
func (l *loop) mayBeBurst(r reply) bool {
	return l.output.knownETag() != "" && r.answer.Text != l.output.refused
}

// settleNow ends the wait for the end of a burst where K2HR3 does not say any
// more whether there is one.
func (l *loop) settleNow(now time.Time) {
	if p := l.poll.takePending(); p != nil {
		l.pass(now, *p)
		l.poll.Want(now)
	}
}
