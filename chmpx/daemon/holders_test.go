package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/actor"
	"k2hdkc-slave-agent/tests/fatal"
)

// actHolder opens the files it is given, says so, and has them open until its
// input ends. Pipes it opens for both, or it would wait.
func actHolder() {
	for _, path := range os.Args[1:] {
		if _, err := syscall.Open(path, syscall.O_RDWR, 0); err != nil {
			panic(err)
		}
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
}

// keepOpen starts a process that has files open, and returns what it is and how
// to end it.
func keepOpen(t *testing.T, paths ...string) (Holder, func()) {
	t.Helper()
	cmd := exec.Command(actor.Program(t, "holds"), paths...) // the kernel's name of a process is that of the file it runs
	stdin, err := cmd.StdinPipe()
	fatal.If(t, err)
	stdout, err := cmd.StdoutPipe()
	fatal.If(t, err)
	cmd.Stderr = os.Stderr
	fatal.If(t, cmd.Start())
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "open\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return Holder{PID: cmd.Process.Pid, Program: "holds", Path: paths[0]}, end
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	fatal.If(t, os.WriteFile(path, []byte(text), 0o600))
}

func inodeOf(t *testing.T, path string) Inode {
	t.Helper()
	i, err := InodeOf(path)
	fatal.If(t, err)
	return i
}

// replace renames a new file over path, as the agent does.
func replace(t *testing.T, path string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), ".slave.next.ini")
	writeText(t, next, "new")
	fatal.If(t, os.Rename(next, path))
}

// find is Holders, the error of a user who may not look everywhere left out.
func find(t *testing.T, path string, old Inode) []Holder {
	t.Helper()
	found, err := Holders(t.Context(), path, old)
	if err != nil && (os.Geteuid() == 0 || !errors.Is(err, ErrNotAll)) {
		t.Fatal(err)
	}
	return found
}

func same(t *testing.T, what string, got []Holder, want ...Holder) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(func(a, b Holder) bool { return a.PID < b.PID || a.Path < b.Path })); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func TestAProcessThatHasTheOldFileOpenIsFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "slave.ini")
	writeText(t, path, "old")
	old := inodeOf(t, path)
	reader, end := keepOpen(t, path)
	same(t, "before the replacement", find(t, path, old))
	replace(t, path)
	same(t, "by inode", find(t, path, old), reader)
	same(t, "by name", find(t, path, Inode{}), reader)
	end()
	same(t, "after its end, by inode", find(t, path, old))
	same(t, "after its end, by name", find(t, path, Inode{}))
}

func TestOtherFilesThatAreOpenAreNotMeant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other, pipe := filepath.Join(dir, "slave.ini"), filepath.Join(dir, "other.ini"), filepath.Join(dir, "pipe")
	writeText(t, path, "old")
	writeText(t, other, "old")
	old := inodeOf(t, path)
	// Opened, either of these pipes would hold up the search.
	for _, p := range []string{pipe, filepath.Join(dir, "pipe.ini")} {
		fatal.If(t, unix.Mkfifo(p, 0o600))
	}
	keepOpen(t, other, pipe)
	for _, p := range []string{other, pipe} {
		fatal.If(t, os.Remove(p))
	}
	replace(t, path)
	keepOpen(t, path) // the new file
	same(t, "by inode", find(t, path, old))
	same(t, "by name", find(t, path, Inode{}))
}

func TestAHardLinkOfTheOldFileIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "slave.ini"), filepath.Join(dir, "slave.ini.bak")
	writeText(t, path, "old")
	old := inodeOf(t, path)
	fatal.If(t, os.Link(path, backup))
	fatal.If(t, os.Symlink(backup, filepath.Join(dir, "link.ini")))
	reader, _ := keepOpen(t, backup)
	same(t, "the file itself is none", find(t, path, old), Holder{Path: backup})
	replace(t, path)
	same(t, "the link", find(t, path, old), Holder{Path: backup})
	same(t, "a link cannot be known without the inode", find(t, path, Inode{}))
	fatal.If(t, os.Remove(backup))
	same(t, "who opened the link", find(t, path, old), reader)
}

func TestTheFolderMayBeNamedThroughASymbolicLink(t *testing.T) {
	t.Parallel()
	dir, alias := t.TempDir(), filepath.Join(t.TempDir(), "etc")
	fatal.If(t, os.Symlink(dir, alias))
	path := filepath.Join(dir, "slave.ini")
	writeText(t, path, "old")
	old := inodeOf(t, filepath.Join(alias, "slave.ini"))
	reader, _ := keepOpen(t, path)
	replace(t, path)
	same(t, "by name", find(t, filepath.Join(alias, "slave.ini"), Inode{}), reader)
	same(t, "by inode", find(t, filepath.Join(alias, "slave.ini"), old), reader)
}

// The number of a file that is gone is given to the next one.
func TestANumberUsedAgainIsAnotherFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "slave.ini")
	writeText(t, path, "old")
	old := inodeOf(t, path)
	if old.Born == 0 {
		t.Skip("this file system does not keep the time of birth")
	}
	fatal.If(t, os.Link(path, path+".bak"))
	replace(t, path)
	old.Born--
	same(t, "born earlier", find(t, path, old))
}

func TestAFewHoldersAreEnough(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "slave.ini")
	writeText(t, path, "old")
	old := inodeOf(t, path)
	for i := range maxHolders + 4 {
		fatal.If(t, os.Link(path, fmt.Sprintf("%s.%d", path, i)))
	}
	replace(t, path)
	if got, err := Holders(t.Context(), path, old); err != nil || len(got) != maxHolders {
		t.Errorf("%d holders, %v", len(got), err)
	}
}

func TestASearchThatCannotLookEverywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, proc := filepath.Join(dir, "slave.ini"), filepath.Join(dir, "proc")
	writeText(t, path, "old")
	old := inodeOf(t, path)
	fatal.If(t, os.Link(path, path+".bak"))
	replace(t, path)
	link := Holder{Path: path + ".bak"}

	got, err := holders(t.Context(), proc, path, old)
	if !errors.Is(err, ErrNotAll) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no /proc: %v", err)
	}
	same(t, "no /proc", got, link)

	for _, d := range []string{"self/fd", "11", "12/fd"} { // 11 has just ended
		fatal.If(t, os.MkdirAll(filepath.Join(proc, d), 0o755))
	}
	got, err = holders(t.Context(), proc, path, old)
	if err != nil {
		t.Error(err)
	}
	same(t, "a process that has ended", got, link)

	fatal.If(t, os.Mkdir(filepath.Join(proc, "13"), 0o755))
	writeText(t, filepath.Join(proc, "13", "fd"), "closed to us")
	got, err = holders(t.Context(), proc, path, old)
	if !errors.Is(err, ErrNotAll) || !strings.Contains(err.Error(), "which files some processes (1) have open") {
		t.Errorf("a closed process: %v", err)
	}
	same(t, "a closed process", got, link)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Holders(ctx, path, old); !errors.Is(err, ErrNotAll) || !errors.Is(err, context.Canceled) {
		t.Errorf("ended at once: %v", err)
	}
}

func TestAnotherUserMayNotLookEverywhere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	path := filepath.Join(t.TempDir(), "slave.ini")
	writeText(t, path, "old")
	keepOpen(t, path)
	errs := make(chan error)
	go func() {
		// The thread is another user from here on; it ends with the goroutine.
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			errs <- errno
			return
		}
		_, err := Holders(context.Background(), path, Inode{})
		errs <- err
	}()
	if err := <-errs; !errors.Is(err, ErrNotAll) || !strings.Contains(err.Error(), "user 65534 may not see") {
		t.Errorf("error %v", err)
	}
}

func TestInodeOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "slave.ini")
	if _, err := InodeOf(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	writeText(t, path, "old")
	old := inodeOf(t, path)
	fi, err := os.Stat(path)
	fatal.If(t, err)
	if st := fi.Sys().(*syscall.Stat_t); st.Dev != old.Dev || st.Ino != old.Ino {
		t.Errorf("%+v, want device %d, inode %d", old, st.Dev, st.Ino)
	}
	writeText(t, path, "written in place")
	if got := inodeOf(t, path); got != old {
		t.Errorf("%+v became %+v without a replacement", old, got)
	}
	replace(t, path)
	if got := inodeOf(t, path); got == old {
		t.Errorf("a replacement is still %+v", got)
	}
}

func TestHolderInWords(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]Holder{
		`process 812 ("vi\x1b")`:                    {PID: 812, Program: "vi\x1b", Path: "/etc/k2hdkc/slave.ini"},
		`the hard link "/etc/k2hdkc/slave.ini.bak"`: {Path: "/etc/k2hdkc/slave.ini.bak"},
	} {
		if got := h.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// BenchmarkHolders searches the processes of this machine.
func BenchmarkHolders(b *testing.B) {
	path := filepath.Join(b.TempDir(), "slave.ini")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	old, err := InodeOf(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Holders(context.Background(), path, old); err != nil && !errors.Is(err, ErrNotAll) {
			b.Fatal(err)
		}
	}
}
