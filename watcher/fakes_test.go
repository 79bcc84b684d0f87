package watcher

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

var indirect = flag.Bool("chmpxstatus", false, "chmpx's memory cannot be read: each look runs chmpxstatus")

// fakeChmpx is a Prober that looks at a model of chmpx. The model reads its file
// whenever it is looked at, and ends on one that does not load.
type fakeChmpx struct {
	path  string
	local []string // the host's addresses, if they are not the usual ones

	mu      sync.Mutex
	slave   *fakechmpx.Slave // nil: it does not run
	pid     int
	began   time.Time
	loaded  []byte
	inode   os.FileInfo // of the file it has loaded
	ring    []fakechmpx.Member
	clients int
	reader  *render.Reader // whom it runs as; nil: nothing tells
	died    string
	noticed time.Time // when a new file was seen first
	looks   []time.Time
	probes  int    // how often the loop has looked itself
	ignored []byte // the latest file it did not notice
	known   *daemon.Status

	reached, announced int // how often servers were

	// What can be wrong with it.
	lag      time.Duration // it takes a new file so much later
	deaf     bool          // it does not notice new files
	skip     int           // it does not notice the next so many
	stopped  bool          // a signal has stopped it
	left     bool          // it has left its memory when it ended
	missing  bool          // chmpxstatus is not installed
	indirect bool          // chmpxstatus has to run for each look
	timers   error         // there is none to look by
	failing  error         // chmpxstatus fails
	hangs    bool          // chmpxstatus does not return
	young    int           // it shows no revision at the next so many looks
	after    func(error)   // called before chmpxstatus returns this error
	stuck    chan struct{} // and cannot be ended either, until this is closed
	slow     time.Duration // chmpxstatus takes so long
}

// names are what this host goes by.
func (c *fakeChmpx) names() []string {
	if len(c.local) != 0 {
		return c.local
	}
	return []string{ownAddr, "127.0.0.1"}
}

func (c *fakeChmpx) machine() fakechmpx.Host { return fakechmpx.Host{Names: c.names()} }

// wouldEnd returns why a file would end a running chmpx or keep a fresh one
// from starting.
func (c *fakeChmpx) wouldEnd(b []byte) error {
	config, err := fakechmpx.Load(b, c.machine())
	if err != nil {
		return err
	}
	return config.CanStart(c.machine())
}

// start starts chmpx on the file in place.
func (c *fakeChmpx) start(t *testing.T) {
	t.Helper()
	noError(t, c.begin())
}

func (c *fakeChmpx) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader != nil && c.reader.Bar(c.path) != nil {
		return fs.ErrPermission
	}
	b, err := os.ReadFile(c.path)
	if err != nil {
		return err
	}
	config, err := fakechmpx.Load(b, c.machine())
	if err != nil {
		return err
	}
	if err := config.CanStart(c.machine()); err != nil {
		return err
	}
	if c.inode, err = os.Stat(c.path); err != nil {
		return err
	}
	c.slave = fakechmpx.NewSlave(config, c.machine())
	if c.ring == nil {
		// The ring is that of the file, until a test says otherwise.
		for _, n := range config.Servers {
			c.ring = append(c.ring, memberOf(n))
		}
	}
	c.slave.SetRing(c.ring)
	c.slave.SetClients(c.clients)
	c.loaded, c.noticed, c.ignored, c.known = b, time.Time{}, nil, nil
	c.pid++
	c.began = time.Now()
	return nil
}

func memberOf(n fakechmpx.Node) fakechmpx.Member {
	return fakechmpx.Member{Name: n.Name, Port: n.Port, CtlPort: n.CtlPort, CUK: n.CUK, Seed: n.Seed}
}

func (c *fakeChmpx) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slave = nil
}

// setRing tells chmpx which servers are in the ring.
func (c *fakeChmpx) setRing(servers ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring = []fakechmpx.Member{}
	for _, n := range servers {
		c.ring = append(c.ring, fakechmpx.Member{Name: serverName(n), Port: 8020, CtlPort: 8021, CUK: serverCUK(n), Seed: serverName(n)})
	}
	c.known = nil
	if c.slave != nil {
		c.slave.SetRing(c.ring)
	}
}

// tellRing tells chmpx how the members of the ring are.
func (c *fakeChmpx) tellRing(f func(ring []fakechmpx.Member)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring = slices.Clone(c.ring)
	f(c.ring)
	c.known = nil
	if c.slave != nil {
		c.slave.SetRing(c.ring)
	}
}

// join says how many programs have joined chmpx.
func (c *fakeChmpx) join(clients int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients, c.known = clients, nil
	if c.slave != nil {
		c.slave.SetClients(clients)
	}
}

// Reach reaches a server node of the ring whose chmpx runs.
func (c *fakeChmpx) Reach(_ context.Context, name string, _ int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached++
	for _, m := range c.ring {
		if m.Name == name && m.State != fakechmpx.MemberDown {
			return nil
		}
	}
	return fmt.Errorf("%s: connection refused", name)
}

// Announce asks a server node of the ring to announce itself.
func (c *fakeChmpx) Announce(_ context.Context, name string, _, own int) error {
	if own != fakek2hr3.SlaveCtlPort {
		return fmt.Errorf("the own control port is %d", own)
	}
	c.tellRing(func(ring []fakechmpx.Member) {
		for i := range ring {
			if ring[i].Name == name {
				ring[i].Announced++
				c.announced++
			}
		}
	})
	return nil
}

// set changes what is wrong with it.
func (c *fakeChmpx) set(f func(c *fakeChmpx)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func (c *fakeChmpx) lookedAt() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.looks)
}

// AwaitChange looks in virtual time.
func (c *fakeChmpx) AwaitChange(ctx context.Context, st daemon.Status, pause time.Duration) error {
	c.mu.Lock()
	err := c.timers
	c.mu.Unlock()
	for err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		c.mu.Lock()
		blind := c.indirect || c.missing || c.failing != nil || c.hangs || c.stuck != nil
		if !blind {
			c.looks = append(c.looks, time.Now())
		}
		c.mu.Unlock()
		if blind {
			return nil
		}
		now, err := c.status(st.Group, st.Self.CtlPort)
		now.Direct = true
		if err != nil || !cmp.Equal(now, st) {
			return nil
		}
	}
	return err
}

// AwaitEnd looks in virtual time, where that costs nothing.
func (c *fakeChmpx) AwaitEnd(ctx context.Context, st daemon.Status) error {
	for {
		c.mu.Lock()
		gone := c.slave == nil || c.pid != st.PID
		c.mu.Unlock()
		if gone {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (c *fakeChmpx) Reader(daemon.Status) (render.Reader, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader == nil {
		return render.Reader{}, false
	}
	return *c.reader, true
}

func (c *fakeChmpx) LeftMemory(string, int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

func (c *fakeChmpx) Stopped(daemon.Status) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

func (c *fakeChmpx) Status(ctx context.Context, group string, ctlPort int) (daemon.Status, error) {
	c.mu.Lock()
	c.probes++
	c.looks = append(c.looks, time.Now())
	hangs, stuck, failing, slow := c.hangs, c.stuck, c.failing, c.slow
	if c.missing {
		failing = daemon.ErrNotInstalled
	}
	c.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	if hangs {
		slow, failing = 10*time.Second, daemon.ErrTimeout
	}
	select {
	case <-ctx.Done():
		return daemon.Status{}, ctx.Err()
	case <-time.After(slow):
	}
	if failing != nil {
		return daemon.Status{}, failing
	}
	st, err := c.status(group, ctlPort)
	c.mu.Lock()
	st.Direct = err == nil && !c.indirect
	after := c.after
	c.mu.Unlock()
	if after != nil {
		after(err)
	}
	return st, err
}

func (c *fakeChmpx) status(group string, ctlPort int) (daemon.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reload()
	if c.slave == nil {
		return daemon.Status{}, daemon.ErrNotRunning
	}
	if c.indirect && c.slave.Looked() == fakechmpx.Reloaded {
		c.known = nil
	}
	if c.known != nil && c.known.Group == group && c.known.Self.CtlPort == ctlPort {
		return *c.known, nil
	}
	shot := c.slave.Snapshot()
	if shot.Group != group || shot.CtlPort != ctlPort {
		return daemon.Status{}, daemon.ErrNotRunning
	}
	shot.PID, shot.Start = c.pid, c.began.Unix()
	young := c.young > 0
	if young {
		c.young--
		shot.FileVersion = 0
	}
	var printed bytes.Buffer
	fakechmpx.WriteStatus(&printed, shot, "/nowhere")
	st, err := daemon.ParseStatus(printed.Bytes())
	if !young {
		c.known = &st
	}
	return st, err
}

// reload reads the file if it is another one. The caller holds mu.
func (c *fakeChmpx) reload() {
	b, err := regularfile.Read(c.path, render.MaxFile) // the real one would read what has no end
	if c.slave == nil || err != nil || bytes.Equal(b, c.loaded) {
		return
	}
	if bytes.Equal(b, c.ignored) {
		return
	}
	if c.skip > 0 {
		c.skip--
		c.ignored = b
		return
	}
	if c.noticed.IsZero() {
		c.noticed = time.Now()
	}
	if c.reader != nil && c.reader.Bar(c.path) != nil {
		c.deaf = true // its watch is lost
	}
	if c.deaf || time.Since(c.noticed) < c.lag || c.keepsPrevious() {
		return
	}
	c.loaded, c.noticed, c.known = b, time.Time{}, nil
	c.inode, _ = os.Stat(c.path)
	config, err := fakechmpx.Load(b, c.machine())
	if err != nil {
		c.died, c.slave = err.Error(), nil
		return
	}
	if effect := c.slave.Reload(config); effect == fakechmpx.Crashed || effect == fakechmpx.Refused {
		c.died = string(effect)
	}
}

// keepsPrevious reports whether the file that chmpx has loaded still has a name, so that
// the kernel does not tell of its deletion.
func (c *fakeChmpx) keepsPrevious() bool {
	dir, base := filepath.Split(c.path)
	info, err := os.Stat(filepath.Join(dir, "."+strings.TrimSuffix(base, ".ini")+".previous.ini"))
	return err == nil && os.SameFile(info, c.inode)
}

// fakeUnit is chmpx's unit.
type fakeUnit struct {
	mu    sync.Mutex
	state daemon.UnitState
	fails error         // of every call
	lasts time.Duration // of a job
	stuck chan struct{} // nothing of it ends until this is closed, nil: it does
	calls []string

	started, restarted func() error // what the job does
}

func (u *fakeUnit) State(context.Context) (daemon.UnitState, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state, u.fails
}

func (u *fakeUnit) Start(ctx context.Context) error   { return u.job(ctx, "start", u.started) }
func (u *fakeUnit) Reload(ctx context.Context) error  { return u.job(ctx, "reload", nil) }
func (u *fakeUnit) Restart(ctx context.Context) error { return u.job(ctx, "restart", u.restarted) }

func (u *fakeUnit) job(ctx context.Context, what string, effect func() error) error {
	u.mu.Lock()
	u.calls = append(u.calls, what)
	lasts, stuck := u.lasts, u.stuck
	u.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(lasts):
	}
	if effect != nil {
		return effect()
	}
	return nil
}

// set changes how it is.
func (u *fakeUnit) set(f func(u *fakeUnit)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(u)
}

// jobs returns what was done to the unit, in one line.
func (u *fakeUnit) jobs() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.calls, " ")
}

// logbook keeps what is logged, of every level.
type logbook struct {
	mu    sync.Mutex
	lines []string
	shown []string // from Info on, since the last forget
	errs  []error  // every error that was logged
	least slog.Level
}

func (l *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }
func (l *logbook) WithGroup(string) slog.Handler                    { return l }

func (l *logbook) WithAttrs(attrs []slog.Attr) slog.Handler { return withAttrs{l, attrs} }

// withAttrs is a logbook whose records all have some attributes.
type withAttrs struct {
	*logbook
	attrs []slog.Attr
}

func (w withAttrs) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(w.attrs...)
	return w.logbook.Handle(ctx, r)
}

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf("%s %s %s", r.Time.Format("15:04:05.000"), r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		if err, ok := a.Value.Any().(error); ok {
			l.errs = append(l.errs, err)
		}
		return true
	})
	l.lines = append(l.lines, line)
	if r.Level >= slog.LevelInfo {
		l.shown = append(l.shown, line)
	}
	return nil
}

// hasError reports whether an error of a kind was logged.
func (l *logbook) hasError(kind error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.errs, func(err error) bool { return errors.Is(err, kind) })
}

func (l *logbook) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *logbook) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = nil
}

// count returns how many lines, from Info on and since the last forget, have
// all the words.
func (l *logbook) count(words ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.shown {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// want fails the test unless exactly n lines have all the words.
func (l *logbook) want(t *testing.T, n int, words ...string) {
	t.Helper()
	if got := l.count(words...); got != n {
		t.Errorf("%d log lines with %q, want %d", got, words, n)
	}
}
