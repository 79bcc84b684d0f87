package render

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

func target(t *testing.T) File {
	t.Helper()
	return File{Path: filepath.Join(t.TempDir(), "slave.ini")}
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	fatal.If(t, os.WriteFile(path, []byte(text), 0o600))
	fatal.If(t, os.Chmod(path, mode))
}

func replace(t *testing.T, f File, text string) error {
	t.Helper()
	s, err := f.Stage([]byte(text))
	if err != nil {
		return err
	}
	return s.Commit()
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	fatal.If(t, err)
	return string(b)
}

func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	fatal.If(t, err)
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestReplaceCreatesTheFirstFile(t *testing.T) {
	f := target(t)
	fatal.If(t, replace(t, f, "one"))
	if got := content(t, f.Path); got != "one" {
		t.Errorf("content %q", got)
	}
	if fi, _ := os.Stat(f.Path); fi.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, want 0644: chmpx may run as another user", fi.Mode())
	}
	onlyFile(t, f.Path)
}

func TestReplaceKeepsModeAndOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to own a file as somebody else")
	}
	f := target(t)
	write(t, f.Path, "old", 0o640)
	fatal.If(t, os.Chown(f.Path, 12, 34))
	fatal.If(t, replace(t, f, "new"))
	fi, _ := os.Stat(f.Path)
	uid, gid := ids(fi)
	if uid != 12 || gid != 34 || fi.Mode().Perm() != 0o640 {
		t.Errorf("now %d:%d %v, want 12:34 0640", uid, gid, fi.Mode())
	}
}

func TestReplaceGivesModeAndOwnerAsked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	f := target(t)
	write(t, f.Path, "old", 0o600)
	mode, uid, gid := fs.FileMode(0o444), 5, 6
	f.Mode, f.Owner, f.Group = &mode, &uid, &gid
	fatal.If(t, replace(t, f, "new"))
	fi, _ := os.Stat(f.Path)
	if u, g := ids(fi); u != 5 || g != 6 || fi.Mode().Perm() != mode {
		t.Errorf("now %d:%d %v", u, g, fi.Mode())
	}
	// A read-only file must not stop the next replacement.
	fatal.If(t, replace(t, f, "newer"))
}

// The staged file has its final looks before anybody can see it at the path.
func TestStagedIsCompleteBeforeCommit(t *testing.T) {
	f := target(t)
	write(t, f.Path, "old", 0o640)
	s, err := f.Stage([]byte("new"))
	fatal.If(t, err)
	defer s.Discard()
	if !strings.HasSuffix(s.Path(), ".ini") || filepath.Dir(s.Path()) != filepath.Dir(f.Path) {
		t.Errorf("staged as %s", s.Path())
	}
	fi, err := os.Stat(s.Path())
	if err != nil || fi.Mode().Perm() != 0o640 || content(t, s.Path()) != "new" {
		t.Errorf("staged file: %v %v", fi, err)
	}
	if content(t, f.Path) != "old" {
		t.Error("the live file changed before Commit")
	}
}

// altered are what somebody may do to a file that is about to take its place.
var altered = map[string]func(path string) error{
	"emptied":   func(path string) error { return os.Truncate(path, 0) },
	"rewritten": func(path string) error { return os.WriteFile(path, []byte("NEW"), 0o644) },
	"longer":    func(path string) error { return os.WriteFile(path, []byte("newer"), 0o644) },
	"replaced":  func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, []byte("x"), 0o644)) },
	"a FIFO":    func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)) },
	"a link":    func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path)) },
	"huge":      func(path string) error { return os.Truncate(path, MaxFile+1) },
	"gone":      os.Remove,
}

// Whoever is shown the file before it takes its place may write to it.
func TestWhatSomebodyHasAlteredDoesNotTakeItsPlace(t *testing.T) {
	for name, alter := range altered {
		t.Run(name, func(t *testing.T) {
			f := target(t)
			write(t, f.Path, "old", 0o644)
			s, err := f.Stage([]byte("new"))
			fatal.If(t, err)
			fatal.If(t, alter(s.Path()))
			if err := s.Commit(); err == nil || !strings.Contains(err.Error(), filepath.Base(s.Path())) {
				t.Errorf("staged: %v", err)
			}
			onlyFile(t, f.Path)
			fatal.If(t, f.Park([]byte("new")))
			fatal.If(t, alter(f.ParkedPath()))
			for how, take := range map[string]func([]byte) error{"checked": f.CheckParked, "committed": f.CommitParked, "taken": f.TakeParked} {
				if err := take([]byte("new")); err == nil || !strings.Contains(err.Error(), filepath.Base(f.ParkedPath())) {
					t.Errorf("parked, %s: %v", how, err)
				}
			}
			fatal.If(t, f.DropParked())
			onlyFile(t, f.Path)
			if got := content(t, f.Path); got != "old" {
				t.Errorf("the file is %q", got)
			}
		})
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	f := target(t)
	write(t, f.Path, "old", 0o644)
	s, err := f.Stage([]byte("new"))
	fatal.If(t, err)
	s.Discard()
	s.Discard()
	onlyFile(t, f.Path)
	if content(t, f.Path) != "old" {
		t.Error("Discard touched the live file")
	}
}

func TestStageOverwritesALeftover(t *testing.T) {
	f := target(t)
	write(t, filepath.Join(filepath.Dir(f.Path), ".slave.next.ini"), "half a fi", 0o400)
	fatal.If(t, replace(t, f, "whole"))
	onlyFile(t, f.Path)
}

// A link planted at the temporary file's name is not followed.
func TestStageDoesNotFollowAPlantedLink(t *testing.T) {
	f := target(t)
	victim := filepath.Join(t.TempDir(), "victim")
	write(t, victim, "mine", 0o600)
	fatal.If(t, os.Symlink(victim, filepath.Join(filepath.Dir(f.Path), ".slave.next.ini")))
	fatal.If(t, replace(t, f, "new"))
	if content(t, victim) != "mine" {
		t.Error("the link's target was written to")
	}
}

// chmpx hears of a replacement when the old inode goes away; nothing of ours
// may hold it.
func TestReplaceFreesTheOldInode(t *testing.T) {
	f := target(t)
	write(t, f.Path, "old", 0o644)
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	fatal.If(t, err)
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, f.Path, unix.IN_DELETE_SELF|unix.IN_MODIFY|unix.IN_MOVE_SELF); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(); err != nil {
		t.Fatal(err)
	}
	fatal.If(t, replace(t, f, "new"))
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		t.Fatalf("no event at all: %v", err)
	}
	mask := uint32(buf[4]) | uint32(buf[5])<<8 | uint32(buf[6])<<16 | uint32(buf[7])<<24
	if mask != unix.IN_DELETE_SELF {
		t.Errorf("first of %d bytes of events has mask %#x, want IN_DELETE_SELF alone", n, mask)
	}
}

// inside gives the file another directory, below the one that it has.
func inside(f *File, dir string) string {
	f.Path = filepath.Join(filepath.Dir(f.Path), dir, "slave.ini")
	return f.Path
}

func TestReplaceRefuses(t *testing.T) {
	tests := []struct {
		name  string
		setup func(t *testing.T, f *File)
		want  error
		says  string
	}{
		{"a symbolic link", func(t *testing.T, f *File) {
			real := filepath.Join(filepath.Dir(f.Path), "real.ini")
			write(t, real, "old", 0o644)
			fatal.If(t, os.Symlink(real, f.Path))
		}, ErrSymlink, "real.ini"},
		{"a dangling link", func(t *testing.T, f *File) {
			fatal.If(t, os.Symlink("nowhere.ini", f.Path))
		}, ErrSymlink, "nowhere.ini"},
		{"a directory", func(t *testing.T, f *File) {
			fatal.If(t, os.Mkdir(f.Path, 0o755))
		}, ErrNotRegular, "a folder: move that away"},
		{"a fifo", func(t *testing.T, f *File) {
			fatal.If(t, syscall.Mkfifo(f.Path, 0o644))
		}, ErrNotRegular, "a FIFO, a socket or a device: move that away"},
		{"no directory", func(t *testing.T, f *File) {
			f.Path = filepath.Join(filepath.Dir(f.Path), "missing", "slave.ini")
		}, ErrNoDirectory, "create"},
		{"a file for a directory", func(t *testing.T, f *File) {
			write(t, filepath.Dir(inside(f, "file")), "", 0o644)
		}, ErrNoDirectory, "file is a file, a FIFO, a socket or a device: move that away and create "},
		{"a file for the directory above", func(t *testing.T, f *File) {
			write(t, filepath.Dir(filepath.Dir(inside(f, "file/etc"))), "", 0o644)
		}, ErrNoDirectory, "file is a file, a FIFO, a socket or a device: move that away and create "},
		{"a FIFO for a directory", func(t *testing.T, f *File) {
			fatal.If(t, syscall.Mkfifo(filepath.Dir(inside(f, "fifo")), 0o644))
		}, ErrNoDirectory, "fifo is a file, a FIFO, a socket or a device: move that away and create "},
		{"a link to a file for a directory", func(t *testing.T, f *File) {
			write(t, filepath.Join(filepath.Dir(f.Path), "file"), "", 0o644)
			fatal.If(t, os.Symlink("file", filepath.Dir(inside(f, "link"))))
		}, ErrNoDirectory, "link is a symbolic link to file, where no directory is: mend the link"},
		{"a link to nowhere for a directory", func(t *testing.T, f *File) {
			fatal.If(t, os.Symlink("nowhere", filepath.Dir(inside(f, "link"))))
		}, ErrNoDirectory, "link is a symbolic link to nowhere, where no directory is: mend the link"},
		{"no directory in one that is a link", func(t *testing.T, f *File) {
			fatal.If(t, os.Symlink(".", filepath.Dir(filepath.Dir(inside(f, "link/missing")))))
		}, ErrNoDirectory, ": create "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := target(t)
			tt.setup(t, &f)
			err := replace(t, f, "new")
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), f.Path) {
				t.Errorf("got %v", err)
			}
			if check := f.Check(); !errors.Is(check, tt.want) {
				t.Errorf("Check says %v", check)
			}
			if foreseen := f.Foresee(); !errors.Is(foreseen, tt.want) {
				t.Errorf("Foresee says %v", foreseen)
			}
		})
	}
}

// The file may be none of those that the agent needs for something else, whatever leads from one to
// the other.
func TestReplaceRefusesWhatIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		lead  func(t *testing.T, output, input string)
		input string // beside the output
	}{
		"the same path":            {func(t *testing.T, output, _ string) { write(t, output, "old", 0o644) }, "slave.ini"},
		"the same path, not there": {func(*testing.T, string, string) {}, "slave.ini"},
		"a hard link": {func(t *testing.T, output, input string) {
			write(t, input, "old", 0o644)
			fatal.If(t, os.Link(input, output))
		}, "agent.ini"},
		"the input is a link": {func(t *testing.T, output, input string) {
			write(t, output, "old", 0o644)
			fatal.If(t, os.Symlink("slave.ini", input))
		}, "agent.ini"},
		"the input is a link, and neither is there": {func(t *testing.T, output, input string) {
			fatal.If(t, os.Symlink(output, input))
		}, "agent.ini"},
		"a file beside it": {func(t *testing.T, _, input string) { write(t, input, "ca", 0o644) }, ".slave.next.ini"},
		"the lock file":    {func(t *testing.T, _, input string) { write(t, input, "ca", 0o644) }, ".slave.lock"},
		"a bind mount": {func(t *testing.T, output, input string) {
			write(t, output, "old", 0o644)
			write(t, input, "", 0o644)
			mountOrSkip(t, output, input, "", unix.MS_BIND, "")
		}, "agent.ini"},
		"by way of another folder": {func(t *testing.T, output, input string) {
			fatal.If(t, os.Symlink(".", filepath.Join(filepath.Dir(output), "etc")))
		}, "etc/slave.ini"},
	} {
		t.Run(name, func(t *testing.T) {
			f := target(t)
			input := filepath.Join(filepath.Dir(f.Path), c.input)
			c.lead(t, f.Path, input)
			f.Taken = []Taken{{"another one", "/no/such/file"}, {"the configuration", input}}
			before, _ := os.ReadFile(input)
			if err := f.Check(); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "the configuration ("+input+")") {
				t.Errorf("Check says %v", err)
			}
			if err := replace(t, f, "new"); !errors.Is(err, ErrTaken) {
				t.Errorf("got %v", err)
			}
			if l, err := f.Lock(); !errors.Is(err, ErrTaken) {
				l.Unlock()
				t.Errorf("Lock says %v", err)
			}
			if after, _ := os.ReadFile(input); string(after) != string(before) {
				t.Errorf("the input is %q, was %q", after, before)
			}
		})
	}
}

// What leads from one to the other may come while a file is on its way.
func TestCommitRefusesWhatIsTakenByThen(t *testing.T) {
	f := target(t)
	input := filepath.Join(t.TempDir(), "agent.ini")
	write(t, input, "mine", 0o644)
	f.Taken = []Taken{{"the configuration", input}}
	s, err := f.Stage([]byte("new"))
	fatal.If(t, err)
	if err := os.Link(input, f.Path); err != nil {
		t.Skip(err)
	}
	if err := s.Commit(); !errors.Is(err, ErrTaken) {
		t.Errorf("got %v", err)
	}
	if content(t, f.Path) != "mine" {
		t.Error("it is replaced")
	}
	onlyFile(t, f.Path)
}

// mountOrSkip mounts something for one test, in a mount namespace that the
// test's thread alone is in and that ends with it.
func mountOrSkip(t *testing.T, source, dir, kind string, flags uintptr, data string) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread is not fit for other work
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Skipf("cannot have a mount namespace here: %v", err)
	}
	fatal.If(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	if err := unix.Mount(source, dir, kind, flags, data); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

func TestReplaceOnAFullDiskKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	mountOrSkip(t, "tmpfs", dir, "tmpfs", 0, "size=64k")
	f := File{Path: filepath.Join(dir, "slave.ini")}
	write(t, f.Path, "old", 0o644)
	err := replace(t, f, strings.Repeat("x", 100<<10))
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("got %v", err)
	}
	if content(t, f.Path) != "old" {
		t.Error("the old file is gone")
	}
	onlyFile(t, f.Path)
	if err := replace(t, f, "new"); err != nil {
		t.Errorf("no recovery after the disk had been full: %v", err)
	}
	write(t, filepath.Join(dir, "other"), strings.Repeat("x", 40<<10), 0o644)
	if err := f.Foresee(); !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "are free") {
		t.Errorf("Foresee says %v", err)
	}
}

func TestReplaceWithoutAFreeInode(t *testing.T) {
	dir := t.TempDir()
	mountOrSkip(t, "tmpfs", dir, "tmpfs", 0, "size=64m,nr_inodes=2")
	f := File{Path: filepath.Join(dir, "slave.ini")}
	write(t, f.Path, "old", 0o644)
	_, locked := f.Lock()
	for what, err := range map[string]error{"Foresee": f.Foresee(), "a replacement": replace(t, f, "new"), "Lock": locked} {
		if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "no inode is free: delete files") || strings.Contains(err.Error(), "free some space") {
			t.Errorf("%s says %v", what, err)
		}
	}
}

// asNobody runs f as the user nobody, in a thread that ends with it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		for _, call := range []uintptr{syscall.SYS_SETRESGID, syscall.SYS_SETRESUID} {
			if _, _, errno := syscall.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
				done <- errno
				return
			}
		}
		f()
	}()
	fatal.If(t, <-done)
}

// A directory in which the agent may write can have files that it may not open or remove: those of
// an agent that another user ran there.
func TestReplaceAmongFilesOfSomebodyElses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	for name, c := range map[string]struct {
		mode  fs.FileMode // of the directory
		owner int         // of the directory
		there string
		file  int // its owner
		says  string
	}{
		"the lock file": {0o755, nobody, ".slave.lock", 0, ".slave.lock belongs to uid 0, with mode 0600, and the agent's user may neither open nor replace it: run chown 65534 "},
		"its own lock file, which it may not write to": {0o755, nobody, ".slave.lock", nobody, ".slave.lock has the mode 0400: run chmod u+rw "},
		"the staged file":                {0o777 | fs.ModeSticky, 0, ".slave.next.ini", 0, ".slave.next.ini belongs to uid 0, with mode 0600, and the agent's user may neither open nor replace it: run chown 65534 "},
		"the file itself":                {0o777 | fs.ModeSticky, 0, "slave.ini", 0, "slave.ini belongs to uid 0, with mode 0600, and the agent's user may neither open nor replace it: run chown 65534 "},
		"a directory of somebody else's": {0o755, 0, "slave.ini", nobody, "the agent's user (uid 65534) needs the right to write in its directory"},
	} {
		t.Run(name, func(t *testing.T) {
			f, id := target(t), nobody
			f.Owner, f.Group = &id, &id
			dir := filepath.Dir(f.Path)
			there := filepath.Join(dir, c.there)
			write(t, there, "", 0o600)
			if c.file == nobody {
				fatal.If(t, os.Chmod(there, 0o400))
			}
			fatal.If(t, errors.Join(os.Chown(there, c.file, c.file), os.Chown(dir, c.owner, c.owner), os.Chmod(dir, c.mode), os.Chmod(filepath.Dir(dir), 0o755)))
			var hidden error
			asNobody(t, func() { _, hidden = os.Stat(dir) })
			if hidden != nil {
				t.Skip("TMPDIR has to be within everybody's reach: ", hidden)
			}
			try := func() (err error) {
				asNobody(t, func() {
					var l *Lock
					if l, err = f.Lock(); err == nil {
						err = replace(t, f, "new")
						l.Unlock()
					}
				})
				return err
			}
			err := try()
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			_, advice, ok := strings.Cut(err.Error(), "run ")
			if !ok {
				return
			}
			advice, _, _ = strings.Cut(advice, ": ")
			if out, err := exec.Command("sh", "-c", advice).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", advice, err, out)
			}
			if err := try(); err != nil {
				t.Errorf("after %s: %v", advice, err)
			}
		})
	}
}

func TestReplaceOnAReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	mountOrSkip(t, "tmpfs", dir, "tmpfs", 0, "size=64k")
	f := File{Path: filepath.Join(dir, "slave.ini")}
	write(t, f.Path, "old", 0o644)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot remount here: %v", err)
	}
	if err := replace(t, f, "new"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v", err)
	}
	if err := f.Foresee(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Foresee says %v", err)
	}
	if content(t, f.Path) != "old" {
		t.Error("the old file is gone")
	}
}

func TestReplaceRefusesABindMountedFile(t *testing.T) {
	f := target(t)
	write(t, f.Path, "old", 0o644)
	outside := filepath.Join(t.TempDir(), "outside.ini")
	write(t, outside, "outside", 0o644)
	mountOrSkip(t, outside, f.Path, "", unix.MS_BIND, "")
	err := replace(t, f, "new")
	if !errors.Is(err, ErrMountPoint) || !strings.Contains(err.Error(), "mount its directory instead") {
		t.Errorf("got %v", err)
	}
	if content(t, outside) != "outside" {
		t.Error("the mounted file was written to")
	}
	if err := f.Foresee(); !errors.Is(err, ErrMountPoint) {
		t.Errorf("Foresee says %v", err)
	}
	onlyFile(t, f.Path)
}

func TestForesee(t *testing.T) {
	f := target(t)
	if err := f.Foresee(); err != nil {
		t.Errorf("without a file: %v", err)
	}
	write(t, f.Path, "old", 0o644)
	if err := f.Foresee(); err != nil || f.OtherNames() != 0 {
		t.Errorf("%v, %d other names", err, f.OtherNames())
	}
	if content(t, f.Path) != "old" {
		t.Error("it has changed the file")
	}
	onlyFile(t, f.Path)
	// The agent's own previous file is none that keeps chmpx from anything for long.
	for i, name := range []string{filepath.Base(f.previousPath()), "backup.ini"} {
		fatal.If(t, os.Link(f.Path, filepath.Join(filepath.Dir(f.Path), name)))
		if n := f.OtherNames(); n != i {
			t.Errorf("%d other names with %s, want %d", n, name, i)
		}
	}
}
