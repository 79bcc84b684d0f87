package awaitchmpx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/tests/fatal"
)

// version is a file that chmpx loads.
func version(n int) string {
	return fmt.Sprintf("[GLOBAL]\nFILEVERSION = %d\nGROUP = orders\nMODE = SLAVE\nDELIVERMODE = HASH\nSELFCTLPORT = 9021\n"+
		"[SVRNODE]\nNAME = 192.0.2.31\nPORT = 9030\nCTLPORT = 9031\n[SLVNODE]\nNAME = localhost\nCTLPORT = 9021\n", n)
}

func put(t *testing.T, file, text string) {
	t.Helper()
	fatal.If(t, os.WriteFile(file, []byte(text), 0o644))
}

// shows is what a look at a chmpx sees.
type shows struct {
	revision int
	err      error
	alone    bool // it is connected to no server
}

func TestWait(t *testing.T) {
	const limit = 10 * time.Second
	held := shows{revision: 1}
	for _, c := range []struct {
		name  string
		text  string
		looks []shows // the last one again and again
		pid   int     // 7 lives, 8 has ended
		want  string  // in the error; empty: none
		after time.Duration
	}{
		{name: "it runs the file", text: version(2), looks: []shows{{revision: 2}}},
		{name: "it takes a while", text: version(2), looks: []shows{held, held, {revision: 2}}, after: 2 * pause},
		{name: "it is being restarted", text: version(2), looks: []shows{held, {err: daemon.ErrNotRunning}, {revision: 2}}, pid: 7, after: pause + daemon.Starves},
		{name: "it never does", text: version(2), looks: []shows{held}, want: "chmpx runs version 1 after 10s, and FILE is version 2; somebody may hold the old file open", after: limit},
		{name: "it does not run", text: version(2), looks: []shows{{err: daemon.ErrNotRunning}}, want: "version 2 of FILE: chmpx is not running", after: limit},
		{name: "its process has ended", text: version(2), looks: []shows{held, {err: daemon.ErrNotRunning}}, pid: 8, want: "chmpx has ended"},
		{name: "nobody can look", text: version(2), looks: []shows{{err: fmt.Errorf("chmpxstatus %w", daemon.ErrNotInstalled)}}, want: "nobody can tell which file chmpx runs: chmpxstatus is not installed"},
		{name: "nobody may look", text: version(2), looks: []shows{{err: daemon.ErrNoAccess}}, want: "nobody can tell which file chmpx runs"},
		{name: "a look fails", text: version(2), looks: []shows{{err: daemon.ErrTimeout}, {revision: 2}}, after: daemon.Starves},
		{name: "it has no server yet", text: version(2), looks: []shows{{revision: 1, alone: true}, {revision: 2}}, after: daemon.Starves},
		{name: "the file does not load", text: "[GLOBAL]\nFILEVERSION = 2\n", looks: []shows{held}, want: "chmpx does not load FILE: GROUP is missing"},
		{name: "there is no file", looks: []shows{held}, want: "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "slave.ini")
			if c.text != "" {
				put(t, file, c.text)
			}
			synctest.Test(t, func(t *testing.T) {
				w := wait{file: file, limit: limit, pid: c.pid, alive: func(pid int) bool { return pid != 8 }}
				w.look = func(_ context.Context, group string, port int) (daemon.Status, error) {
					if group != "orders" || port != 9021 {
						t.Errorf("looks at %s-%d", group, port)
					}
					now := c.looks[0]
					if len(c.looks) > 1 {
						c.looks = c.looks[1:]
					}
					st := daemon.Status{Revision: now.revision}
					if !now.alone && now.err == nil {
						st.Servers = []daemon.Node{{State: "[SERVICE IN][UP][n/a][Nothing][NoSuspend]", Sockets: 1}}
					}
					return st, now.err
				}
				start := time.Now()
				err := w.run(t.Context())
				if took := time.Since(start); took != c.after {
					t.Errorf("it took %v, want %v", took, c.after)
				}
				want := strings.ReplaceAll(c.want, "FILE", file)
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			})
		})
	}
}

func TestAFileThatIsReplacedMeanwhile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slave.ini")
	put(t, file, version(2))
	w := wait{file: file, limit: time.Minute, alive: alive}
	w.look = func(context.Context, string, int) (daemon.Status, error) {
		put(t, file, version(3))
		return daemon.Status{Revision: 3}, nil
	}
	if err := w.run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAWaitThatIsGivenUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "slave.ini")
	put(t, file, version(2))
	ctx, stop := context.WithCancelCause(t.Context())
	over := errors.New("over")
	w := wait{file: file, limit: time.Minute, alive: alive}
	w.look = func(context.Context, string, int) (daemon.Status, error) {
		stop(over)
		return daemon.Status{}, ctx.Err()
	}
	if err := w.run(ctx); !errors.Is(err, over) {
		t.Error(err)
	}
}

func TestArguments(t *testing.T) {
	w, err := parse([]string{"a.ini", "7"}, "12")
	if err != nil || w.file != "a.ini" || w.limit != 7*time.Second || w.pid != 12 {
		t.Errorf("%+v, %v", w, err)
	}
	w, err = parse([]string{"a.ini"}, "")
	if err != nil || w.limit != 30*time.Second || w.pid != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	for _, args := range [][]string{nil, {"a", "1", "2"}, {"a", "-1"}, {"a", "soon"}} {
		if _, err := parse(args, ""); err == nil {
			t.Errorf("%q are taken", args)
		}
	}
}

func TestAlive(t *testing.T) {
	if !alive(os.Getpid()) || alive(1<<30) {
		t.Error("this process is not alive, or one that there cannot be")
	}
}
