package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestSignsOfAProcess(t *testing.T) {
	l := newLookedAt(t)
	const noPort = 1 // on which nobody listens
	signs := Signs{File: l.conf}
	if signs.Look(noPort).Process {
		t.Fatal("it does not run yet")
	}
	type end struct {
		sure bool
		err  error
	}
	ends := make(chan end, 1)
	go func() {
		sure, err := signs.AwaitEnd(t.Context(), noPort)
		ends <- end{sure, err}
	}()
	first := l.start()
	if s := signs.Look(noPort); !s.Process || !s.Any() || !s.MayRun() {
		t.Errorf("it runs, and shows %+v", s)
	}
	if s := (Signs{File: l.conf + ".other"}).Look(noPort); s.Process {
		t.Errorf("one of another file shows %+v", s)
	}
	select {
	case e := <-ends:
		t.Fatalf("it has not ended: %+v", e)
	case <-time.After(2 * endPoll): // so that its process is awaited
	}
	if _, err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := <-ends; !e.sure || e.err != nil {
		t.Errorf("it has ended: %+v", e)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		sure, err := signs.AwaitEnd(ctx, noPort)
		ends <- end{sure, err}
	}()
	cancel()
	if e := <-ends; !errors.Is(e.err, context.Canceled) {
		t.Errorf("with its context: %+v", e)
	}
}

// shown is a kernel that shows what a test says.
type shown struct {
	*testing.T
	dir string
}

func (s shown) put(name, text string) {
	path := filepath.Join(s.dir, name)
	fatal.If(s, os.MkdirAll(filepath.Dir(path), 0o755))
	fatal.If(s, os.WriteFile(path+".next", []byte(text), 0o644))
	fatal.If(s, os.Rename(path+".next", path))
}

func (s shown) process(pid int, stat, args string) {
	s.put(fmt.Sprintf("%d/stat", pid), fmt.Sprintf("%d %s 1", pid, stat))
	s.put(fmt.Sprintf("%d/cmdline", pid), args)
}

const (
	sockets   = "  sl  local_address rem_address   st\n"
	listening = sockets + "   0: 00000000:1F5F 00000000:0000 0A 0\n"
)

func TestLook(t *testing.T) {
	const file, port = "/etc/k2hdkc/slave.ini", 8031
	run := func(stat, args string) func(shown) { return func(s shown) { s.process(12, stat, args) } }
	for name, tt := range map[string]struct {
		set         func(s shown)
		any, mayRun bool
	}{
		"nothing":                        {func(shown) {}, false, false},
		"chmpx":                          {run("(chmpx) S", "chmpx\x00-conf\x00/etc/k2hdkc/slave.ini\x00"), true, true},
		"chmpx, by -f":                   {run("(chmpx) S", "chmpx\x00-d\x00err\x00-f\x00/etc//k2hdkc/slave.ini\x00"), true, true},
		"a stopped one":                  {run("(chmpx) T", "chmpx\x00-conf\x00/etc/k2hdkc/slave.ini\x00"), true, true},
		"one that has ended":             {run("(chmpx) Z", ""), false, false},
		"another one":                    {run("(chmpx) S", "chmpx\x00-conf\x00/etc/other.ini\x00"), false, false},
		"one that may be another":        {run("(chmpx) S", "chmpx\x00-conf\x00slave.ini\x00"), false, true},
		"one by its environment":         {run("(chmpx) S", "chmpx\x00"), false, true},
		"one that is about to end":       {run("(chmpx) R", ""), false, true},
		"another program on the file":    {run("(chmpxstatus) S", "chmpxstatus\x00-conf\x00/etc/k2hdkc/slave.ini\x00"), false, false},
		"its port":                       {func(s shown) { s.put("net/tcp", listening) }, true, true},
		"its port, by IPv6":              {func(s shown) { s.put("net/tcp6", listening) }, true, true},
		"another port":                   {func(s shown) { s.put("net/tcp", sockets+"   0: 00000000:1F5E 00000000:0000 0A 0\n") }, false, false},
		"a connection from that port":    {func(s shown) { s.put("net/tcp", sockets+"   0: 0100007F:1F5F 00000000:0000 01 0\n") }, false, false},
		"a kernel that shows no sockets": {func(s shown) { os.Remove(filepath.Join(s.dir, "net/tcp")) }, false, true},
		"a kernel that shows nothing":    {func(s shown) { os.RemoveAll(s.dir) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := shown{t, t.TempDir()}
			s.put("net/tcp", sockets)
			tt.set(s)
			if got := (Signs{File: file, Proc: s.dir}).Look(port); got.Any() != tt.any || got.MayRun() != tt.mayRun {
				t.Errorf("any sign: %v, may run: %v", got.Any(), got.MayRun())
			}
		})
	}
}

// Where no process is to be seen, the port tells; and what cannot be looked at has not ended.
func TestAwaitEndOfAPort(t *testing.T) {
	s := shown{t, t.TempDir()}
	s.put("net/tcp", listening)
	ended := make(chan bool, 1)
	go func() {
		sure, err := Signs{File: "/etc/k2hdkc/slave.ini", Proc: s.dir}.AwaitEnd(t.Context(), 8031)
		ended <- sure || err != nil
	}()
	still := func(what string) {
		t.Helper()
		select {
		case <-ended:
			t.Fatal(what, "is taken for an end")
		case <-time.After(10 * portPoll):
		}
	}
	still("a port that is listened on")
	fatal.If(t, os.Remove(filepath.Join(s.dir, "net/tcp")))
	still("a kernel that shows nothing for a while")
	s.process(12, "(chmpx) S", "chmpx\x00")
	s.put("net/tcp", sockets)
	still("a port that is closed while a chmpx may start")
	fatal.If(t, os.RemoveAll(filepath.Join(s.dir, "12")))
	if <-ended {
		t.Error("it is sure of what it has not seen, or fails")
	}
}
