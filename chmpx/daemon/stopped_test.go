package daemon

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestAChmpxThatASignalHasStopped(t *testing.T) {
	l := newLookedAt(t)
	st := Status{PID: l.start().PID()}
	if l.prober.Stopped(st) {
		t.Error("it runs")
	}
	fatal.If(t, syscall.Kill(st.PID, syscall.SIGSTOP))
	for !l.prober.Stopped(st) { // the kernel takes its time
		if t.Context().Err() != nil {
			t.Fatal("it is not seen to be stopped")
		}
	}
	fatal.If(t, syscall.Kill(st.PID, syscall.SIGCONT))
	for l.prober.Stopped(st) {
	}
	if l.prober.Stopped(Status{PID: 1 << 22}) {
		t.Error("one that is not there")
	}
}

func TestStoppedByWhatTheKernelShows(t *testing.T) {
	for _, tt := range []struct {
		name, stat, cgroup, file, says string
		stopped                        bool
	}{
		{name: "a sleeper", stat: "12 (chmpx) S 1"},
		{name: "stopped", stat: "12 (chmpx) T 1", stopped: true},
		{name: "under a debugger", stat: "12 (chmpx) t 1", stopped: true},
		{name: "another program", stat: "12 (cat) T 1"},
		{name: "a program with a name like that", stat: "12 (chmpx) T (x) T 1"},
		{name: "cut off", stat: "12 (chmpx) "},
		{name: "empty"},
		{name: "frozen, version 2", stat: "12 (chmpx) S 1", cgroup: "0::/a/b\n", file: "a/b/cgroup.events", says: "populated 1\nfrozen 1\n", stopped: true},
		{name: "thawed, version 2", stat: "12 (chmpx) S 1", cgroup: "0::/a/b\n", file: "a/b/cgroup.events", says: "populated 1\nfrozen 0\n"},
		{name: "frozen, both versions", stat: "12 (chmpx) D 1", cgroup: "5:freezer:/a\n0::/b\n", file: "unified/b/cgroup.events", says: "frozen 1\n", stopped: true},
		{name: "frozen, version 1", stat: "12 (chmpx) D 1", cgroup: "6:cpu:/\n5:freezer:/a\n0::/b\n", file: "freezer/a/freezer.state", says: "FROZEN\n", stopped: true},
		{name: "thawed, version 1", stat: "12 (chmpx) D 1", cgroup: "5:freezer:/a\n", file: "freezer/a/freezer.state", says: "THAWED\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"proc/12/stat": tt.stat, "proc/12/cgroup": tt.cgroup, "cgroup/" + tt.file: tt.says} {
				if text == "" {
					continue
				}
				path := filepath.Join(dir, name)
				fatal.If(t, os.MkdirAll(filepath.Dir(path), 0o755))
				fatal.If(t, os.WriteFile(path, []byte(text), 0o644))
			}
			if got := Stopped(filepath.Join(dir, "proc"), filepath.Join(dir, "cgroup"), 12); got != tt.stopped {
				t.Errorf("stopped: %v", got)
			}
		})
	}
}
