package main

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k2hdkc-slave-agent/cmd/options"
)

// looked is a host that a caretaker looks after.
type looked struct {
	t    *testing.T
	dir  string
	care caretaker
}

func newLooked(t *testing.T) *looked {
	l := &looked{t: t, dir: t.TempDir()}
	for _, dir := range []string{"antpickax", "state"} {
		if err := os.Mkdir(l.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l.write("antpickax/k2hr3-cuk", "vm-1")
	l.write("instance-id", "vm-1\n")
	return l
}

func (l *looked) path(name string) string { return filepath.Join(l.dir, name) }

func (l *looked) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// look lets the caretaker look and returns what it said.
func (l *looked) look() string {
	l.t.Helper()
	verb, err := options.LookupVerb("run")
	if err != nil {
		l.t.Fatal(err)
	}
	o, err := options.Load(verb, []string{
		"--config", l.path("none.ini"), "--antpickax-dir", l.path("antpickax"),
		"--state-dir", l.path("state"), "--instance-id-file", l.path("instance-id"),
	}, options.Host{Files: os.DirFS("/"), Dir: l.dir})
	if err != nil {
		l.t.Fatal(err)
	}
	var log bytes.Buffer
	l.care.look(o, slog.New(slog.NewTextHandler(&log, nil)))
	return log.String()
}

func (l *looked) record() string {
	b, err := os.ReadFile(l.path("state/identity.json"))
	if err != nil {
		return ""
	}
	return string(b)
}

func TestALeftoverIsToldOfOnceAndNotRemembered(t *testing.T) {
	l := newLooked(t)
	l.write("none.ini", "")
	if said := l.look(); said != "" {
		t.Errorf("said of the original: %s", said)
	}
	first := l.record()
	if first != `{"cuk":"vm-1","instance-id":"vm-1"}`+"\n" {
		t.Fatalf("record %q", first)
	}
	l.write("instance-id", "vm-2\n")
	if said := l.look(); strings.Count(said, "left over") != 1 || !strings.Contains(said, "cuk=vm-1") {
		t.Errorf("said of the copy: %s", said)
	}
	if said := l.look(); said != "" {
		t.Errorf("said again: %s", said)
	}
	if l.record() != first {
		t.Errorf("record %q", l.record())
	}
	l.write("antpickax/k2hr3-cuk", "vm-2")
	if said := l.look(); said != "" || !strings.Contains(l.record(), `"cuk":"vm-2"`) {
		t.Errorf("said %q, record %q", said, l.record())
	}
	l.write("instance-id", "vm-3\n")
	if said := l.look(); !strings.Contains(said, "cuk=vm-2") {
		t.Errorf("said of the next copy: %s", said)
	}
}

func TestAnIdentityThatCannotBeKeptIsToldOfOnce(t *testing.T) {
	l := newLooked(t)
	l.write("none.ini", "")
	if err := os.Mkdir(l.path("state/identity.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if said := l.look(); strings.Count(said, "level=WARN") != 1 {
		t.Errorf("said: %s", said)
	}
	if said := l.look(); said != "" {
		t.Errorf("said again: %s", said)
	}
	entries, err := os.ReadDir(l.path("state"))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := os.RemoveAll(l.path("state")); err != nil {
		t.Fatal(err)
	}
	if said := l.look(); said != "" {
		t.Errorf("said where the daemon never ran: %s", said)
	}
}

func TestTheRecordIsForEveryVerbToRead(t *testing.T) {
	l := newLooked(t)
	l.write("none.ini", "")
	l.look()
	info, err := os.Stat(l.path("state/identity.json"))
	if err != nil || info.Mode().Perm()&fs.FileMode(0o444) != 0o444 {
		t.Errorf("%v, %v", info, err)
	}
}
