package waitonline

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestItEndsWhenTheAgentSaysThatAllIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	var out bytes.Buffer
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := run(short, dir, &out); err == nil || out.String() != "waiting for the agent, which does not run\n" {
		t.Fatalf("%v: %s", err, out.String())
	}

	fatal.If(t, os.Mkdir(dir, 0o755))
	lock, err := status.Hold(dir)
	fatal.If(t, err)
	defer lock.Release()
	d := status.Document{
		Schema: status.Schema, WrittenAt: time.Now(), Health: status.Healthy, Agent: status.Agent{State: status.Running, AliveEvery: 30},
		File:  status.File{Present: true, Revision: 3},
		Chmpx: status.Chmpx{Seen: true, Running: true, PID: 7, Revision: 2, StartedAt: time.Now().Add(-time.Hour)},
		Servers: []status.Server{
			{Name: "a", InFile: true, InRing: true, RingState: "up", Connections: 1},
			{Name: "b", InFile: true, InRing: true, RingState: "down, refused this host"},
		},
	}
	put := func() {
		t.Helper()
		fatal.If(t, status.Write(dir, d))
	}
	put()
	fatal.If(t, lock.Alive())
	out.Reset()
	long, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	seen, w := make(chan string, 10), writer{}
	w.lines = seen
	go func() { done <- run(long, dir, w) }()
	await := func(words string) {
		t.Helper()
		select {
		case line := <-seen:
			if !strings.Contains(line, words) {
				t.Errorf("%q, want %q", line, words)
			}
		case <-long.Done():
			t.Fatalf("nothing is said of %q", words)
		}
	}
	await("chmpx to run revision 3")
	d.Chmpx.Revision = 3
	put()
	await("a connection to b")
	d.Servers[1].RingState, d.Servers[1].Connections = "up", 1
	put()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type writer struct{ lines chan<- string }

func (w writer) Write(b []byte) (int, error) {
	w.lines <- string(b)
	return len(b), nil
}
