package fakechmpx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

// file is a watched configuration file.
type file struct {
	t     *testing.T
	ctx   context.Context
	path  string
	watch *fakechmpx.Watch
}

func watchFile(t *testing.T, text string) *file {
	t.Helper()
	t.Parallel()
	f := &file{t: t, path: filepath.Join(t.TempDir(), "slave.ini")}
	f.create(f.path, text)
	f.open(f.path)
	return f
}

func (f *file) open(path string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	f.t.Cleanup(cancel)
	w, err := fakechmpx.WatchFile(path, shopHost())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { w.Close() })
	f.ctx, f.watch = ctx, w
}

func (f *file) create(path, text string) {
	f.t.Helper()
	f.must(os.WriteFile(path, []byte(text), 0o644))
}

// replace puts text in place by rename.
func (f *file) replace(text string) {
	f.t.Helper()
	f.create(f.path+".next", text)
	f.must(os.Rename(f.path+".next", f.path))
}

func (f *file) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// expect waits for the next event and checks it.
func (f *file) expect(want fakechmpx.Effect) fakechmpx.Event {
	f.t.Helper()
	e, err := f.watch.Next(f.ctx)
	if err != nil {
		f.t.Fatalf("waiting for %q: %v", want, err)
	}
	if e.Effect != want {
		f.t.Fatalf("%q (%v), want %q", e.Effect, e.Err, want)
	}
	return e
}

func (f *file) expectVersion(version int) {
	f.t.Helper()
	if e := f.expect(fakechmpx.Reloaded); e.Config.FileVersion != version {
		f.t.Fatalf("reloaded FILEVERSION %d, want %d", e.Config.FileVersion, version)
	}
}

// expectNothing checks that what was done just now was not noticed. The kernel
// queues events before the system call that causes them returns.
func (f *file) expectNothing() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	if e, err := f.watch.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		f.t.Fatalf("%q (%v), want nothing to happen", e.Effect, err)
	}
}

const server1, server2 = "db1.shop.test", "db2.shop.test"

func TestRenameReloads(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.replace(revision(2, server1))
	f.expectVersion(2)
	f.replace(revision(3, server1, server2))
	f.expectVersion(3)
	if n := len(f.watch.Slave().Snapshot().Servers); n != 2 {
		t.Errorf("%d servers, want 2", n)
	}
}

func TestOpenDescriptorDelaysTheReload(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	old, err := os.Open(f.path)
	f.must(err)
	f.replace(revision(2, server1))
	f.expectNothing()
	f.must(old.Close())
	f.expectVersion(2)
}

func TestHardLinkSuppressesTheReload(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.must(os.Link(f.path, f.path+".bak"))
	f.replace(revision(2, server1))
	f.expectNothing()
	f.must(os.Remove(f.path + ".bak"))
	f.expectVersion(2)
}

func TestTruncatedFileIsFatal(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.must(os.Truncate(f.path, 0))
	if e := f.expect(fakechmpx.Died); e.Err == nil {
		t.Error("died without an error")
	}
	f.create(f.path, revision(2, server1))
	if _, err := f.watch.Next(f.ctx); !errors.Is(err, fakechmpx.ErrEnded) {
		t.Errorf("after its death: %v, want ErrEnded", err)
	}
}

func TestEachWriteInPlaceReloads(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	w, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	f.must(err)
	defer w.Close()
	at := int64(strings.Index(revision(1), "FILEVERSION = ") + len("FILEVERSION = "))
	for version := 2; version <= 3; version++ {
		_, err := w.WriteAt([]byte(fmt.Sprint(version)), at)
		f.must(err)
		f.expectVersion(version)
	}
}

func TestFileThatComesBackSoonReloads(t *testing.T) {
	for name, away := range map[string]func(path string) error{
		"unlinked":   os.Remove,
		"moved away": func(path string) error { return os.Rename(path, path+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			f := watchFile(t, revision(1, server1))
			f.create(f.path+".next", revision(2, server1))
			f.must(away(f.path))
			back := time.AfterFunc(200*time.Millisecond, func() { os.Rename(f.path+".next", f.path) })
			defer back.Stop()
			f.expectVersion(2)
			f.replace(revision(3, server1))
			f.expectVersion(3)
		})
	}
}

func TestFileThatStaysAwayLosesTheWatch(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.must(os.Remove(f.path))
	f.expect(fakechmpx.Lost)
	f.create(f.path, revision(2, server1))
	f.replace(revision(3, server1))
	f.expectNothing()
}

func TestSwappedSymlinkIsNoticedOnlyWhenItsTargetGoes(t *testing.T) {
	f := &file{t: t, path: filepath.Join(t.TempDir(), "slave.ini")}
	one, two := f.path+".one", f.path+".two"
	f.create(one, revision(1, server1))
	f.create(two, revision(2, server1))
	f.must(os.Symlink(one, f.path))
	f.open(f.path)

	f.must(os.Symlink(two, f.path+".link"))
	f.must(os.Rename(f.path+".link", f.path))
	f.expectNothing()
	f.must(os.Remove(one))
	f.expectVersion(2)
}

func TestAttributesAreNotNoticed(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.must(os.Chmod(f.path, 0o600))
	f.must(os.Chtimes(f.path, time.Now(), time.Unix(1, 0)))
	f.expectNothing()
	f.replace(revision(2, server1))
	f.expectVersion(2)
}

func TestBurstConvergesToTheLastFile(t *testing.T) {
	const last = 200
	f := watchFile(t, revision(1, server1))
	go func() {
		for version := 2; version <= last; version++ {
			next := f.path + ".next"
			if os.WriteFile(next, []byte(revision(version, server1)), 0o644) != nil || os.Rename(next, f.path) != nil {
				return
			}
		}
	}()
	for got := 1; got != last; {
		e, err := f.watch.Next(f.ctx)
		if err != nil {
			t.Fatalf("at FILEVERSION %d: %v", got, err)
		}
		switch {
		case e.Effect == fakechmpx.Unchanged:
		case e.Effect != fakechmpx.Reloaded || e.Config.FileVersion <= got:
			t.Fatalf("after FILEVERSION %d: %q %+v (%v)", got, e.Effect, e.Config, e.Err)
		default:
			got = e.Config.FileVersion
		}
	}
}

func TestOnlyComparedChangesAreApplied(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.replace(revision(1, server1) + "# a comment\n")
	f.expect(fakechmpx.Unchanged)
	f.replace(strings.Replace(revision(1, server1), "GROUP", "DATE = Fri, 21 Nov 2025 10:00:00 +0000\nGROUP", 1))
	f.expect(fakechmpx.Unchanged)
	if date := f.watch.Slave().Snapshot().Date; date != 0 {
		t.Errorf("the date %d was applied", date)
	}
	f.replace(revision(2, server1))
	f.expectVersion(2)
}

func TestOtherClusterIsRefusedAndRemembered(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	other := strings.Replace(revision(2, server1, server2), "= orders", "= carts", 1)
	f.replace(other)
	f.expect(fakechmpx.Refused)
	shot := f.watch.Slave().Snapshot()
	if shot.FileVersion != 1 || len(shot.Servers) != 1 || shot.Group != "orders" {
		t.Errorf("of the refused file something was applied: %+v", shot)
	}
	f.replace(other)
	f.expect(fakechmpx.Unchanged)
	f.replace(revision(3, server1))
	f.expectVersion(3)
}

func TestFailingLoadIsFatal(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.replace(revision(2)) // no server at all
	f.expect(fakechmpx.Died)
}

func TestFileThatCannotStartIsSurvived(t *testing.T) {
	f := watchFile(t, revision(1, server1))
	f.replace(strings.Replace(revision(2, server1), "[.]*", "192.0.2.50", 1))
	f.expectVersion(2)
}

func TestFirstErrorsAreReturned(t *testing.T) {
	dir := t.TempDir()
	broken, other := filepath.Join(dir, "slave.ini"), filepath.Join(dir, "slave.ini.tmp")
	for _, path := range []string{broken, other} {
		if err := os.WriteFile(path, []byte("[GLOBAL]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{broken, other, dir, filepath.Join(dir, "gone.ini")} {
		if _, err := fakechmpx.WatchFile(path, shopHost()); err == nil {
			t.Errorf("%s is watched", path)
		}
	}
}
