package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render/atomicfile"
)

// publisher puts the status where whoever asks for it finds it. None of its methods waits for the
// disk: what is to be done there is done beside, and of several documents that wait the latest
// counts.
type publisher struct {
	version string
	shown   func(status.Document) // nil: nobody else wants it
	out     service.Outbox[notice]
	started time.Time

	mu       sync.Mutex
	latest   status.Document   // without what this type adds
	previous *status.Condition // the latest that ended
	wrong    string            // why the configuration that was read last cannot be used
	wrongAt  time.Time
	every    time.Duration // between signs of life
	dir      string
	log      *slog.Logger

	disk disk // of the goroutine that sends
}

// notice is something to be done in the run-dir.
type notice struct {
	dir   string
	log   *slog.Logger
	doc   *status.Document // nil: only a sign of life
	alive bool
	wrong string // why no watcher can be made, of an agent that ends because of it
	end   bool   // the last notice
}

func newPublisher(version string, shown func(status.Document)) *publisher {
	p := &publisher{version: version, shown: shown, started: time.Now()}
	p.disk.version, p.out.Send = version, p.disk.do
	return p
}

// at says which run-dir to use from now on, and which log.
func (p *publisher) at(o *options.Options, log *slog.Logger, every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dir, p.log, p.every = o.RunDir, log, every
}

// show publishes a document.
func (p *publisher) show(d status.Document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Previous == nil { // of a watcher that has yet to see one
		d.Previous = p.previous
	}
	p.latest, p.previous = d, d.Previous
	p.publish()
}

// waits publishes that the agent waits for a configuration, because of a condition.
func (p *publisher) waits(o *options.Options, code, message string) {
	d := configured(o)
	p.mu.Lock()
	defer p.mu.Unlock()
	c := status.Condition{Code: code, Severity: status.Error, Status: status.Active, Since: moment(time.Now()), Message: message}
	if now := p.latest.Conditions; len(now) == 1 && now[0].Code == code {
		c.Since = now[0].Since
	}
	d.Previous = p.previous
	d.Health, d.Since, d.Conditions = status.Failed, c.Since, []status.Condition{c}
	if code == status.CodeNotConfigured {
		d.Agent.State = status.NotConfigured
	}
	p.latest = d
	p.publish()
}

// Refused leaves in the run-dir dir why an agent ends that has not begun its work: err is what is
// wrong with its configuration. What an agent before it knew stays besides.
func Refused(dir, version string, err error) { leaveRefusal(dir, version, err, lastWrite) }

// leaveRefusal is Refused, which gives up after limit.
func leaveRefusal(dir, version string, err error, limit time.Duration) {
	p := newPublisher(version, nil)
	p.dir, p.log = dir, slog.New(slog.DiscardHandler)
	p.mu.Lock()
	p.send(notice{wrong: wrong(err)})
	p.mu.Unlock()
	p.close(limit)
}

// wrongConfiguration publishes, besides all else, that the agent goes on with the configuration
// before because of err; nil: it does not any more.
func (p *publisher) wrongConfiguration(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.wrong
	p.wrong = ""
	if err != nil {
		p.wrong = wrong(err)
	}
	if p.wrong == before {
		return
	}
	if before == "" {
		p.wrongAt = moment(time.Now())
	}
	if p.latest.Health != "" { // else the watcher has yet to say how it is
		p.publish()
	}
}

// publish hands over the latest document. The caller holds mu.
func (p *publisher) publish() {
	d := p.latest
	if p.wrong != "" {
		d.Add(status.Condition{
			Code: status.CodeConfigurationWrong, Severity: status.Warning,
			Since: p.wrongAt, Message: p.wrong + "; the agent goes on with the previous one",
		})
	}
	d.WrittenAt, d.Version = moment(time.Now()), p.version
	if d.Agent.State == "" {
		d.Agent.State = status.Running
	}
	d.Agent.PID, d.Agent.StartedAt = os.Getpid(), moment(p.started)
	d.Agent.AliveAt, d.Agent.AliveEvery = d.WrittenAt, max(1, int(p.every/time.Second))
	if p.shown != nil {
		p.shown(d)
	}
	p.send(notice{doc: &d})
}

// alive is a sign of life.
func (p *publisher) alive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(notice{alive: true})
}

// close gives the last documents a moment to be written, and says that the agent has ended.
func (p *publisher) close(limit time.Duration) {
	p.mu.Lock()
	p.send(notice{end: true})
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p.out.Flush(ctx)
}

// send adds to what waits to be done. The caller holds mu.
func (p *publisher) send(n notice) {
	n.dir, n.log = p.dir, p.log
	if n.dir == "" {
		return
	}
	p.out.Update(func(waiting []notice) []notice {
		if len(waiting) > 0 {
			before := waiting[0]
			if n.doc == nil {
				n.doc = before.doc
			}
			n.alive, n.wrong = n.alive || before.alive, cmp.Or(n.wrong, before.wrong)
		}
		return []notice{n}
	})
}

// disk is what is known of the run-dir. Only one goroutine at a time uses it.
type disk struct {
	version  string
	dir      string
	lock     *status.Lock
	doc      *status.Document  // the latest
	previous *status.Condition // the latest that ended, under an agent before this one
	failed   string            // what the log says already
}

// do does what a notice asks for. What fails is tried again with the next one, which is a sign of
// life at the latest.
func (d *disk) do(n notice) {
	err := d.hold(n)
	if n.wrong != "" && err == nil {
		n.doc = refused(n.dir, d.version, n.wrong)
	}
	if n.doc != nil {
		d.doc = n.doc
	}
	if err == nil && d.doc != nil && (n.doc != nil || d.failed != "" || !status.InPlace(d.dir)) {
		err = d.write()
	}
	if d.lock != nil { // also where nothing can be written
		if n.alive {
			if errAlive := d.lock.Alive(); err == nil {
				err = errAlive
			}
		}
		d.lock.Tell(err)
	}
	d.report(n.log, err)
	if n.end && d.lock != nil {
		d.lock.Release()
		d.lock = nil
	}
}

// refused is the document of an agent before this one, with why this one ends.
func refused(dir, version, wrong string) *status.Document {
	d, _ := status.Read(dir) // there may be none, and an older one is of no use
	c := status.Condition{Code: status.CodeConfigurationWrong, Severity: status.Error, Status: status.Active, Since: moment(time.Now()), Message: wrong}
	for _, before := range d.Conditions {
		if before.Code == c.Code && before.Severity == c.Severity {
			c.Since = before.Since
		}
	}
	d.Health, d.Since, d.Conditions = status.Failed, c.Since, []status.Condition{c}
	d.WrittenAt, d.Version = moment(time.Now()), version
	d.Agent = status.Agent{State: status.Stopped}
	return &d
}

// hold sees to it that the run-dir is this agent's.
func (d *disk) hold(n notice) error {
	if d.lock != nil && d.dir != n.dir {
		d.lock.Release()
		d.lock = nil
	}
	if err := atomicfile.MakeFolders(n.dir, 0o755); err != nil { // somebody may have deleted it
		return err
	}
	if d.lock != nil {
		return d.lock.Keep()
	}
	lock, err := status.Hold(n.dir)
	if err != nil {
		return err
	}
	d.dir, d.lock = n.dir, lock
	if before, err := status.Read(n.dir); err == nil && d.previous == nil {
		d.previous = before.Previous
	}
	return nil
}

func (d *disk) write() error {
	if d.doc.Previous == nil {
		d.doc.Previous = d.previous
	}
	return status.Write(d.dir, *d.doc)
}

// report logs once what goes wrong, and when it does not any more.
func (d *disk) report(log *slog.Logger, err error) {
	switch {
	case err == nil && d.failed != "":
		d.failed = ""
		log.Info("the agent's status can be seen again")
	case err == nil || d.failed == err.Error():
	case errors.Is(err, status.ErrHeld):
		d.failed = err.Error()
		log.Error("another agent uses the run-dir; this one's status cannot be seen", "error", err)
	default:
		d.failed = err.Error()
		log.Warn("the agent's status cannot be seen: its file cannot be written", "error", err)
	}
}
