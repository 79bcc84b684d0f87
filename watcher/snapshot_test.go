package watcher

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

func TestSnapshotInOneLine(t *testing.T) {
	since := time.Date(2031, 5, 6, 14, 3, 22, 0, time.Local)
	later := since.Add(108 * time.Second)
	file := Snapshot{Role: "yrn:yahoo:::shop:role:orders/slave", HasFile: true, Revision: 12, Servers: 3, ChmpxSince: since, Every: 5 * time.Minute}
	with := func(s Snapshot, change func(s *Snapshot)) Snapshot {
		change(&s)
		return s
	}
	none := Snapshot{Role: file.Role, Every: time.Minute}
	for _, c := range []struct {
		s    Snapshot
		want string
	}{
		{with(none, func(s *Snapshot) { s.Joining = true }), "registering"},
		{none, "no file yet; asking K2HR3"},
		{with(none, func(s *Snapshot) { s.Applying = Trouble{NoServer, since, "it lists none"} }), "waiting for the first server of orders/slave"},
		{with(none, func(s *Snapshot) {
			s.Asking, s.Standing = Trouble{NoText, later, "status 404: not a member of the role"}, Trouble{NoMember, since, "no role token"}
		}), "K2HR3 gives no text since 2031-05-06 14:05:10 (status 404: not a member of the role); membership is not certain since 2031-05-06 14:03:22 (no role token)"},
		{file, "revision 12 with 3 servers; K2HR3 is asked about every 5m"},
		{with(file, func(s *Snapshot) { s.Servers, s.Every = 1, 90*time.Minute }), "revision 12 with 1 server; K2HR3 is asked about every 1h30m"},
		{with(file, func(s *Snapshot) { s.Chmpx, s.Holds = ChmpxRuns, true }), "revision 12 with 3 servers, run by chmpx since 2031-05-06 14:03:22; K2HR3 holds the request"},
		{with(file, func(s *Snapshot) { s.Chmpx, s.Ring = ChmpxRuns, true }), "revision 12 with 3 servers, run by chmpx since 2031-05-06 14:03:22; chmpx knows other servers, asking K2HR3"},
		{with(file, func(s *Snapshot) { s.Chmpx, s.Every = ChmpxWaits, time.Minute }), "revision 12 with 3 servers, not yet run by chmpx; K2HR3 is asked about every 1m"},
		{with(file, func(s *Snapshot) { s.Chmpx = ChmpxBehind }), "revision 12 with 3 servers, not taken by chmpx, which needs a restart; K2HR3 is asked about every 5m"},
		{with(file, func(s *Snapshot) { s.Chmpx = ChmpxDown }), "revision 12 with 3 servers; chmpx does not run; K2HR3 is asked about every 5m"},
		{with(file, func(s *Snapshot) { s.Chmpx = ChmpxHidden }), "revision 12 with 3 servers; chmpx cannot be looked at; K2HR3 is asked about every 5m"},
		{with(file, func(s *Snapshot) {
			s.Chmpx, s.Asking, s.Standing = ChmpxRuns, Trouble{Unreachable, later, "connection refused"}, Trouble{NoMember, later, "connection refused"}
		}), "K2HR3 cannot be reached since 2031-05-06 14:05:10 (connection refused); revision 12 stays, run by chmpx since 2031-05-06 14:03:22"},
		{with(file, func(s *Snapshot) { s.Applying = Trouble{NoServer, later, "it lists none"} }), "K2HR3 lists no server since 2031-05-06 14:05:10; revision 12 stays"},
		{with(file, func(s *Snapshot) { s.Applying = Trouble{Refused, later, "reject: line 3: no"} }), "K2HR3's text is refused since 2031-05-06 14:05:10 (reject: line 3: no); revision 12 stays"},
		{with(file, func(s *Snapshot) { s.Applying = Trouble{Unwritable, later, "no space left on device"} }),
			"the file cannot be replaced since 2031-05-06 14:05:10 (no space left on device); revision 12 stays"},
		{with(file, func(s *Snapshot) { s.Standing = Trouble{NoMember, later, "no role token"} }),
			"revision 12 with 3 servers; membership is not certain since 2031-05-06 14:05:10 (no role token); K2HR3 is asked about every 5m"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%+v\nis   %s\nwant %s", c.s, got, c.want)
		}
	}
}

func TestBriefReasons(t *testing.T) {
	exchange := func(e k2hr3.Error) error {
		e.Op, e.Host, e.Hint = "read resource yrn:yahoo:::shop:resource:orders/slave", "k2hr3.example:18080", "look there"
		return fmt.Errorf("by address and CUK: %w", &e)
	}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp4", Err: err} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{exchange(k2hr3.Error{Kind: k2hr3.ErrTransport, Err: dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))}), "connection refused"},
		{exchange(k2hr3.Error{Kind: k2hr3.ErrTransport, Err: dial(&net.DNSError{Err: "no such host", Name: "k2hr3.example"})}), "its name is not found"},
		{exchange(k2hr3.Error{Kind: k2hr3.ErrTransport, Err: dial(os.ErrDeadlineExceeded)}), "no answer in time"},
		{exchange(k2hr3.Error{Kind: k2hr3.ErrTransport, Err: errors.New("tls: expired\ncertificate")}), "tls: expired certificate"},
		{exchange(k2hr3.Error{Kind: k2hr3.ErrServer, Status: 503}), "status 503: server trouble"},
		{exchange(k2hr3.Error{Kind: k2hr3.ErrTemplate}), "template not rendered"},
		{fmt.Errorf("this host is no member and has %w to register with", member.ErrNoToken), "no role token"},
		{fmt.Errorf("%w, of a role", member.ErrMissing), "no longer a member, says K2HR3"},
		{&Refusal{Reason: "reject: line 7: it is\tbad"}, "reject: line 7: it is bad"},
		{fmt.Errorf("cannot write it: %w", &os.PathError{Op: "open", Path: "/a", Err: syscall.EROFS}), "read-only file system"},
		{errors.New(strings.Repeat("wörds ", 100)), strings.Repeat("wörds ", 14) + "wörds …"},
		{errors.New(strings.Repeat("ö", 100)), strings.Repeat("ö", 55) + " …"},
	} {
		if got := brief(c.err); got != c.want {
			t.Errorf("%v\nis   %q\nwant %q", c.err, got, c.want)
		}
	}
}

// says fails the test unless the watcher says of itself what begins like this,
// and ends like that.
func (h *host) says(begin, end string) {
	h.t.Helper()
	if line := h.line(); !strings.HasPrefix(line, begin) || !strings.HasSuffix(line, end) {
		h.t.Errorf("it says of itself: %s; want %s…%s", line, begin, end)
	}
}

func TestTheWatcherSaysHowItIs(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.leave(1)
		var m meddler = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			time.Sleep(time.Second)
			return next.RoundTrip(req)
		}
		h.meddle.Store(&m)
		h.start()
		h.says("registering", "")
		h.pass(time.Minute)
		h.says("waiting for the first server of orders/slave", "")
		unmeddled(h)

		h.join(1)
		h.pass(time.Minute)
		h.says("revision 1 with 1 server; chmpx does not run; K2HR3 is asked about every 1m", "")
		h.chmpx.start(t)
		h.pass(2 * time.Second)
		runs := time.Now().Format(time.DateTime)
		h.says("revision 1 with 1 server, run by chmpx since "+runs[:len(runs)-1], "; K2HR3 is asked about every 5m")

		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.join(2)
		h.send(AskNow)
		h.says("revision 2 with 2 servers, not yet run by chmpx; ", "every 1m")
		h.pass(2 * time.Minute)
		h.says("revision 3 with 2 servers, not taken by chmpx, which needs a restart; ", "")
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = false })
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers, run by chmpx since ", "")

		h.chmpx.setRing(1, 2, 3)
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers, run by chmpx since ", "; chmpx knows other servers, asking K2HR3")
		h.chmpx.setRing(1, 2)
		h.pass(10 * time.Second)

		down := refused(syscall.ECONNREFUSED)
		h.meddle.Store(&down)
		h.send(AskNow)
		h.pass(10 * time.Second)
		since := time.Now().Format(time.DateTime)
		h.says("K2HR3 cannot be reached since "+since[:len(since)-2], " (connection refused); revision 3 stays, run by chmpx since "+h.line()[len(h.line())-len(since):])
		first := h.line()
		h.pass(time.Hour)
		h.says(first, "") // the time is that of the beginning, the last digits too
		unmeddled(h)
		h.pass(5 * time.Minute)
		h.says("revision 3 with 2 servers, run by chmpx since ", "every 5m")

		h.chmpx.stop()
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers; chmpx does not run; ", "")
		h.chmpx.set(func(c *fakeChmpx) { c.failing = errors.New("boom") })
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers; chmpx cannot be looked at; ", "")
		h.chmpx.set(func(c *fakeChmpx) { c.missing = true })
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers; K2HR3", "")

		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.EmptyText})
		h.send(AskNow)
		h.pass(time.Second)
		h.says("K2HR3's text is refused since ", "; revision 3 stays")
		h.api.ClearFaults()
		h.api.Hold(time.Minute)
		h.send(AskNow)
		h.pass(3 * time.Minute) // it takes an answer that is late to learn that
		h.says("revision 3 with 2 servers; K2HR3 holds the request", "")
	})
}

// A file that cannot be put back is told of until it is back, by whomever.
func TestTheWatcherSaysThatTheFileCannotBeReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		good := h.file()
		h.edit(func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o755)
		})
		h.says("the file cannot be replaced since ", "")
		h.edit(func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, []byte(good), 0o644)
		})
		h.pass(2 * time.Minute)
		h.says("revision ", "every 5m")
	})
}

func TestWhoRunsTheWatcherExplainsErrorsOfWriting(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.explain = func(err error) error { return fmt.Errorf("%w (so it goes)", err) }
		h.applied()
		h.edit(func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) })
		h.log.want(t, 1, "could not be put back", "so it goes")
		if err := os.RemoveAll(h.config.StateFile); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(h.config.StateFile, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(h.config.File.Path); err != nil {
			t.Fatal(err)
		}
		h.pass(2 * time.Minute)
		h.log.want(t, 1, "cannot remember", "so it goes")
		os.Remove(h.config.StateFile)
	})
}
