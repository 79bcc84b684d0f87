package regularfile

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/turning"
)

// within fails the test if f waits for somebody.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
}

// kinds put something else than a small regular file at a path.
func kinds() map[string]struct {
	put  func(path string) error
	want error
	says string
} {
	link := func(to string) func(path string) error {
		return func(path string) error { return os.Symlink(to, path) }
	}
	sparse := func(size int64) func(path string) error {
		return func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size))
		}
	}
	type kind = struct {
		put  func(path string) error
		want error
		says string
	}
	return map[string]kind{
		"a FIFO":      {func(path string) error { return unix.Mkfifo(path, 0o600) }, ErrNotRegular, "but a FIFO"},
		"a directory": {func(path string) error { return os.Mkdir(path, 0o700) }, ErrNotRegular, "but a directory"},
		"a socket": {func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}, ErrNotRegular, "but a socket"},
		"a link to a device":       {link("/dev/zero"), ErrNotRegular, "but a device"},
		"a link to a terminal":     {link("/dev/tty"), ErrNotRegular, "but a device"},
		"a link in a circle":       {func(path string) error { return os.Symlink(path, path) }, unix.ELOOP, ""},
		"a link to nowhere":        {link("/no/such/file"), fs.ErrNotExist, ""},
		"a terabyte":               {sparse(1 << 40), ErrTooLarge, "has more than 1048576 bytes"},
		"one byte too many":        {sparse(Small + 1), ErrTooLarge, "has more than"},
		"the kernel's endless log": {link("/proc/kmsg"), nil, ""},
		"nothing":                  {func(string) error { return nil }, fs.ErrNotExist, ""},
	}
}

func TestReadWaitsForNobody(t *testing.T) {
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			fatal.If(t, k.put(path))
			within(t, func() {
				_, err := Read(path, Small)
				if err == nil || k.want != nil && !errors.Is(err, k.want) || !strings.Contains(err.Error(), k.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("Read: %v", err)
				}
				if _, err := ReadInPlace(path, Small); err == nil {
					t.Error("ReadInPlace reads it")
				}
				if _, err := ReadFS(Dir("/"), path[1:], Small); err == nil {
					t.Error("ReadFS reads it")
				}
				if k.want == fs.ErrNotExist {
					return
				}
				if err := Check(path, Small); err == nil && name != "the kernel's endless log" {
					t.Error("Check finds nothing wrong")
				}
				if f, err := OpenOrMake(path, 0o600); err == nil {
					f.Close()
					if k.want != ErrTooLarge {
						t.Error("OpenOrMake opens it")
					}
				}
			})
		})
	}
}

func TestReadReturnsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	for _, text := range []string{"", "text", strings.Repeat("x", Small)} {
		fatal.If(t, os.WriteFile(path, []byte(text), 0o600))
		for name, read := range map[string]func() ([]byte, error){
			"Read": func() ([]byte, error) { return Read(path, Small) }, "ReadInPlace": func() ([]byte, error) { return ReadInPlace(path, Small) },
			"ReadFS": func() ([]byte, error) { return ReadFS(Dir(dir), "file", Small) },
			"in memory": func() ([]byte, error) {
				return ReadFS(fstest.MapFS{"file": &fstest.MapFile{Data: []byte(text)}}, "file", Small)
			},
		} {
			if got, err := read(); err != nil || string(got) != text {
				t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(text), err)
			}
		}
	}
	fatal.If(t, os.Symlink(path, link))
	if _, err := Read(link, Small); err != nil {
		t.Errorf("by way of a link: %v", err)
	}
	if _, err := ReadInPlace(link, Small); !errors.Is(err, ErrNotRegular) {
		t.Errorf("by way of a link, in place: %v", err)
	}
	if b, err := Read("/dev/null", Small); err != nil || len(b) != 0 {
		t.Errorf("/dev/null: %d bytes, %v", len(b), err)
	}
	// A file of the kernel's says that it is empty.
	if b, err := Read("/proc/self/status", Small); err != nil || len(b) == 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := Read("/proc/self/status", 10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than it says: %v", err)
	}
}

// A file that grows while it is read is read to the limit and no further.
func TestReadOfAFileThatGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	fatal.If(t, err)
	defer f.Close()
	stop := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for block := make([]byte, 64<<10); ; {
			select {
			case <-stop:
				return
			default:
				f.Write(block)
				if at, _ := f.Seek(0, 1); at > 64<<20 {
					f.Truncate(0)
					f.Seek(0, 0)
				}
			}
		}
	}()
	for range 200 {
		if b, err := Read(path, Small); err != nil && !errors.Is(err, ErrTooLarge) || len(b) > Small {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	close(stop)
	<-over
}

// A program that holds a lease on a file would keep whoever opens it waiting for 45 s.
func TestReadOfAFileWithALease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	fatal.If(t, err)
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("no leases here: %v", err)
	}
	within(t, func() {
		if _, err := Read(path, Small); !errors.Is(err, unix.EWOULDBLOCK) {
			t.Errorf("got %v", err)
		}
	})
}

// What is at a path may become anything between two system calls.
func TestReadWhileTheFileChangesItsKind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	defer turning.Begin(path,
		func(path string) { os.WriteFile(path, []byte("text"), 0o600) },
		func(path string) { unix.Mkfifo(path, 0o600) },
		func(path string) { os.Symlink("/dev/zero", path) })()
	within(t, func() {
		read := 0
		for range 20_000 {
			b, err := Read(path, Small)
			if err == nil && string(b) != "text" && len(b) != 0 {
				t.Errorf("%d bytes", len(b))
			}
			if err == nil {
				read++
			}
		}
		t.Logf("%d of 20000 times there was a file", read)
	})
}

// Go's resolver does without a file that is not there, and hangs on all the others.
func TestCheckNamesFindsWhatTheResolverWouldHangOn(t *testing.T) {
	good := filepath.Join(t.TempDir(), "hosts")
	fatal.If(t, os.WriteFile(good, []byte("127.0.0.1 localhost\n"), 0o600))
	for name, k := range kinds() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			fatal.If(t, k.put(path))
			if _, err := Read(path, Small); errors.Is(err, fs.ErrPermission) {
				t.Skip("the resolver may not read it either, and does without it")
			}
			within(t, func() {
				err := checkNames(good, path)
				if missing := k.want == fs.ErrNotExist; (err == nil) != missing || err != nil && !strings.Contains(err.Error(), path) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestFoldersThatAreNone(t *testing.T) {
	for name, k := range kinds() {
		path := filepath.Join(t.TempDir(), "folder")
		if err := k.put(path); err != nil || name == "a directory" {
			continue
		}
		within(t, func() {
			if root, err := OpenRoot(path); err == nil {
				root.Close()
				t.Errorf("OpenRoot opens %s", name)
			}
			if f, err := OpenFolder(path); err == nil {
				f.Close()
				t.Errorf("OpenFolder opens %s", name)
			}
		})
	}
}

func TestDirListsFolders(t *testing.T) {
	dir := t.TempDir()
	fatal.If(t, errors.Join(os.WriteFile(filepath.Join(dir, "a"), nil, 0o600), unix.Mkfifo(filepath.Join(dir, "b"), 0o600)))
	entries, err := fs.ReadDir(Dir(dir), ".")
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := Dir(dir).Open("../a"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("beyond the folder: %v", err)
	}
	if _, err := Dir(dir).Open("b"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a FIFO: %v", err)
	}
}

// endless is a folder with any number of names.
type endless struct {
	fs.File
	read int
}

func (e *endless) Open(string) (fs.File, error) { return e, nil }
func (e *endless) Close() error                 { return nil }

func (e *endless) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		return nil, errors.New("all names were asked for")
	}
	e.read += n
	entries, err := fs.ReadDir(fstest.MapFS{"a": {}}, ".")
	return slices.Repeat(entries, n), err
}

func TestNamesAreReadInPortions(t *testing.T) {
	e, names := &endless{}, 0
	err := EachName(e, ".", func(string) bool { names++; return names < 10_000 })
	if err != nil || names != 10_000 || e.read > names+portion {
		t.Errorf("%d names of %d that were read: %v", names, e.read, err)
	}
	dir := t.TempDir()
	for i := range 2*portion + 1 {
		fatal.If(t, os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600))
	}
	found := map[string]bool{}
	err = EachName(Dir(dir), ".", func(name string) bool { found[name] = true; return true })
	if err != nil || len(found) != 2*portion+1 {
		t.Errorf("%d names, %v", len(found), err)
	}
	if err := EachName(Dir(dir), "none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := EachName(Dir(dir), "1", nil); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}
