package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"k2hdkc-slave-agent/tests/chmpxhost"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/netns"
)

// realHost is a host with the real chmpx on it, and nothing to connect to.
type realHost struct {
	*netns.Host
	programs fakechmpx.Programs
	conf     string
	prober   *Prober
}

func newRealHost(t *testing.T) *realHost {
	t.Helper()
	programs, ok := fakechmpx.Installed()
	if !ok {
		t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
	}
	dir := t.TempDir()
	h := &realHost{programs: programs, conf: filepath.Join(dir, "slave.ini"), prober: &Prober{Dir: dir}}
	h.Host = chmpxhost.New(t, "web-1", []string{"10.20.0.31"}, map[string]string{"hosts": "127.0.0.1 localhost\n10.20.0.11 db-1.shop.internal\n"})
	h.prober.Command = h.Program(t, programs.Status)
	return h
}

// put replaces the file.
func (h *realHost) put(t *testing.T, text string) {
	t.Helper()
	next := h.conf + ".next"
	fatal.If(t, os.WriteFile(next, []byte(text), 0o644))
	fatal.If(t, os.Rename(next, h.conf))
}

// start starts chmpx and waits until it is up. end ends it in order.
func (h *realHost) start(t *testing.T) (pid int, end func()) {
	t.Helper()
	var p *fakechmpx.Process
	fatal.If(t, h.Do(func() (err error) {
		p, err = fakechmpx.StartT(t, h.programs, h.conf)
		return err
	}))
	return p.PID(), func() { p.Stop(t.Context()) }
}

func (h *realHost) status(group string, ctlPort int) (st Status, err error) {
	err = h.Do(func() (err error) {
		st, err = h.prober.Status(context.Background(), group, ctlPort)
		return err
	})
	return st, err
}

const realText = `[GLOBAL]
FILEVERSION = 7
GROUP = orders
MODE = SLAVE
DELIVERMODE = hash
CHMPXIDTYPE = CUSTOM
SELFCTLPORT = 8031
SELFCUK = cuk-31
MAXCHMPX = 8
K2HMASKBIT = 4
PORT = 8020
CTLPORT = 8021
[SVRNODE]
NAME = 10.20.0.11
CUK = cuk-11
CUSTOM_ID_SEED = db-1
[SVRNODE]
NAME = 10.20.0.12
CUK = cuk-12
CUSTOM_ID_SEED = db-2
[SLVNODE]
NAME = 10.20.0.31
CTLPORT = 8031
CUK = cuk-31
CUSTOM_ID_SEED = web-1
`

// TestRealChmpxIsRead looks at a real chmpx from before its start to its end.
func TestRealChmpxIsRead(t *testing.T) {
	h := newRealHost(t)
	if _, err := h.status("orders", 8031); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("before the start: %v, want %v", err, ErrNotRunning)
	}

	h.put(t, realText)
	begin := time.Now()
	pid, end := h.start(t)
	st, err := h.status("orders", 8031)
	fatal.If(t, err)
	server := func(name, n string) Node {
		return Node{Name: name, CUK: "cuk-1" + n, Seed: "db-" + n, Port: 8020, CtlPort: 8021,
			State: "[SERVICE OUT][DOWN][n/a][Nothing][NoSuspend]"}
	}
	want := Status{
		PID: pid, Group: "orders", Revision: 7, MaxNodes: 8, FreeNodes: 5,
		Self: Node{Name: "10.20.0.31", CUK: "cuk-31", Seed: "web-1", Port: -1, CtlPort: 8031,
			State: "[SLAVE][UP][n/a][Nothing][NoSuspend]"},
		Servers: []Node{server("db-1.shop.internal", "1"), server("10.20.0.12", "2")},
	}
	inAnyOrder := cmpopts.SortSlices(func(a, b Node) bool { return a.CUK < b.CUK })
	if diff := cmp.Diff(want, st, inAnyOrder, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Status{}, "Started", "Began")); diff != "" {
		t.Errorf("after the start (-want +got):\n%s", diff)
	}
	if st.Started.Before(begin.Truncate(time.Second)) || st.Started.After(time.Now()) {
		t.Errorf("started at %v, but it was between %v and now", st.Started, begin)
	}
	if st.Began.Before(begin.Add(-2*tick)) || st.Began.Before(st.Started) || st.Began.After(time.Now()) {
		t.Errorf("began at %v, but it was between %v and now, and it says %v", st.Began, begin, st.Started)
	}

	h.put(t, strings.NewReplacer("FILEVERSION = 7", "FILEVERSION = 8", "[SLVNODE]",
		"[SVRNODE]\nNAME = 10.20.0.13\nCUK = cuk-13\nCUSTOM_ID_SEED = db-3\n[SLVNODE]").Replace(realText))
	want.Revision, want.FreeNodes = 8, 4
	want.Servers = append(want.Servers, server("10.20.0.13", "3"))
	after := h.await(t, 8)
	if diff := cmp.Diff(want, after, inAnyOrder, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Status{}, "Started", "Began", "Direct")); diff != "" {
		t.Errorf("after the reload (-want +got):\n%s", diff)
	}
	if after.PID != st.PID || !after.Started.Equal(st.Started) || !after.Began.Equal(st.Began) {
		t.Errorf("the reload made another process of it: %+v, %+v", st, after)
	}

	end()
	if _, err := h.status("orders", 8031); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v, want %v", err, ErrNotRunning)
	}
}

// await waits for the revision the way the agent does.
func (h *realHost) await(t *testing.T, revision int) Status {
	t.Helper()
	c := NewConfirmation(revision, nil, time.Now(), 20*time.Second)
	for pause := FirstProbe; ; {
		time.Sleep(pause)
		st, err := h.status("orders", 8031)
		outcome, next := c.Probed(time.Now(), st, err)
		switch {
		case outcome == Confirmed:
			return st
		case outcome != Pending:
			t.Fatalf("revision %d is %v: %+v %v", revision, outcome, st, err)
		}
		pause = next
	}
}

// TestRealChmpxIsFoundByItsGroup: GROUPs that need quotes, and no SELFCTLPORT.
func TestRealChmpxIsFoundByItsGroup(t *testing.T) {
	h := newRealHost(t)
	for _, c := range []struct {
		name, group, written string
		ctlPort              int
	}{
		{"without a control port", "orders", "orders", 0},
		{"of two words", "or ders", "or ders", 8031},
		{"with a hash", "or #ders", `"or #ders"`, 8031},
		{"with a quote", `or"ders`, `or\"ders`, 8031},
		{"with a backslash", `or\ders`, `or\\ders`, 8031},
		{"as long as can be", strings.Repeat("g", 230), strings.Repeat("g", 230), 8031},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(realText, "GROUP = orders", "GROUP = "+c.written, 1)
			if c.ctlPort == 0 {
				text = strings.Replace(text, "SELFCTLPORT = 8031\n", "", 1)
			}
			h.put(t, text)
			pid, end := h.start(t)
			defer end()
			st, err := h.status(c.group, c.ctlPort)
			fatal.If(t, err)
			if st.PID != pid || st.Group != c.group {
				t.Errorf("process %d of GROUP %q, want %d of %q", st.PID, st.Group, pid, c.group)
			}
		})
	}
}
