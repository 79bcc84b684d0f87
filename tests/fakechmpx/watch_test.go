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
	"k2hdkc-slave-agent/tests/fatal"
)

const (
	group   = "orders"
	ctlPort = 18031

	server1, server2, server3 = "203.0.113.7", "203.0.113.8", "203.0.113.9"
)

// host is a slave VM without a name service.
var host = fakechmpx.Host{Names: []string{"127.0.0.1", "198.51.100.5"}}

// revision is a file of the cluster orders with the server nodes named. It has room
// for seven.
func revision(version int, servers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[GLOBAL]\nGROUP = %s\nFILEVERSION = %d\nMODE = SLAVE\nDELIVERMODE = hash\n", group, version)
	fmt.Fprintf(&b, "CHMPXIDTYPE = CUSTOM\nMAXCHMPX = 8\nK2HMASKBIT = 4\nSELFCTLPORT = %d\n", ctlPort)
	for _, name := range servers {
		fmt.Fprintf(&b, "\n[SVRNODE]\nNAME = %s\nPORT = 18020\nCTLPORT = 18021\nCUSTOM_ID_SEED = seed-%[1]s\n", name)
	}
	fmt.Fprintf(&b, "\n[SLVNODE]\nNAME = [.]*\nCTLPORT = %d\nCUSTOM_ID_SEED = shop-1\n", ctlPort)
	return b.String()
}

func servers(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("203.0.113.%d", 7+i))
	}
	return names
}

// file is a watched configuration file of revision 1.
type file struct {
	*testing.T
	path  string
	watch *fakechmpx.Watch
}

func (f *file) create(path, text string) {
	f.Helper()
	fatal.If(f, os.WriteFile(path, []byte(text), 0o644))
}

// replace puts text in place by rename.
func (f *file) replace(text string) {
	f.Helper()
	f.create(f.path+".next", text)
	fatal.If(f, os.Rename(f.path+".next", f.path))
}

// expect waits for the next event, which may be none: the kernel queues events
// before the system call that causes them returns.
func (f *file) expect(want fakechmpx.Effect, version int) {
	f.Helper()
	limit := 10 * time.Second
	if want == "" {
		limit = 20 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(f.Context(), limit)
	defer cancel()
	e, err := f.watch.Next(ctx)
	if want == "" && errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if err != nil || e.Effect != want || version != 0 && e.Config.FileVersion != version {
		f.Fatalf("%q %+v (%v, %v), want %q %d", e.Effect, e.Config, e.Err, err, want, version)
	}
}

// TestWhatChmpxMakesOfItsFile: what was measured of chmpx's way to watch its file
// (D.1 to D.5).
func TestWhatChmpxMakesOfItsFile(t *testing.T) {
	const reloaded, unchanged = fakechmpx.Reloaded, fakechmpx.Unchanged
	for name, do := range map[string]func(f *file){
		"a rename is a reload": func(f *file) {
			f.replace(revision(2, server1))
			f.expect(reloaded, 2)
			f.replace(revision(3, server1, server2))
			f.expect(reloaded, 3)
		},
		"not while somebody has the old file open": func(f *file) {
			old, err := os.Open(f.path)
			fatal.If(f, err)
			f.replace(revision(2, server1))
			f.expect("", 0)
			fatal.If(f, old.Close())
			f.expect(reloaded, 2)
		},
		"not while the old file has another name": func(f *file) {
			fatal.If(f, os.Link(f.path, f.path+".bak"))
			f.replace(revision(2, server1))
			f.expect("", 0)
			fatal.If(f, os.Remove(f.path+".bak"))
			f.expect(reloaded, 2)
		},
		"each write in place is a reload": func(f *file) {
			w, err := os.OpenFile(f.path, os.O_WRONLY, 0)
			fatal.If(f, err)
			defer w.Close()
			_, err = w.WriteAt([]byte("2"), int64(strings.Index(revision(1), "FILEVERSION = ")+len("FILEVERSION = ")))
			fatal.If(f, err)
			f.expect(reloaded, 2)
		},
		"a truncated file is fatal": func(f *file) {
			fatal.If(f, os.Truncate(f.path, 0))
			f.expect(fakechmpx.Died, 0)
			if _, err := f.watch.Next(f.Context()); !errors.Is(err, fakechmpx.ErrEnded) {
				f.Errorf("after its death: %v", err)
			}
		},
		"a file that does not load is fatal": func(f *file) {
			f.replace(revision(2))
			f.expect(fakechmpx.Died, 0)
		},
		"a file that nothing would start on is survived": func(f *file) {
			f.replace(strings.Replace(revision(2, server1), "[.]*", "192.0.2.50", 1))
			f.expect(reloaded, 2)
		},
		"a file that comes back soon is a reload": func(f *file) {
			f.create(f.path+".next", revision(2, server1))
			fatal.If(f, os.Rename(f.path, f.path+".old"))
			back := time.AfterFunc(50*time.Millisecond, func() { os.Rename(f.path+".next", f.path) })
			defer back.Stop()
			f.expect(reloaded, 2)
			f.replace(revision(3, server1))
			f.expect(reloaded, 3)
		},
		"a file that stays away loses the watch": func(f *file) {
			fatal.If(f, os.Remove(f.path))
			f.expect(fakechmpx.Lost, 0)
			f.create(f.path, revision(2, server1))
			f.replace(revision(3, server1))
			f.expect("", 0)
		},
		"attributes are not noticed": func(f *file) {
			fatal.If(f, os.Chmod(f.path, 0o600))
			fatal.If(f, os.Chtimes(f.path, time.Now(), time.Unix(1, 0)))
			f.expect("", 0)
		},
		"what is not compared changes nothing": func(f *file) {
			f.replace(revision(1, server1) + "# a comment\n")
			f.expect(unchanged, 1)
			f.replace(strings.Replace(revision(1, server1), "GROUP", "DATE = Fri, 21 Nov 2025 10:00:00 +0000\nGROUP", 1))
			f.expect(unchanged, 1)
		},
		"another cluster is refused, and remembered": func(f *file) {
			other := strings.Replace(revision(2, server1, server2), "= orders", "= carts", 1)
			f.replace(other)
			f.expect(fakechmpx.Refused, 2)
			f.replace(other)
			f.expect(unchanged, 2)
			f.replace(revision(3, server1))
			f.expect(reloaded, 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &file{T: t, path: filepath.Join(t.TempDir(), "slave.ini")}
			f.create(f.path, revision(1, server1))
			var err error
			f.watch, err = fakechmpx.WatchFile(f.path, host)
			fatal.If(f, err)
			defer f.watch.Close()
			do(f)
		})
	}
}

func TestASwappedLinkIsNoticedOnlyWhenItsTargetGoes(t *testing.T) {
	f := &file{T: t, path: filepath.Join(t.TempDir(), "slave.ini")}
	one, two := f.path+".one", f.path+".two"
	f.create(one, revision(1, server1))
	f.create(two, revision(2, server1))
	fatal.If(f, os.Symlink(one, f.path))
	var err error
	f.watch, err = fakechmpx.WatchFile(f.path, host)
	fatal.If(f, err)
	defer f.watch.Close()
	fatal.If(f, os.Symlink(two, f.path+".link"))
	fatal.If(f, os.Rename(f.path+".link", f.path))
	f.expect("", 0)
	fatal.If(f, os.Remove(one))
	f.expect(fakechmpx.Reloaded, 2)
}
