package watcher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
	"k2hdkc-slave-agent/watcher/schedule"
)

const (
	ownCUK  = "vm-7-of-shop"
	ownAddr = "10.20.0.21"
)

// host is one slave VM in virtual time: a watcher with the real client, a
// stand-in K2HR3, a model of chmpx and a real file. It begins with a cluster of
// one server node and a role token, and without a file, a chmpx or systemd.
type host struct {
	t       *testing.T
	api     *fakek2hr3.Server
	cluster *fakek2hr3.Cluster
	net     *fakek2hr3.InMemory
	limiter k2hr3.Limiter
	pace    *Pace // nil: each watcher has one of its own
	before  *Health
	token   string
	wall    func() time.Time
	offset  *atomic.Int64          // of the clock on the wall
	addr    string                 // of this host, when the watcher is made
	from    atomic.Pointer[string] // where it is since, nil: there still
	lost    atomic.Pointer[string] // an address that it had and no connection can come from
	name    atomic.Pointer[string] // its full name that resolves, nil: none does
	renamed atomic.Bool            // it may be called otherwise since the agent looked
	unnamed atomic.Bool            // what it was called means another host, or none
	meddle  atomic.Pointer[meddler]

	dir    string
	config Config
	chmpx  *fakeChmpx
	unit   *fakeUnit // nil: no systemd
	blind  bool      // there is no chmpxstatus configured at all
	signs  Signs     // of a chmpx that is not seen; nil: none
	log    *logbook
	dog    *watchdog // nil: nobody wants signs of life

	meter  counts
	w      *Watcher
	events chan Event
	end    context.CancelFunc
	done   chan error

	opinion atomic.Pointer[func(context.Context) error] // nil: the staged file is fine

	// mu is for what the watcher's goroutines read and write.
	mu       sync.Mutex
	secrets  []string    // every token it was given
	staged   []string    // each text that got as far as a staged file
	lines    []string    // what the watcher said how it is, the latest few
	replaced []time.Time // when the file had another revision each time
	shown    int         // the revision that the watcher said last
	status   Status      // what it said last
	shows    atomic.Int64
}

// inBubble runs f on a host in a bubble of virtual time.
func inBubble(t *testing.T, f func(t *testing.T, h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, newHost(t))
	})
}

// onHost runs f as a subtest, on a host of its own.
func onHost(t *testing.T, name string, f func(t *testing.T, h *host)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inBubble(t, f) })
}

// noError fails the test at once if there is one.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHost(t *testing.T) *host {
	h := &host{t: t, api: fakek2hr3.New(), log: &logbook{least: slog.LevelDebug}, dir: t.TempDir(), events: make(chan Event), addr: ownAddr}
	h.net = fakek2hr3.Listen(h.api)
	t.Cleanup(h.net.Close)
	h.cluster = h.api.AddCluster("shop", "orders")
	h.join(1)
	h.setToken(h.cluster.RoleToken("slave", 0))
	h.config = Config{
		Role:      h.cluster.SlaveRole(),
		File:      render.File{Path: filepath.Join(h.dir, "slave.ini")},
		StateFile: filepath.Join(h.dir, "state", "state.json"),
		Origin:    "http://k2hr3 orders " + ownCUK, InstanceID: ownCUK, MinServers: 1, Stamp: true,
		Interval: time.Minute, Wait: 55 * time.Second, Confirm: 30 * time.Second, Peek: 2 * time.Second,
		Start: true,
	}
	noError(t, os.Mkdir(filepath.Join(h.dir, "state"), 0o755))
	h.chmpx = &fakeChmpx{path: h.config.File.Path, indirect: *indirect}
	t.Cleanup(h.check)
	t.Cleanup(func() { h.stop() })
	return h
}

// check looks for what must never be, whatever the test is about.
func (h *host) check() {
	if h.chmpx.died != "" {
		h.t.Errorf("chmpx was ended: %s", h.chmpx.died)
	}
	for _, line := range h.log.all() {
		if h.secret(line) {
			h.t.Errorf("the log has a role token in it: %s", line)
		}
		if strings.Contains(line, "<nil>") {
			h.t.Errorf("the log tells of an error that there is none of: %s", line)
		}
		if strings.Contains(line, "cannot be read by somebody else") {
			h.t.Errorf("the log blames somebody else for what the agent cannot do: %s", line)
		}
	}
	for path, text := range tree(h.t, h.dir) {
		if path != h.tokenFile() && h.secret(text) {
			h.t.Errorf("%s has a role token in it", path)
		}
	}
	if h.t.Failed() {
		h.mu.Lock()
		h.t.Logf("said of itself:\n%s", strings.Join(h.lines, "\n"))
		h.mu.Unlock()
		h.t.Logf("log:\n%s", strings.Join(h.log.all(), "\n"))
		requests := h.api.Requests()
		for _, r := range requests[max(0, len(requests)-20):] {
			h.t.Logf("%v If-None-Match=%q Prefer=%q held=%v", r, r.IfNoneMatch, r.Prefer, r.Held)
		}
	}
}

func serverAddr(n int) string { return fmt.Sprintf("10.20.1.%d", n) }
func serverCUK(n int) string  { return fmt.Sprintf("server-%d", n) }
func serverName(n int) string { return fmt.Sprintf("server-%d.orders.example", n) }

func (h *host) join(n int)  { h.cluster.Join(serverAddr(n), serverCUK(n), serverName(n)) }
func (h *host) leave(n int) { h.cluster.Leave(serverAddr(n), serverCUK(n)) }

func (h *host) tokenFile() string { return filepath.Join(h.dir, "role-token") }

func (h *host) setToken(token string) {
	h.token = token
	h.mu.Lock()
	h.secrets = append(h.secrets, token)
	h.mu.Unlock()
	noError(h.t, os.WriteFile(h.tokenFile(), []byte(token+"\n"), 0o600))
}

// secret reports whether a role token is in the text.
func (h *host) secret(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.secrets, func(s string) bool { return strings.Contains(text, s) })
}

func (h *host) removeToken() {
	noError(h.t, os.Remove(h.tokenFile()))
}

// place is where the host is.
func (h *host) place() string {
	if from := h.from.Load(); from != nil {
		return *from
	}
	return h.addr
}

// moveTo gives the running host another address.
func (h *host) moveTo(addr string) { h.from.Store(&addr) }

// meddler does something to an exchange on its way.
type meddler func(req *http.Request, next http.RoundTripper) (*http.Response, error)

// client returns a client whose connections come from where the host is when
// they are made, or from a fixed address.
func (h *host) client(fixed string) *k2hr3.Client {
	api, _ := k2hr3.ParseAPI("http://k2hr3.shop.example:18080")
	client, err := k2hr3.New(k2hr3.Config{API: api, Logger: slog.New(h.log), Limiter: &h.limiter, Transport: line{h, &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if lost := h.lost.Load(); lost != nil && *lost == fixed {
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("bind: cannot assign requested address")}
			}
			return h.net.Dialer(cmp.Or(fixed, h.place()))(ctx, network, addr)
		}, DisableKeepAlives: true, DisableCompression: true,
	}}})
	if err != nil {
		h.t.Fatal(err)
	}
	return client
}

// line is the line to K2HR3.
type line struct {
	h    *host
	next http.RoundTripper
}

func (l line) RoundTrip(req *http.Request) (*http.Response, error) {
	if m := l.h.meddle.Load(); m != nil {
		return (*m)(req, l.next)
	}
	return l.next.RoundTrip(req)
}

// make makes a watcher as the agent makes it when it starts.
func (h *host) make() *Watcher {
	role, err := k2hr3.ParseRole(h.cluster.SlaveRole())
	if err != nil {
		h.t.Fatal(err)
	}
	cuk, err := k2hr3.ParseCUK(h.config.InstanceID)
	if err != nil {
		h.t.Fatal(err)
	}
	w := &Watcher{
		Meter:  &h.meter,
		Config: h.config,
		Member: &member.Member{
			Client: h.client(""), Role: role, Resource: role.Resource(), CUK: cuk, Log: slog.New(h.log),
			FullName:    h.fullName,
			MayBeNamed:  func(context.Context, string) bool { return !h.unnamed.Load() },
			NameChanged: func() bool { return h.renamed.Swap(false) },
			Address:     func(context.Context) (netip.Addr, error) { return netip.MustParseAddr(h.place()), nil },
			ClientFrom:  func(from netip.Addr) (*k2hr3.Client, error) { return h.client(from.String()), nil },
			TokenFile:   h.tokenFile,
		},
		Judge:         judgeAs{h},
		SecondOpinion: loaderOf{h},
		Pace:          h.pace,
		Before:        h.before,
		Wall:          h.wall,
		Log:           slog.New(h.log),
	}
	if !h.blind {
		w.Chmpx, w.Peers = h.chmpx, h.chmpx
	}
	if h.signs != nil {
		w.Signs = h.signs
	}
	if h.unit != nil {
		w.Unit = h.unit
	}
	if h.dog != nil {
		h.dog.start()
		w.Alive, w.AliveEvery = h.dog.fed, h.dog.limit/3
	}
	w.Changed = h.changed
	h.w = w
	return w
}

// changed keeps the latest of what the watcher says how it is.
func (h *host) changed(s Status) {
	line := s.String()
	if h.secret(line) || line == "" || len(line) > 600 || strings.ContainsFunc(line, unicode.IsControl) {
		h.t.Errorf("not fit for a status line: %q", line)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = s
	h.shows.Add(1)
	if s.Revision != h.shown {
		h.replaced, h.shown = append(h.replaced, time.Now()), s.Revision
	}
	if len(h.lines) == 50 {
		h.lines = slices.Delete(h.lines, 0, 1)
	}
	h.lines = slices.Compact(append(h.lines, line))
}

// line is what it said last.
func (h *host) line() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lines) == 0 {
		return ""
	}
	return h.lines[len(h.lines)-1]
}

func (h *host) fullName(context.Context) (string, bool) {
	name := h.name.Load()
	if name == nil || *name == "" {
		return "", false
	}
	return *name, true
}

// judgeAs judges files for a host.
type judgeAs struct{ *host }

func (h judgeAs) Judge(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report {
	return chmpx.Judge(ctx, b, chmpx.Host{Name: "vm-7", Addrs: h.chmpx.names()}, running)
}

// loaderOf is the second opinion on the files of a host.
type loaderOf struct{ *host }

// Check sees each file that is about to be put in place, and holds it against
// a loader of chmpx's files that the agent does not use.
func (h loaderOf) Check(ctx context.Context, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		h.t.Errorf("the staged file: %v", err)
		return nil
	}
	opinion := h.opinion.Load()
	if why := h.chmpx.wouldEnd(b); why != nil && opinion == nil {
		h.t.Errorf("a staged file would end chmpx: %v", why)
	}
	if path != h.config.File.ParkedPath() {
		h.mu.Lock()
		h.staged = append(h.staged, string(b))
		h.mu.Unlock()
	}
	if opinion != nil {
		return (*opinion)(ctx)
	}
	return nil
}

// object has a second opinion against every file, nil: none any more.
func (h *host) object(f func(context.Context) error) {
	if f == nil {
		h.opinion.Store(nil)
		return
	}
	h.opinion.Store(&f)
}

// start runs the watcher until stop, and waits for it to have nothing to do.
func (h *host) start() {
	w := h.make()
	ctx, end := context.WithCancel(h.t.Context())
	h.end, h.done = end, make(chan error, 1)
	go func() { h.done <- w.Run(ctx, h.events) }()
	synctest.Wait()
}

// stop ends the watcher. That takes no time and leaves no temporary file.
func (h *host) stop() {
	if h.end == nil {
		return
	}
	start := time.Now()
	h.end()
	h.end = nil
	if err := <-h.done; err != nil {
		h.t.Errorf("Run ended with %v", err)
	}
	if d := time.Since(start); d != 0 {
		h.t.Errorf("Run took %v to end", d)
	}
	h.noTemporary(".slave.parked.ini") // which waits for a restart of chmpx
}

func (h *host) noTemporary(but ...string) {
	h.t.Helper()
	var left []string
	for _, dir := range []string{h.dir, filepath.Dir(h.config.StateFile)} {
		list, err := os.ReadDir(dir)
		if err != nil {
			h.t.Error(err)
		}
		for _, e := range list {
			left = append(left, e.Name())
		}
	}
	known := append(but, "role-token", "slave.ini", ".slave.lock", "state", "state.json")
	for _, name := range left {
		if !slices.Contains(known, name) {
			h.t.Errorf("a file was left behind: %s", name)
		}
	}
}

// ownClock gives the host a clock that a test may set, by offset.
func (h *host) ownClock() {
	h.offset = new(atomic.Int64)
	h.wall = func() time.Time { return time.Now().Add(time.Duration(h.offset.Load())) }
}

// pass lets time go by.
func (h *host) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// send gives the watcher an event.
func (h *host) send(e Event) {
	h.events <- e
	synctest.Wait()
}

// askNow is what SIGHUP does. The request it wants begins within schedule.LeastAskPause, as
// there may have been one a moment ago.
func (h *host) askNow() {
	h.send(AskNow)
	h.pass(schedule.LeastAskPause)
}

// edit does to the file what somebody else may, and tells the watcher of it as
// inotify would.
func (h *host) edit(f func(path string) error) {
	h.t.Helper()
	noError(h.t, f(h.config.File.Path))
	h.send(OutputTouched)
}

func overwrite(text string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }
}

// file returns the text in place, empty without one.
func (h *host) file() string {
	b, err := h.config.File.Read()
	if err != nil && !os.IsNotExist(err) {
		h.t.Error(err)
	}
	return string(b)
}

// lists reports whether the file in place lists a server.
func (h *host) lists(n int) bool { return strings.Contains(h.file(), serverName(n)) }

// wantListed fails the test unless the file in place lists a server, and says what it means that
// it does not.
func (h *host) wantListed(n int, otherwise string) {
	h.t.Helper()
	if !h.lists(n) {
		h.t.Errorf("%s: server %d is not in the file", otherwise, n)
	}
}

// wantRevision fails the test unless the file in place has this revision.
func (h *host) wantRevision(n int) {
	h.t.Helper()
	if got := h.revision(); got != n {
		h.t.Errorf("revision %d is in place, want %d", got, n)
	}
}

// wantJobs fails the test unless this, in one line, was done to chmpx's unit.
func (h *host) wantJobs(jobs string) {
	h.t.Helper()
	if got := h.unit.jobs(); got != jobs {
		h.t.Errorf("jobs: %q, want %q", got, jobs)
	}
}

// revision is that of the file in place, 0 without one.
func (h *host) revision() int {
	h.t.Helper()
	return revisionOf(h.file())
}

func revisionOf(text string) int {
	c, _ := chmpx.Load([]byte(text), nil)
	if c == nil {
		return 0
	}
	return c.FileVersion
}

// identity changes with any replacement or rewriting of a file, also by the
// same bytes.
type identity struct {
	inode    uint64
	modified time.Time
}

func identify(t *testing.T, path string) identity {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return identity{fi.Sys().(*syscall.Stat_t).Ino, fi.ModTime()}
}

// untouched returns a function that fails the test if anything but reading was
// done to slave.ini since.
func (h *host) untouched() func() {
	h.t.Helper()
	before, staged := identify(h.t, h.config.File.Path), len(h.texts())
	return func() {
		h.t.Helper()
		if after := identify(h.t, h.config.File.Path); after != before {
			h.t.Errorf("slave.ini was touched: %v, then %v", before, after)
		}
		if n := len(h.texts()) - staged; n != 0 {
			h.t.Errorf("%d more files were staged", n)
		}
	}
}

// requests returns those of the given kinds since the last forget.
func (h *host) requests(ops ...fakek2hr3.Op) []fakek2hr3.Request {
	return slices.DeleteFunc(h.api.Requests(), func(r fakek2hr3.Request) bool { return !slices.Contains(ops, r.Op) })
}

// reads are the requests for the RESOURCE.
func (h *host) reads() []fakek2hr3.Request { return h.requests(fakek2hr3.OpResource) }

func (h *host) forget() {
	h.api.ForgetRequests()
	h.log.forget()
}

// applied brings the host to where it has its file and chmpx runs it, and where
// K2HR3 was asked so lately that it is not asked soon.
func (h *host) applied() {
	h.t.Helper()
	h.start()
	h.pass(2 * time.Second)
	if !h.lists(1) {
		h.t.Fatalf("no first file:\n%s", strings.Join(h.log.all(), "\n"))
	}
	if !h.blind {
		h.chmpx.start(h.t)
		h.pass(75 * time.Second)
	}
	h.forget()
}

// gaps are the times between requests.
func gaps(list []fakek2hr3.Request) []time.Duration {
	var d []time.Duration
	for i := 1; i < len(list); i++ {
		d = append(d, list[i].Start.Sub(list[i-1].Start))
	}
	return d
}

// without returns the text less the lines that contain s.
func without(text, s string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, s) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// tree is everything below a directory, with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := regularfile.Read(path, render.MaxFile)
		all[path] = fmt.Sprint(identify(t, path)) + " " + string(bytes.TrimSpace(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
