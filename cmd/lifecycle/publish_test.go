package lifecycle

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/watcher"
)

// messages keeps what is logged.
type messages struct {
	mu   sync.Mutex
	said []string
}

func (m *messages) Enabled(context.Context, slog.Level) bool { return true }
func (m *messages) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m *messages) WithGroup(string) slog.Handler            { return m }
func (m *messages) Handle(_ context.Context, r slog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, r.Message)
	return nil
}

func (m *messages) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.said)
}

// board is a publisher with a run-dir of its own.
func board(t *testing.T) (p *publisher, dir string, log *messages) {
	t.Helper()
	dir, log = filepath.Join(t.TempDir(), "run"), &messages{}
	p = newPublisher("1.2.3", nil)
	p.at(&options.Options{RunDir: dir}, slog.New(log), time.Minute)
	t.Cleanup(func() { p.close(time.Minute) })
	return p, dir, log
}

// Every user may look at the status, whatever umask the agent was started with.
func TestTheRunDirIsOpenToEverybody(t *testing.T) {
	umask := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(umask) })
	p, dir, _ := board(t)
	p.show(status.Document{Health: status.Healthy})
	seen(t, p, dir)
	for path, want := range map[string]fs.FileMode{dir: 0o755, filepath.Join(dir, status.FileName): 0o644, filepath.Join(dir, status.LockName): 0o644} {
		info, err := os.Stat(path)
		fatal.If(t, err)
		if mode := info.Mode().Perm(); mode != want {
			t.Errorf("%s has mode %v, want %v", path, mode, want)
		}
	}
}

// seen is the document once all is written.
func seen(t *testing.T, p *publisher, dir string) status.Document {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.out.Flush(ctx)
	d, err := status.Look(dir, time.Now())
	fatal.If(t, err)
	return d
}

func codes(d status.Document) string {
	var codes []string
	for _, c := range d.Conditions {
		codes = append(codes, c.Code)
	}
	return strings.Join(codes, " ")
}

func TestTheLatestDocumentIsTheOneThatIsSeen(t *testing.T) {
	p, dir, _ := board(t)
	for i := range 100 {
		p.show(status.Document{Health: status.Healthy, File: status.File{Revision: i}})
	}
	d := seen(t, p, dir)
	if d.File.Revision != 99 || d.Agent.State != status.Running || d.Agent.PID != os.Getpid() || d.Agent.AliveEvery != 60 || d.Version != "1.2.3" || d.WrittenAt.IsZero() {
		t.Errorf("%+v", d)
	}
	p.close(time.Minute)
	if d := seen(t, p, dir); d.Agent.State != status.Stopped || d.File.Revision != 99 {
		t.Errorf("after the end: %+v", d)
	}
}

func TestWhoWantsItGetsEachDocument(t *testing.T) {
	var got []int
	p := newPublisher("1.2.3", func(d status.Document) { got = append(got, d.File.Revision) })
	p.at(&options.Options{RunDir: t.TempDir()}, slog.New(&messages{}), time.Minute)
	defer p.close(time.Minute)
	for i := range 3 {
		p.show(status.Document{Health: status.Healthy, File: status.File{Revision: i}})
	}
	if !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("%v", got)
	}
}

func TestNotConfiguredAndWrong(t *testing.T) {
	p, dir, _ := board(t)
	o := &options.Options{RunDir: dir, Output: "/etc/k2hdkc/slave.ini"}
	p.waits(o, status.CodeNotConfigured, "not configured: waiting for role")
	d := seen(t, p, dir)
	if d.Agent.State != status.NotConfigured || d.Health != status.Failed || codes(d) != status.CodeNotConfigured {
		t.Errorf("%+v", d)
	}
	since := d.Conditions[0].Since
	p.waits(o, status.CodeNotConfigured, "not configured: waiting for role and cuk")
	if d := seen(t, p, dir); !d.Conditions[0].Since.Equal(since) {
		t.Error("each look begins the condition anew")
	}
	p.waits(o, status.CodeConfigurationWrong, "the configuration is wrong: line 3")
	if d := seen(t, p, dir); d.Agent.State != status.Running || codes(d) != status.CodeConfigurationWrong || d.Health != status.Failed {
		t.Errorf("%+v", d)
	}
	p.show(status.Document{Health: status.Healthy})
	p.wrongConfiguration(errors.New("line 3 is wrong\nand so is line 4"))
	d = seen(t, p, dir)
	if d.Health != status.Degraded || codes(d) != status.CodeConfigurationWrong || d.Conditions[0].Severity != status.Warning || strings.Contains(d.Conditions[0].Message, "\n") {
		t.Errorf("goes on with the previous one: %+v", d)
	}
	p.show(status.Document{Health: status.Failed, Conditions: []status.Condition{{Code: "chmpx_down", Severity: status.Error, Status: status.Active}}})
	if d := seen(t, p, dir); d.Health != status.Failed || codes(d) != "configuration_wrong chmpx_down" {
		t.Errorf("what is wrong besides: %+v", d)
	}
	p.wrongConfiguration(nil)
	if d := seen(t, p, dir); codes(d) != "chmpx_down" {
		t.Errorf("mended: %+v", d)
	}
}

// An agent that ends at its start because of its configuration says so, and forgets nothing.
func TestAnAgentThatEndsAtItsStart(t *testing.T) {
	p, dir, _ := board(t)
	p.show(status.Document{Health: status.Healthy, File: status.File{Revision: 7}})
	p.close(time.Minute)
	leaveRefusal(dir, "1.2.4", errors.New("/etc/k2hdkc/slave-agent.ini:3: unknown key"), time.Minute)
	d := seen(t, p, dir)
	if d.Agent.State != status.Stopped || d.File.Revision != 7 || codes(d) != "agent_stopped configuration_wrong" || !slices.Equal(d.Conditions[0].DependsOn, []string{"configuration_wrong"}) {
		t.Errorf("%+v", d)
	}
	since := d.Conditions[1].Since
	leaveRefusal(dir, "1.2.4", errors.New("/etc/k2hdkc/slave-agent.ini:3: unknown key"), time.Minute)
	if d := seen(t, p, dir); !d.Conditions[1].Since.Equal(since) {
		t.Error("each start begins the condition anew")
	}
	l, err := status.Hold(dir)
	fatal.If(t, err)
	defer l.Release()
	fatal.If(t, status.Write(dir, status.Document{Version: "one that runs"}))
	leaveRefusal(dir, "1.2.4", errors.New("no"), time.Minute)
	if d := seen(t, p, dir); d.Version != "one that runs" {
		t.Errorf("it overwrites the status of an agent that runs: %+v", d)
	}
}

// The condition that ended last is known also after a new configuration, or a restart.
func TestThePreviousConditionOutlivesTheAgent(t *testing.T) {
	p, dir, _ := board(t)
	p.show(status.Document{Health: status.Healthy, Previous: &status.Condition{Code: "chmpx_down", Status: status.Over}})
	p.show(status.Document{Health: status.Healthy, Version: "another watcher"})
	if d := seen(t, p, dir); d.Previous == nil || d.Previous.Code != "chmpx_down" {
		t.Errorf("after a new configuration: %+v", d.Previous)
	}
	p.close(time.Minute)
	next := newPublisher("1.2.4", nil)
	next.at(&options.Options{RunDir: dir}, slog.New(&messages{}), time.Minute)
	next.show(status.Document{Health: status.Healthy})
	defer next.close(time.Minute)
	if d := seen(t, next, dir); d.Version != "1.2.4" || d.Previous == nil || d.Previous.Code != "chmpx_down" {
		t.Errorf("after a restart: %+v", d)
	}
}

func TestASecondAgentLeavesTheFirstOnesStatusAlone(t *testing.T) {
	dir := t.TempDir()
	l, err := status.Hold(dir)
	fatal.If(t, err)
	first := status.Document{Version: "the first"}
	fatal.If(t, status.Write(dir, first))
	log := &messages{}
	p := newPublisher("the second", nil)
	p.at(&options.Options{RunDir: dir}, slog.New(log), time.Minute)
	defer p.close(time.Minute)
	p.show(status.Document{})
	if d := seen(t, p, dir); d.Version != "the first" {
		t.Errorf("overwritten by %s", d.Version)
	}
	p.alive()
	if d := seen(t, p, dir); d.Version != "the first" || log.count() != 1 {
		t.Errorf("overwritten by %s, or said more than once: %q", d.Version, log.said)
	}
	l.Release()
	p.alive()
	if d := seen(t, p, dir); d.Version != "the second" || log.count() != 2 {
		t.Errorf("the first one has ended, and the status is that of %s; said %q", d.Version, log.said)
	}
}

func TestARunDirThatCannotBeWritten(t *testing.T) {
	p, dir, log := board(t)
	fatal.If(t, os.WriteFile(dir, nil, 0o644))
	p.show(status.Document{File: status.File{Revision: 7}})
	p.alive()
	p.out.Flush(t.Context())
	if log.count() != 1 {
		t.Errorf("said %q", log.said)
	}
	os.Remove(dir)
	p.alive()
	if d := seen(t, p, dir); d.File.Revision != 7 || log.count() != 2 {
		t.Errorf("%+v, said %q", d, log.said)
	}
}

// Whoever asks is told that the status is not to be had, and why, and sees the agent live; once it
// can be written again it is, without a change.
func TestARunDirWhereNothingCanBeWritten(t *testing.T) {
	fill := func(t *testing.T, dir string) {
		f, err := os.Create(filepath.Join(dir, "fill"))
		fatal.If(t, err)
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
	}
	empty := func(dir string) error { return os.Remove(filepath.Join(dir, "fill")) }
	for name, c := range map[string]struct {
		options string // of the tmpfs; empty: none is needed
		spoil   func(t *testing.T, dir string)
		says    string
		mend    func(dir string) error
	}{
		"full": {"size=64k", fill, "no space left on device; make room", empty},
		"no inode": {"nr_inodes=4", func(t *testing.T, dir string) { // the folder, the lock, the document
			fatal.If(t, os.WriteFile(filepath.Join(dir, "fill"), nil, 0o644))
		}, "no space left on device; make room", empty},
		"read-only": {"size=64k", func(t *testing.T, dir string) {
			fatal.If(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
			fatal.If(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		}, "read-only file system; mount it read-write", func(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }},
		"a folder": {"", func(t *testing.T, dir string) {
			fatal.If(t, os.Remove(filepath.Join(dir, status.FileName)))
			fatal.If(t, os.MkdirAll(filepath.Join(dir, status.FileName, "x"), 0o755))
		}, "remove what is in its place", func(dir string) error { return os.RemoveAll(filepath.Join(dir, status.FileName)) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, log := t.TempDir(), &messages{}
			if c.options != "" {
				mountOrSkip(t, dir, c.options)
			}
			d := disk{} // its own goroutine would not be where the mount is
			do := func(n notice) {
				n.dir, n.log = dir, slog.New(log)
				d.do(n)
			}
			shown := func(revision int) notice {
				return notice{doc: &status.Document{WrittenAt: time.Now(), Health: status.Healthy, File: status.File{Revision: revision}}}
			}
			do(shown(7))
			defer do(notice{end: true})
			c.spoil(t, dir)
			do(shown(8))
			long := time.Now().Add(-time.Hour)
			_ = os.Chtimes(filepath.Join(dir, status.LockName), long, long)
			do(notice{alive: true})
			got, _ := status.Look(dir, time.Now())
			if got.Health != status.Degraded || codes(got) != status.StatusUnwritable || !strings.Contains(got.Conditions[0].Message, c.says) || log.count() != 1 {
				t.Errorf("%s %+v, said %q", got.Health, got.Conditions, log.said)
			}
			fatal.If(t, c.mend(dir))
			do(notice{alive: true})
			if got, err := status.Look(dir, time.Now()); err != nil || got.Agent.State != status.Running || len(got.Conditions) > 0 || got.File.Revision != 8 {
				t.Errorf("mended: %+v, %v", got, err)
			}
		})
	}
}

// mountOrSkip gives a folder a tmpfs of its own, which only the test's thread sees.
func mountOrSkip(t *testing.T, dir, options string) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread is not fit for other work
	err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	if err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// What an agent that begins on a full disk can say is that it runs.
func TestAnAgentThatBeginsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	mountOrSkip(t, dir, "size=4k")
	fatal.If(t, os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 4096), 0o644))
	d := disk{}
	d.do(notice{dir: dir, log: slog.New(&messages{}), doc: &status.Document{Health: status.Healthy}})
	if got, _ := status.Look(dir, time.Now()); codes(got) != status.StatusUnwritable {
		t.Errorf("%+v", got)
	}
	d.do(notice{dir: dir, log: slog.New(&messages{}), end: true})
	if got, _ := status.Look(dir, time.Now()); codes(got) != status.AgentStopped {
		t.Errorf("after the end: %+v", got)
	}
}

// Whoever deletes the status, or the folder with it, has it back with the next sign of life.
func TestAStatusThatSomebodyDeletes(t *testing.T) {
	p, dir, log := board(t)
	for _, gone := range []string{dir, filepath.Join(dir, status.FileName)} {
		p.show(status.Document{File: status.File{Revision: 7}})
		seen(t, p, dir)
		fatal.If(t, os.RemoveAll(gone))
		p.alive()
		if d := seen(t, p, dir); d.Agent.State != status.Running || d.File.Revision != 7 || log.count() > 0 {
			t.Errorf("%s: %+v, said %q", gone, d, log.said)
		}
	}
}

// Neither a disk that hangs nor a thousand changes hold up the watcher, or the agent's end.
func TestNothingWaitsForTheDisk(t *testing.T) {
	p, _, _ := board(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	p.out.Send = func(notice) { <-release }
	start := time.Now()
	for range 1000 {
		p.show(status.Document{})
		p.alive()
	}
	p.close(10 * time.Millisecond)
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestADocumentHasAllThatTheWatcherSays(t *testing.T) {
	at := time.Date(2031, 5, 6, 14, 3, 22, 123456789, time.FixedZone("", 3600))
	shown := time.Date(2031, 5, 6, 13, 3, 22, 123000000, time.UTC)
	r := Round{
		Options: &options.Options{Output: "/etc/k2hdkc/slave.ini", Unit: "chmpx.service"},
		Watcher: &watcher.Watcher{Config: watcher.Config{File: render.File{Path: "/etc/k2hdkc/slave.ini"}, InstanceID: "vm-7"}},
	}
	d := document(r, watcher.Status{
		HasFile: true, Revision: 18, Servers: 1, Holds: true,
		Talk:    watcher.Talk{HeardAt: at, FailedAt: at, Failure: "connection refused", NextAt: at, NextWhy: "the interval"},
		File:    watcher.File{SHA256: "abc", Slaves: 2, ReplacedAt: at},
		Process: watcher.Process{Seen: true, Running: true, PID: 7, StartedAt: at, Revision: 17, Clients: 3, ConfirmedAt: at},
		Nodes:   watcher.ListOf(watcher.ServerNode{Name: "s1", CtlPort: 8021, CUK: "c", RingState: "up", Connections: 1, InFile: true}),
		Changes: watcher.ListOf(watcher.Change{At: at, Revision: 18, Words: "first file"}),
		Health: watcher.Health{Verdict: watcher.Degraded, Since: at, Conditions: watcher.ListOf(watcher.Condition{
			Code: watcher.RingDiffers, Severity: watcher.Warning, Active: true, Since: at, Message: "m", DependsOn: []watcher.Code{watcher.NotMember},
		}), Previous: &watcher.Condition{Code: watcher.NoFile, Since: at, Until: at}},
		Membership: watcher.Problem{Kind: watcher.NoMember, Since: at, Why: "no role token"}, CheckedAt: at, MemberSince: at,
	})
	c, p := d.Conditions[0], d.Previous
	for name, ok := range map[string]bool{
		"health":     d.Health == status.Degraded && d.Since == shown,
		"condition":  c.Code == "ring_differs" && c.Status == status.Active && c.Since == shown && slices.Equal(c.DependsOn, []string{"not_member"}),
		"previous":   p.Code == "no_file" && p.Status == status.Over && p.Until == shown,
		"identity":   d.Identity.CUK == "vm-7",
		"membership": d.Membership == status.Membership{State: "unconfirmed", Since: shown, CheckedAt: shown, Message: "no role token"},
		"k2hr3":      d.K2HR3 == status.K2HR3{LastOK: shown, LastError: "connection refused", LastErrorAt: shown, Holds: true, NextAt: shown, NextWhy: "the interval"},
		"file":       d.File == status.File{Path: "/etc/k2hdkc/slave.ini", Present: true, Revision: 18, SHA256: "abc", Servers: 1, Slaves: 2, ReplacedAt: shown},
		"chmpx":      d.Chmpx == status.Chmpx{Seen: true, Running: true, PID: 7, StartedAt: shown, Revision: 17, ConfirmedAt: shown, Unit: "chmpx.service", Clients: 3},
		"servers":    slices.Equal(d.Servers, []status.Server{{Name: "s1", CtlPort: 8021, CUK: "c", RingState: "up", Connections: 1, InFile: true}}),
		"changes":    slices.Equal(d.Changes, []status.Change{{At: shown, Revision: 18, Words: "first file"}}),
	} {
		if !ok {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
