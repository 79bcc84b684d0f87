package status

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fatal"
)

// TestMain is also the agent of another process: it holds the lock of the folder in the environment
// until it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("STATUS_TEST_HOLD")
	if dir == "" {
		os.Exit(m.Run())
	}
	l, err := Hold(dir)
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("held\n")
	io.Copy(io.Discard, os.Stdin) // ends with the test, which has the other end
	l.Release()
}

// holder starts another process that holds the lock in dir. The test's end kills it.
func holder(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), "STATUS_TEST_HOLD="+dir)
	in, err := cmd.StdinPipe()
	fatal.If(t, err)
	t.Cleanup(func() { in.Close() })
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	fatal.If(t, err)
	t.Cleanup(func() { kill(cmd) })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q: %v", line, err)
	}
	return cmd
}

// held is the lock in dir, for as long as the test runs.
func held(t *testing.T, dir string) *Lock {
	t.Helper()
	l, err := Hold(dir)
	fatal.If(t, err)
	t.Cleanup(l.Release)
	return l
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

func open(t *testing.T, dir string) {
	t.Helper()
	// The folders above are the test's own, for nobody else.
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		fatal.If(t, os.Chmod(at, 0o755))
	}
}

func document() Document {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return Document{
		Schema: Schema, WrittenAt: at, Version: "1.2.3",
		Health: Degraded, Since: at,
		Conditions: []Condition{{Code: "ring_differs", Severity: Warning, Status: Active, Since: at, Message: "chmpx has other servers", DependsOn: []string{}}},
		Servers:    []Server{{Name: "server1", CtlPort: 8021, RingState: "up", InFile: true, InRing: true}},
		Changes:    []Change{{At: at, Revision: 7, Words: "first file"}},
		Agent:      Agent{State: Running, PID: 42, StartedAt: at, AliveEvery: 60},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	d := document()
	fatal.If(t, Write(dir, d))
	got, err := Read(dir)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, d)
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
}

// Programs that read the JSON need no case for a list that is missing.
func TestEmptyListsAreLists(t *testing.T) {
	d := Document{Conditions: []Condition{{Code: "x"}}, Previous: &Condition{Code: "y"}}
	b, err := d.JSON()
	fatal.If(t, err)
	var got struct {
		Schema     string
		Conditions []map[string]any
		Previous   map[string]any
		Servers    []any
		Changes    []any
	}
	fatal.If(t, json.Unmarshal(b, &got))
	if got.Schema != Schema || got.Servers == nil || got.Changes == nil || got.Conditions[0]["depends_on"] == nil || got.Previous["depends_on"] == nil {
		t.Errorf("%s", b)
	}
	if d.Conditions[0].DependsOn != nil || d.Previous.DependsOn != nil {
		t.Error("JSON changes the document")
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(path string) error
		want error
	}{
		"nothing":           {func(string) error { return nil }, fs.ErrNotExist},
		"a FIFO":            {func(path string) error { return unix.Mkfifo(path, 0o644) }, regularfile.ErrNotRegular},
		"a folder":          {func(path string) error { return os.Mkdir(path, 0o755) }, regularfile.ErrNotRegular},
		"a link":            {func(path string) error { return os.Symlink("/etc/passwd", path) }, regularfile.ErrNotRegular},
		"a terabyte":        {func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)) }, regularfile.ErrTooLarge},
		"empty":             {text(""), ErrGarbled},
		"half of it":        {text(`{"schema": "` + Schema + `", "health"`), ErrGarbled},
		"no object":         {text(`[1]`), ErrGarbled},
		"another's":         {text(`{"schema": "somebody/else/v1"}`), ErrGarbled},
		"no number":         {text(`{"schema": "k2hdkc-slave-agent/status/vx"}`), ErrGarbled},
		"no schema":         {text(`{}`), ErrGarbled},
		"an older one":      {text(`{"schema": "k2hdkc-slave-agent/status/v0"}`), ErrOlder},
		"another type":      {text(`{"schema": "` + Schema + `", "version": 7}`), ErrGarbled},
		"a time that isn't": {text(`{"schema": "` + Schema + `", "since": "yesterday"}`), ErrGarbled},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fatal.If(t, c.put(filepath.Join(dir, FileName)))
			if _, err := Read(dir); !errors.Is(err, c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v, want %v", err, c.want)
			}
			d, err := Look(dir, time.Now())
			if !errors.Is(err, c.want) || d.Agent.State != Stopped || d.Health != Failed || len(d.Conditions) != 1 || d.Conditions[0].Code != AgentStopped {
				t.Errorf("Look: %v, %+v", err, d)
			}
			if b, err := d.JSON(); err != nil || !strings.Contains(string(b), `"agent_stopped"`) {
				t.Errorf("JSON: %v, %s", err, b)
			}
		})
	}
}

func text(s string) func(path string) error {
	return func(path string) error { return os.WriteFile(path, []byte(s), 0o644) }
}

// A newer agent has more fields, and may have made another type of one.
func TestReadOfANewerDocument(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		newer bool
	}{
		"more fields":      {`{"schema": "k2hdkc-slave-agent/status/v1", "health": "degraded", "weather": {"rain": [1]}, "file": {"revision": 18, "colour": "red"}}`, false},
		"the next version": {`{"schema": "k2hdkc-slave-agent/status/v2", "health": "degraded", "version": ["2"], "file": {"revision": 18}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fatal.If(t, os.WriteFile(filepath.Join(dir, FileName), []byte(c.text), 0o644))
			d, err := Read(dir)
			if err != nil || d.Health != Degraded || d.File.Revision != 18 || d.Newer() != c.newer {
				t.Errorf("%v, newer %v, %+v", err, d.Newer(), d)
			}
		})
	}
}

func TestLook(t *testing.T) {
	running := func(t *testing.T, dir string, d Document) *Lock {
		fatal.If(t, Write(dir, d))
		return held(t, dir)
	}
	notConfigured := document()
	notConfigured.Agent.State = NotConfigured
	healthy := document()
	healthy.Health, healthy.Conditions = Healthy, []Condition{}
	for name, c := range map[string]struct {
		begin  func(t *testing.T, dir string)
		later  time.Duration // Look is called
		state  AgentState
		health Health
		codes  string
	}{
		"running":                {func(t *testing.T, dir string) { running(t, dir, document()) }, 0, Running, Degraded, "ring_differs"},
		"nearly hung":            {func(t *testing.T, dir string) { running(t, dir, document()) }, 170 * time.Second, Running, Degraded, "ring_differs"},
		"hung":                   {func(t *testing.T, dir string) { running(t, dir, document()) }, 190 * time.Second, Hung, Failed, "agent_hung ring_differs"},
		"hung while all is well": {func(t *testing.T, dir string) { running(t, dir, healthy) }, 190 * time.Second, Hung, Failed, "agent_hung"},
		"the clock is back":      {func(t *testing.T, dir string) { running(t, dir, document()) }, -time.Hour, Running, Degraded, "ring_differs"},
		"not configured":         {func(t *testing.T, dir string) { running(t, dir, notConfigured) }, 0, NotConfigured, Degraded, "ring_differs"},
		"no document yet": {func(t *testing.T, dir string) {
			running(t, dir, document())
			os.Remove(filepath.Join(dir, FileName))
		}, 0, Running, Degraded, "agent_unknown"},
		"stopped": {func(t *testing.T, dir string) {
			Write(dir, healthy)
			l, err := Hold(dir)
			fatal.If(t, err)
			l.Release()
		}, 0, Stopped, Failed, "agent_stopped"},
		"killed": {func(t *testing.T, dir string) {
			Write(dir, document())
			kill(holder(t, dir))
		}, 0, Stopped, Failed, "agent_stopped ring_differs"},
		"a full disk": {func(t *testing.T, dir string) {
			running(t, dir, healthy).Tell(&fs.PathError{Op: "replace", Path: dir, Err: unix.ENOSPC})
		}, 0, Unknown, Degraded, "status_unwritable"},
		"a full disk, and hung": {func(t *testing.T, dir string) {
			running(t, dir, healthy).Tell(unix.ENOSPC)
		}, 190 * time.Second, Hung, Failed, "agent_hung"},
		"a read-only disk": {func(t *testing.T, dir string) {
			running(t, dir, healthy).Tell(unix.EROFS)
		}, 190 * time.Second, Unknown, Degraded, "status_unwritable"},
		"a full disk before a read-only one, and what has no number": {func(t *testing.T, dir string) {
			l := running(t, dir, healthy)
			l.Tell(unix.ENOSPC)
			l.Tell(errors.New("too large"))
		}, 0, Unknown, Degraded, "status_unwritable"},
		"a disk that is well again": {func(t *testing.T, dir string) {
			l := running(t, dir, healthy)
			l.Tell(unix.EROFS)
			l.Tell(unix.ENOSPC)
			l.Tell(nil)
		}, 0, Running, Healthy, ""},
		"never run":  {func(*testing.T, string) {}, 0, Stopped, Failed, "agent_stopped"},
		"no run-dir": {func(t *testing.T, dir string) { os.Remove(dir) }, 0, Stopped, Failed, "agent_stopped"},
		"the lock is a FIFO": {func(t *testing.T, dir string) {
			Write(dir, healthy)
			unix.Mkfifo(filepath.Join(dir, LockName), 0o644)
		}, 0, Unknown, Degraded, "agent_unknown"},
		"somebody locks it for reading": {func(t *testing.T, dir string) {
			Write(dir, healthy)
			readLocked(t, dir)
		}, 0, Stopped, Failed, "agent_stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			fatal.If(t, os.Mkdir(dir, 0o755))
			c.begin(t, dir)
			d, _ := Look(dir, time.Now().Add(c.later))
			if d.Agent.State != c.state || d.Health != c.health || codes(d) != c.codes {
				t.Errorf("%s, %s: %s; want %s, %s: %s", d.Agent.State, d.Health, codes(d), c.state, c.health, c.codes)
			}
			if alive := d.Agent.AliveAt; c.codes != "agent_unknown" && name != "never run" && name != "no run-dir" && time.Since(alive).Abs() > time.Minute {
				t.Errorf("alive at %v", alive)
			}
		})
	}
}

func codes(d Document) string {
	var codes []string
	for _, c := range d.Conditions {
		codes = append(codes, c.Code)
	}
	return strings.Join(codes, " ")
}

// readLocked has somebody lock the lock file as far as whoever may read it can.
func readLocked(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, LockName)
	fatal.If(t, os.WriteFile(path, nil, 0o644))
	f, err := os.Open(path)
	fatal.If(t, err)
	t.Cleanup(func() { f.Close() })
	fatal.If(t, fcntl(f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK}))
}

func TestNobodyIsInTheAgentsWayByReading(t *testing.T) {
	dir := t.TempDir()
	readLocked(t, dir)
	held(t, dir)
	if d, _ := Look(dir, time.Now()); d.Agent.State != Running {
		t.Errorf("%+v", d.Agent)
	}
}

// An agent that cannot write its status is one all the same, and whoever reads the lock file cannot
// have it seem so for good.
func TestALockThatTells(t *testing.T) {
	dir := t.TempDir()
	l := held(t, dir)
	l.Tell(unix.ENOSPC)
	if _, err := Hold(dir); !errors.Is(err, ErrHeld) {
		t.Errorf("the second agent: %v", err)
	}
	d, _ := Look(dir, time.Now())
	if m := d.Conditions[0].Message; !strings.Contains(m, dir) || !strings.Contains(m, "no space left on device; make room there") {
		t.Errorf("says %s", m)
	}
	f, err := os.Open(filepath.Join(dir, LockName))
	fatal.If(t, err)
	defer f.Close()
	fatal.If(t, fcntl(f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: 1000}))
	fatal.If(t, Write(dir, document()))
	l.Tell(nil)
	if d, _ := Look(dir, time.Now()); d.Agent.State != Running || codes(d) != "ring_differs" {
		t.Errorf("%+v", d)
	}
}

func TestTwoAgentsOnOneRunDir(t *testing.T) {
	dir := t.TempDir()
	other := holder(t, dir)
	if _, err := Hold(dir); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second agent: %v", err)
	}
	kill(other)
	l := held(t, dir)
	if err := l.Alive(); err != nil {
		t.Error(err)
	}
}

// Whoever deletes the lock file lets another agent in.
func TestLockFileThatSomebodyDeletes(t *testing.T) {
	dir := t.TempDir()
	l := held(t, dir)
	os.Remove(filepath.Join(dir, LockName))
	fatal.If(t, l.Alive())
	if d, _ := Look(dir, time.Now()); d.Agent.State != Running {
		t.Errorf("after a sign of life: %+v", d.Agent)
	}
	os.Remove(filepath.Join(dir, LockName))
	holder(t, dir)
	if err := l.Alive(); !errors.Is(err, ErrHeld) {
		t.Errorf("after another agent has come: %v", err)
	}
}

func TestAliveIsTheTimeOfTheLockFile(t *testing.T) {
	dir := t.TempDir()
	l := held(t, dir)
	long := time.Now().Add(-time.Hour)
	fatal.If(t, os.Chtimes(filepath.Join(dir, LockName), long, long))
	if d, _ := Look(dir, time.Now()); d.Agent.State != Hung {
		t.Errorf("an hour without: %+v", d.Agent)
	}
	fatal.If(t, l.Alive())
	if d, _ := Look(dir, time.Now()); d.Agent.State != Running {
		t.Errorf("after a sign: %+v", d.Agent)
	}
}

// TestLookAsNobody shows that a reader needs no right but to read, and that its look does not keep
// the next agent from its lock.
func TestLookAsNobody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become nobody")
	}
	dir := t.TempDir()
	open(t, dir)
	fatal.If(t, Write(dir, document()))
	l := held(t, dir)
	asNobody(t, func() {
		if _, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR, 0); !errors.Is(err, fs.ErrPermission) {
			t.Fatalf("this is not nobody: %v", err)
		}
		if d, err := Look(dir, time.Now()); err != nil || d.Agent.State != Running {
			t.Errorf("while it runs: %v, %+v", err, d.Agent)
		}
	})
	l.Release()
	asNobody(t, func() {
		if d, err := Look(dir, time.Now()); err != nil || d.Agent.State != Stopped {
			t.Errorf("when it has ended: %v, %+v", err, d.Agent)
		}
	})
	os.Chmod(dir, 0o700)
	asNobody(t, func() {
		if d, err := Look(dir, time.Now()); !errors.Is(err, fs.ErrPermission) || d.Agent.State != Unknown || codes(d) != AgentUnknown {
			t.Errorf("a run-dir that nobody may read: %v, %+v", err, d)
		}
	})
}

// asNobody runs f as the user nobody, in a thread that ends with it.
func asNobody(t *testing.T, f func()) {
	done := make(chan error)
	go func() {
		// The thread is not unlocked, and so is not used for anything else.
		runtime.LockOSThread()
		const nobody = 65534
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, nobody, nobody, nobody); errno != 0 {
			done <- errno
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			done <- errno
			return
		}
		f()
		done <- nil
	}()
	fatal.If(t, <-done)
}

// BenchmarkWrite is one change of the status, of clusters small and large.
func BenchmarkWrite(b *testing.B) {
	for _, servers := range []int{3, 1000} {
		b.Run(fmt.Sprint(servers, " servers"), func(b *testing.B) {
			dir, d := b.TempDir(), document()
			for i := range servers {
				d.Servers = append(d.Servers, Server{Name: fmt.Sprintf("server-%d.orders.example", i), CtlPort: 8021, CUK: "2f4b9a10-66c7-4d0e-b8a5-73d1f90e6b02", RingState: "up", InFile: true, InRing: true})
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(dir, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
