package watcher

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/schedule"
)

// loop is one run of a watcher: its parts, and the router between them. Each part
// owns its state, which nothing but the methods of that part changes; it takes an
// event and the time, and returns what it wants done. The router, which is the
// methods of loop, does that or has it done beside the loop, and brings what
// comes of it to the parts that it concerns.
type loop struct {
	*Watcher
	ctx  context.Context
	lock *render.Lock // nil: the file is not replaced

	// once: this is one pass by hand. K2HR3 is not asked to hold a request, its
	// first no to the membership counts, and what goes wrong is returned.
	once bool

	membership   membership
	poll         poll
	output       output
	repair       repair
	probe        probe
	confirmation confirmation
	ring         ring
	jobs         unitJobs
	pace         *Pace
	parking      parking
	flips        flips
	history      history
	nodes        nodes
	health       health
	clock        clock
	lifeSign     lifeSign
	healing      healing
	certs        certs
	saving       trouble // the state cannot be saved

	// What is done beside the loop, at most one of each.
	checkOp, requestOp, probeOp, changeOp, jobOp, endOp, healOp op
	results                                                     chan any
	beside                                                      sync.WaitGroup

	began time.Time
	shown Status // the latest that Changed was called with
}

// op is something that is done beside the loop.
type op struct {
	name   string
	busy   bool
	due    time.Time // when it must be over
	cancel context.CancelFunc
}

func (w *Watcher) newLoop(ctx context.Context, once bool) *loop {
	config, log := w.Config, w.Log
	if once {
		config.Wait = 0
		log = slog.New(slog.DiscardHandler)
	}
	confirm := w.Confirm
	if w.Chmpx == nil {
		confirm = 0
	}
	pace := w.Pace
	if pace == nil {
		pace = new(Pace)
	}
	return &loop{
		Watcher:      w,
		ctx:          ctx,
		once:         once,
		membership:   membership{doubts: trouble{log: log}},
		poll:         newPoll(config, log),
		output:       output{refusal: trouble{log: log}},
		repair:       repair{changed: trouble{log: w.Log}, failure: trouble{log: w.Log}},
		probe:        newProbe(w.Config, w.Log),
		confirmation: confirmation{limit: confirm, stopped: trouble{log: w.Log}},
		ring:         ring{log: w.Log},
		jobs:         unitJobs{log: w.Log, absent: w.Unit == nil},
		pace:         pace,
		parking:      parking{danger: trouble{log: w.Log}, leftover: trouble{log: w.Log}},
		flips:        flips{wrong: trouble{log: w.Log}},
		certs:        certs{log: w.Log, unfit: trouble{log: w.Log}},
		lifeSign:     lifeSign{log: w.Log, every: w.AliveEvery},
		checkOp:      op{name: "the check of the membership"},
		requestOp:    op{name: "the request to K2HR3"},
		probeOp:      op{name: "the probe of chmpx"},
		changeOp:     op{name: "the watch of chmpx's memory"},
		jobOp:        op{name: "the job of chmpx's unit"},
		healOp:       op{name: "the look at the servers that refused chmpx"},
		healing:      healing{how: w.Heal, told: trouble{log: w.Log}},
		saving:       trouble{log: w.Log},
		results:      make(chan any, 7),
	}
}

// begin finds out what is in place and what is known of it, and sets the parts
// going.
func (l *loop) begin() {
	l.recover()
	now := time.Now()
	l.began = now
	if l.Before != nil {
		l.health.goOn(*l.Before)
	}
	l.clock.start(now, l.wall())
	l.startCheck(now)
	l.startProbe(now)
	if !l.parking.waits() {
		l.dropParked() // one for which there is no file any more that could wait
	}
	if l.unseen() {
		l.awaitEnd(now)
	}
	if l.jobs.unstarted && l.output.file.good {
		l.startJob(now, func(ctx context.Context) jobDone { return l.tellUnit(ctx, true) })
	}
}

// recover finds out what is in place, and what was saved of it.
func (l *loop) recover() {
	s, err := loadState(l.StateFile)
	if err != nil {
		l.Log.Warn("cannot use the saved state; asking K2HR3 for the whole RESOURCE", "error", err)
	}
	l.output.recall(s.Revision)
	l.membership.recall(s.Known)
	l.jobs.recall(s.Unstarted)
	l.history.recall(s.Changes)
	b, err := l.File.Read()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.Log.Warn("cannot read slave.ini", "error", err)
		}
		return
	}
	l.output.adopt(b, l.Judge.Judge(l.ctx, b, nil))
	l.recallParked(time.Now())
	if s.Sum == l.output.file.sum && s.Origin == l.Origin {
		l.output.tag(s.ETag)
	}
}

// save saves what is worth knowing after a restart.
func (l *loop) save() {
	s := state{
		Origin: l.Origin, ETag: l.output.etag, Revision: l.output.revision, Sum: l.output.file.sum,
		Known: l.membership.known, Unstarted: l.jobs.unstarted, Changes: l.history.changes.Items(),
	}
	if err := s.save(l.StateFile); err != nil {
		l.saving.report(time.Now(), slog.LevelWarn, "cannot save the state; a restarted agent asks K2HR3 for the whole RESOURCE", err)
	} else {
		l.saving.over()
	}
}

// run routes until ctx ends, or until settled, if that is not nil, reports the
// end of a pass.
func (l *loop) run(events <-chan Event, settled func() (bool, error)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.certs.follow(time.Now(), l.output.file.config, l.wall())
		l.certs.compare(l.probe.last)
		l.show()
		if err := l.ctx.Err(); err != nil {
			return err // what was found out since then means nothing
		}
		if settled != nil {
			if done, err := settled(); done {
				return err
			}
		}
		timer.Reset(l.idle())
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case e := <-events:
			l.event(time.Now(), e)
		case r := <-l.results:
			l.result(time.Now(), r)
		case <-timer.C:
			l.tick(time.Now())
		}
	}
}

// close ends what is under way, and waits for that.
func (l *loop) close() { l.beside.Wait() }

// idle is how long no part wants anything.
func (l *loop) idle() time.Duration {
	next := earliest(l.membership.next, l.poll.next(), l.poll.latest, l.probe.next, l.jobs.next, l.repair.next, l.clock.next, l.lifeSign.next, l.health.next, l.certs.next)
	if next.IsZero() {
		return time.Hour
	}
	return max(0, time.Until(next))
}

// tick does what the time has come for.
func (l *loop) tick(now time.Time) {
	if l.membership.next.rings(now) {
		l.startCheck(now)
	}
	if l.poll.Due(now) {
		l.requestDue(now)
	}
	if l.poll.latest.rings(now) {
		l.settleNow(now)
	}
	if l.probe.next.rings(now) {
		l.startProbe(now)
	}
	if l.clock.next.rings(now) {
		l.checkClock(now)
	}
	if l.jobs.next.rings(now) && l.jobOp.busy {
		l.jobOp.cancel()
	}
	if l.repair.next.rings(now) {
		l.checkFile(now)
	}
	if l.certs.next.rings(now) {
		l.lookAtCerts(now)
	}
	if l.lifeSign.next.rings(now) {
		l.showAlive(now)
	}
}

func (l *loop) event(now time.Time, e Event) {
	switch e {
	case AskNow:
		l.askNow(now)
	case OutputTouched:
		l.checkFile(now)
		l.lookWhetherReadable(now)
	}
}

// askNow does what the operator, a changed input or a host that was away wants:
// the membership is checked, K2HR3 asked, and the certificates looked at.
func (l *loop) askNow(now time.Time) {
	l.output.allow()
	l.startCheck(now)
	l.poll.Want(now)
	l.lookAtCerts(now)
}

// result takes what came of something that was done beside the loop. What ends
// because the loop does means nothing.
func (l *loop) result(now time.Time, r any) {
	switch r := r.(type) {
	case checked:
		l.checkOp.busy = false
		l.checkDone(now, r)
	case reply:
		l.requestOp.busy = false
		l.requestDone(now, r)
	case probed:
		l.probeOp.busy = false
		l.probeDone(now, r)
	case changed:
		l.changeOp.busy = false
		l.chmpxChanged(now, r)
	case jobDone:
		l.jobOp.busy = false
		l.jobDone(now, r)
	case reached:
		l.healOp.busy = false
		l.peersReached(now, r)
	case announced:
		l.healOp.busy = false
		l.announcedDone(now, r)
	case ended:
		l.endOp.busy = false
		l.chmpxEnded(now, r)
	}
}

// start does f beside the loop. limit is the most it can take.
func (l *loop) start(now time.Time, o *op, limit time.Duration, f func(context.Context) any) {
	ctx, cancel := context.WithCancel(l.ctx)
	o.busy, o.due, o.cancel = true, now.Add(limit+overdueAfter), cancel
	l.beside.Go(func() {
		defer cancel()
		l.results <- f(ctx)
	})
}

// checkClock asks K2HR3 after the host was away, and checks the membership when the host may have
// another name.
func (l *loop) checkClock(now time.Time) {
	if l.Member.Renamed() {
		l.Log.Debug("this host may have another name now; checking the membership")
		l.startCheck(now)
	}
	jump := l.clock.jump(now, l.wall())
	if jump.Abs() < leap {
		return
	}
	l.Log.Info("the clock jumped (the host was suspended, or its time was set); asking K2HR3 now", "by", jump.Round(time.Second).String())
	l.askNow(now)
	l.startProbe(now)
	if l.lifeSign.every > 0 {
		l.lifeSign.next.set(now) // whoever looks at the clock takes the agent for hung
	}
}

// showAlive gives a sign of life, unless something does not come to its end.
func (l *loop) showAlive(now time.Time) {
	stuck := ""
	for _, o := range []op{l.requestOp, l.checkOp, l.probeOp, l.jobOp, l.healOp} {
		if o.busy && now.After(o.due) {
			stuck = o.name
			break
		}
	}
	if l.lifeSign.sign(now, stuck) {
		l.Alive()
	}
}

// scene is what the parts are like, for poll to plan by.
func (l *loop) scene() schedule.Scene {
	return schedule.Scene{Good: l.output.file.good, Calm: l.calm(), Turn: l.turn()}
}

// calm: chmpx runs what is in place, and knows no other servers.
func (l *loop) calm() bool {
	return l.confirmation.done && l.confirmation.pending == nil && l.ring.differs == "" && l.probe.found == foundRunning
}

func (l *loop) turn() schedule.Turn {
	place, slaves := l.output.place(l.InstanceID)
	return schedule.Turn{Place: place, Slaves: slaves, Cluster: schedule.ClusterOf(l.Role), Wall: l.wall()}
}

// show calls Changed if there is something to tell.
func (l *loop) show() {
	if l.Changed == nil {
		return
	}
	if s := l.status(); s != l.shown {
		l.shown = s
		l.Changed(s)
	}
}

// longest is the most that n exchanges with K2HR3 take.
func (l *loop) longest(n int) time.Duration { return time.Duration(n) * l.Member.Longest() }
