package watcher

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
	"k2hdkc-slave-agent/watcher/schedule"
)

func TestStatusInOneLine(t *testing.T) {
	since := time.Date(2031, 5, 6, 14, 3, 22, 0, time.Local)
	later := since.Add(108 * time.Second)
	file := Status{Role: "yrn:yahoo:::shop:role:orders/slave", HasFile: true, Revision: 12, Servers: 3, ChmpxSince: since, Every: 5 * time.Minute}
	with := func(s Status, change func(s *Status)) Status {
		change(&s)
		return s
	}
	none := Status{Role: file.Role, Every: time.Minute}
	for _, c := range []struct {
		s    Status
		want string
	}{
		{with(none, func(s *Status) { s.Joining = true }), "registering"},
		{none, "no slave.ini yet; asking K2HR3"},
		{with(none, func(s *Status) { s.Applying = Problem{NoServer, since, "it lists none"} }), "waiting for the first server of orders/slave"},
		{with(none, func(s *Status) {
			s.Asking, s.Membership = Problem{NoText, later, "status 404: not a member of the role"}, Problem{NoMember, since, "no role token"}
		}), "K2HR3 gives no RESOURCE since 2031-05-06 14:05:10 (status 404: not a member of the role); membership unconfirmed since 2031-05-06 14:03:22 (no role token)"},
		{file, "revision 12 with 3 servers; asking K2HR3 about every 5m"},
		{with(file, func(s *Status) { s.Servers, s.Every = 1, 90*time.Minute }), "revision 12 with 1 server; asking K2HR3 about every 1h30m"},
		{with(file, func(s *Status) { s.Chmpx, s.Holds = ChmpxRuns, true }), "revision 12 with 3 servers, run by chmpx since 2031-05-06 14:03:22; K2HR3 holds the request"},
		{with(file, func(s *Status) { s.Chmpx, s.Ring = ChmpxRuns, true }), "revision 12 with 3 servers, run by chmpx since 2031-05-06 14:03:22; chmpx has other servers, asking K2HR3"},
		{with(file, func(s *Status) { s.Chmpx, s.Every = ChmpxWaits, time.Minute }), "revision 12 with 3 servers, not loaded by chmpx yet; asking K2HR3 about every 1m"},
		{with(file, func(s *Status) { s.Chmpx = ChmpxBehind }), "revision 12 with 3 servers, not loaded by chmpx: restart chmpx; asking K2HR3 about every 5m"},
		{with(file, func(s *Status) { s.Chmpx = ChmpxDown }), "revision 12 with 3 servers; chmpx is not running; asking K2HR3 about every 5m"},
		{with(file, func(s *Status) { s.Chmpx = ChmpxHidden }), "revision 12 with 3 servers; cannot probe chmpx; asking K2HR3 about every 5m"},
		{with(file, func(s *Status) {
			s.Chmpx, s.Asking, s.Membership = ChmpxRuns, Problem{Unreachable, later, "connection refused"}, Problem{NoMember, later, "connection refused"}
		}), "K2HR3 cannot be reached since 2031-05-06 14:05:10 (connection refused); keeping revision 12, run by chmpx since 2031-05-06 14:03:22"},
		{with(file, func(s *Status) { s.Applying = Problem{NoServer, later, "it lists none"} }), "K2HR3 lists no server since 2031-05-06 14:05:10; keeping revision 12"},
		{with(file, func(s *Status) { s.Applying = Problem{Refused, later, "reject: line 3: no"} }), "RESOURCE refused since 2031-05-06 14:05:10 (reject: line 3: no); keeping revision 12"},
		{with(file, func(s *Status) { s.Applying = Problem{Unwritable, later, "no space left on device"} }),
			"cannot replace slave.ini since 2031-05-06 14:05:10 (no space left on device); keeping revision 12"},
		{with(file, func(s *Status) { s.Membership = Problem{NoMember, later, "no role token"} }),
			"revision 12 with 3 servers; membership unconfirmed since 2031-05-06 14:05:10 (no role token); asking K2HR3 about every 5m"},
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
		{fmt.Errorf("%w of a role", member.ErrMissing), "K2HR3 says that this host is no longer a member"},
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

// A life with much that can be wrong, in the line that the watcher says of itself, and in its
// conditions.
func TestTheWatcherSaysHowItIs(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.leave(1)
		every(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			time.Sleep(time.Second)
			return next.RoundTrip(req)
		})(h)
		h.start()
		h.says("registering", "")
		h.pass(10 * time.Second)
		h.wants(Failed, "no_file (no_server)")
		h.pass(time.Minute)
		h.says("waiting for the first server of orders/slave", "")
		h.wants(Failed, "no_server no_file")
		unmeddled(h)

		h.join(1)
		h.pass(time.Minute)
		h.says("revision 1 with 1 server; chmpx is not running; asking K2HR3 about every 1m", "")
		h.wants(Failed, "chmpx_down")
		h.chmpx.start(t)
		h.pass(2 * time.Second)
		runs := time.Now().Format(time.DateTime)
		h.says("revision 1 with 1 server, run by chmpx since "+runs[:len(runs)-1], "; asking K2HR3 about every 1m")
		h.pass(3 * time.Second)
		h.wants(Healthy, "")
		if p := h.latest().Health.Previous; p == nil || p.Code != ChmpxNotRunning || p.Until.IsZero() {
			t.Errorf("the previous condition: %+v", p)
		}

		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.join(2)
		h.askNow()
		h.pass(schedule.LeastAskPause)
		h.says("revision 2 with 2 servers, not loaded by chmpx yet; ", "every 1m")
		h.pass(5 * time.Second)
		h.wants(Healthy, "(revision_unconfirmed)")
		h.pass(2 * time.Minute)
		h.says("revision 3 with 2 servers, not loaded by chmpx: restart chmpx; ", "")
		h.wants(Degraded, "revision_unconfirmed")
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = false })
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers, run by chmpx since ", "")
		h.wants(Healthy, "(server_down)") // the file has one that is not in the ring
		h.pass(30 * time.Second)
		h.wants(Degraded, "server_down")
		h.chmpx.setRing(1, 2)
		h.pass(3 * time.Second)
		h.wants(Healthy, "")

		h.chmpx.setRing(1, 2, 3)
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers, run by chmpx since ", "; chmpx has other servers, asking K2HR3")
		h.wants(Healthy, "(ring_differs)")
		h.pass(time.Minute)
		h.wants(Degraded, "ring_differs")
		h.chmpx.setRing(1, 2)
		h.pass(3 * time.Second)
		h.wants(Healthy, "")

		every(refused(syscall.ECONNREFUSED))(h)
		h.askNow()
		h.pass(10 * time.Second)
		since := time.Now().Format(time.DateTime)
		h.says("K2HR3 cannot be reached since "+since[:len(since)-2], " (connection refused); keeping revision 3, run by chmpx since "+h.line()[len(h.line())-len(since):])
		first := h.line()
		h.pass(20 * time.Second)
		h.wants(Healthy, "(k2hr3_unreachable)")
		h.pass(time.Hour)
		h.says(first, "") // the time is that of the beginning, the last digits too
		h.wants(Degraded, "k2hr3_unreachable")
		unmeddled(h)
		h.pass(5 * time.Minute)
		h.says("revision 3 with 2 servers, run by chmpx since ", "every 1m")
		h.wants(Healthy, "")

		h.chmpx.stop()
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers; chmpx is not running; ", "")
		h.chmpx.start(t)
		h.pass(5 * time.Second)
		h.chmpx.set(func(c *fakeChmpx) { c.failing = errors.New("boom") })
		h.pass(10 * time.Second)
		h.says("revision 3 with 2 servers; cannot probe chmpx; ", "")
		h.pass(50 * time.Second)
		h.wants(Degraded, "chmpx_unseen")
		h.chmpx.set(func(c *fakeChmpx) { c.failing, c.missing = nil, true })
		h.pass(time.Minute)
		h.says("revision 3 with 2 servers; asking K2HR3", "")
		h.wants(Healthy, "chmpx_unseen")
		h.chmpx.set(func(c *fakeChmpx) { c.missing = false })
		h.pass(absentPause + 5*time.Second)
		h.wants(Healthy, "")

		h.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.EmptyText})
		h.askNow()
		h.pass(time.Second)
		h.says("RESOURCE refused since ", "; keeping revision 3, run by chmpx since "+h.line()[len(h.line())-len(since):])
		h.pass(15 * time.Second)
		h.wants(Degraded, "resource_refused")
		h.api.ClearFaults()
		h.askNow()

		good := h.file()
		h.edit(asDirectory)
		h.says("cannot replace slave.ini since ", "")
		h.pass(15 * time.Second)
		h.wants(Failed, "file_unwritable")
		// It is told of until the file is back, by whomever.
		h.edit(func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, []byte(good), 0o644)) })
		h.pass(2 * time.Minute)
		h.says("revision ", "every 1m")
		h.wants(Healthy, "")

		h.api.Hold(time.Minute)
		h.askNow()
		h.pass(15 * time.Minute) // it takes an answer that is late to learn that, and the pause after it
		h.says("revision 3 with 2 servers, run by chmpx since ", "; K2HR3 holds the request")
	})
}

// Whoever prints the log can tell an error for want of a right from others.
func TestErrorsInTheLogCarryTheirKind(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.edit(asDirectory)
		if !h.log.hasError(render.ErrNotRegular) {
			t.Error("a file that cannot be put back")
		}
		noError(t, errors.Join(os.RemoveAll(h.config.StateFile), os.Mkdir(h.config.StateFile, 0o755), os.Remove(h.config.File.Path)))
		h.pass(2 * time.Minute)
		if !h.log.hasError(fs.ErrExist) {
			t.Error("a state file that cannot be saved")
		}
		os.Remove(h.config.StateFile)
	})
}
