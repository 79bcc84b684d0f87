package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/actor"
	"k2hdkc-slave-agent/tests/fatal"
)

// An actor has the folder for its notes as its argument.
func TestMain(m *testing.M) { actor.Main(m, actors) }

var actors = map[string]func(){
	"prints": func() {
		fmt.Println("the answer")
		fmt.Fprintln(os.Stderr, "a remark")
	},
	"environment": func() { fmt.Println(strings.Join(os.Environ(), "\n")) },
	"fails": func() {
		fmt.Println("half an answer")
		fmt.Fprintln(os.Stderr, "\x1b[31mshop is closed\nand more")
		os.Exit(3)
	},
	"hangs": func() {
		fmt.Println("wait")
		startSleeper(&syscall.SysProcAttr{})
		note("leader", os.Getpid())
		actor.Sleep()
	},
	"floods": func() {
		note("leader", os.Getpid())
		actor.Flood(os.Stdout)
	},
	"complains": func() { actor.Flood(os.Stderr) },
	"leaves-child": func() {
		startSleeper(&syscall.SysProcAttr{})
		fmt.Println("the answer")
	},
	"leaves-session": func() {
		startSleeper(&syscall.SysProcAttr{Setsid: true})
		fmt.Println("the answer")
	},
	"sleeps": actor.Sleep,
}

// startSleeper starts a child that keeps the output open and never ends.
func startSleeper(attr *syscall.SysProcAttr) {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	child := exec.Command(exe)
	child.Args = []string{"sleeps"}
	child.Stdout, child.Stderr, child.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := child.Start(); err != nil {
		panic(err)
	}
	note("sleeper", child.Process.Pid)
}

func note(role string, pid int) {
	path := filepath.Join(os.Args[1], role)
	if err := os.WriteFile(path+".part", []byte(strconv.Itoa(pid)), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		panic(err)
	}
}

// notes is the folder the actor of a call leaves its notes in.
func notes(c Call) string { return c.Args[0] }

// newCall makes a call of an actor.
func newCall(t *testing.T, name string) Call {
	t.Helper()
	return Call{Command: actor.Program(t, name), Args: []string{t.TempDir()}, Timeout: 30 * time.Second, MaxOutput: 1 << 20}
}

// pidOf waits for an actor's note.
func pidOf(t *testing.T, c Call, role string) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(filepath.Join(notes(c), role))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(string(b))
		fatal.If(t, err)
		return pid
	}
	t.Fatalf("the %s did not start", role)
	return 0
}

// mustEnd waits for a process to be gone; one nobody has reaped yet is gone too.
func mustEnd(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(b, []byte(") Z ")) {
			return
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d was left behind", pid)
}

func TestRunKeepsTheStreamsApart(t *testing.T) {
	t.Parallel()
	c := newCall(t, "prints")
	var out Output
	for range 2 { // the second run shows nothing of the first
		fatal.If(t, Run(t.Context(), c, &out))
		if got := string(out.Bytes()); got != "the answer\n" {
			t.Errorf("output %q", got)
		}
		if got := string(out.Complaint()); got != "a remark\n" {
			t.Errorf("complaint %q", got)
		}
	}
}

func TestRunOfAProgramThatFails(t *testing.T) {
	t.Parallel()
	var out Output
	err := Run(t.Context(), newCall(t, "fails"), &out)
	var exit *ExitError
	var status *exec.ExitError
	if !errors.As(err, &exit) || !errors.As(err, &status) || status.ExitCode() != 3 {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), `\x1b[31mshop is closed"`) || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("error %q", err)
	}
	if got := string(out.Bytes()); got != "half an answer\n" {
		t.Errorf("output %q", got)
	}
}

func TestRunFindsABareNameAndCleansTheEnvironment(t *testing.T) {
	c := newCall(t, "environment")
	t.Setenv("PATH", filepath.Dir(c.Command))
	c.Command = filepath.Base(c.Command)
	for _, name := range []string{"CHMCONFFILE", "CHMJSONCONF", "CHMDBGMODE", "CHMDBGFILE", "CHMPX_COM_PROTO_VER", "LC_MESSAGES", "LC_ALL", "LANG", "NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC"} {
		t.Setenv(name, "unwanted")
	}
	t.Setenv("SHOP", "kept")
	var out Output
	fatal.If(t, Run(t.Context(), c, &out))
	env := string(out.Bytes())
	if strings.Contains(env, "unwanted") {
		t.Errorf("environment not clean:\n%s", env)
	}
	for _, want := range []string{"LC_ALL=C", "SHOP=kept"} {
		if !strings.Contains("\n"+env, "\n"+want+"\n") {
			t.Errorf("environment lacks %s:\n%s", want, env)
		}
	}
}

func TestAProgramThatCannotBeRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode fs.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		fatal.If(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	tests := []struct {
		name, command string
		is            error
		says          string
		starts        bool // so that Find finds nothing wrong
	}{
		{"none", "", ErrNotInstalled, "no program is configured", false},
		{"a name that is not in PATH", "no-such-program", ErrNotInstalled, "no-such-program is not installed", false},
		{"a path that is not there", filepath.Join(dir, "none"), ErrNotInstalled, "none is not installed", false},
		{"not executable", file("plain", "", 0o600), ErrCannotRun, "plain cannot be run", false},
		{"a folder", dir, ErrCannotRun, "cannot be run", false},
		{"no program at all", file("text", "this is text\n", 0o700), ErrCannotRun, "text cannot be run", true},
		{"another architecture", file("elf", "\x7fELF\x01\x02\x01"+strings.Repeat("\x00", 200), 0o700), ErrCannotRun, "elf cannot be run", true},
		{"no interpreter", file("script", "#!/no/such/interpreter\n", 0o700), ErrCannotRun, "interpreter", true},
		{"libraries are missing", file("linker", "#!/bin/sh\necho 'error while loading shared libraries: libchmpx.so.1' >&2\nexit 127\n", 0o700),
			ErrCannotRun, `linker cannot be run: exit status 127: "error while loading shared libraries: libchmpx.so.1"`, true},
		{"a wrapper around nothing", file("wrapper", "#!/bin/sh\nexec /no/such/program 2>/dev/null\n", 0o700), ErrCannotRun, "wrapper cannot be run: exit status 127", true},
		{"a wrapper around a folder", file("wrapped", "#!/bin/sh\nexec / 2>/dev/null\n", 0o700), ErrCannotRun, "wrapped cannot be run: exit status 126", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Call{Command: tt.command}
			for what, err := range map[string]error{"Find": c.Find(), "Run": Run(t.Context(), c, new(Output))} {
				if what == "Find" && tt.starts {
					if err != nil {
						t.Errorf("%s: error %v", what, err)
					}
					continue
				}
				if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: error %v", what, err)
				}
				if tt.is != ErrNotInstalled && errors.Is(err, ErrNotInstalled) {
					t.Errorf("%s: error %v is ErrNotInstalled", what, err)
				}
			}
		})
	}
}

// A program that waits for a disk that hangs cannot be killed. Run leaves it, once.
func TestAProgramThatCannotBeKilled(t *testing.T) {
	t.Parallel()
	c := newCall(t, "hangs")
	c.Timeout = time.Second
	disk := make(chan struct{})
	c.unended = func() { <-disk }
	var out Output
	if err := Run(t.Context(), c, &out); !errors.Is(err, ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
	again := newCall(t, "prints")
	if err := Run(t.Context(), again, &out); !errors.Is(err, ErrStillRuns) || len(out.Bytes())+len(out.Complaint()) != 0 {
		t.Errorf("error %v with %q while it is still there, want ErrStillRuns", err, out.Bytes())
	}
	close(disk)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := Run(t.Context(), again, &out)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrStillRuns) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if got := string(out.Bytes()); got != "the answer\n" {
		t.Errorf("output %q", got)
	}
}

// Nor does it keep the caller from ending.
func TestTheCallerEndsBesideAProgramThatCannotBeKilled(t *testing.T) {
	t.Parallel()
	c := newCall(t, "hangs")
	disk := make(chan struct{})
	defer close(disk)
	c.unended = func() { <-disk }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c, new(Output)) }()
	pidOf(t, c, "leader")
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Run waits for it")
	}
}

func TestRunEndsAProgramThatHangs(t *testing.T) {
	t.Parallel()
	c := newCall(t, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c, new(Output)) }()
	leader, sleeper := pidOf(t, c, "leader"), pidOf(t, c, "sleeper")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	mustEnd(t, leader)
	mustEnd(t, sleeper)
}

func TestRunHasATimeLimit(t *testing.T) {
	t.Parallel()
	c := newCall(t, "hangs")
	c.Timeout = 500 * time.Millisecond
	err := Run(t.Context(), c, new(Output))
	if !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
	for _, role := range []string{"leader", "sleeper"} {
		if _, err := os.Stat(filepath.Join(notes(c), role)); err == nil {
			mustEnd(t, pidOf(t, c, role))
		}
	}
}

func TestTheCallersDeadlineIsNotTheTimeLimit(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := Run(ctx, newCall(t, "hangs"), new(Output))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTimeout) {
		t.Errorf("error %v, want context.DeadlineExceeded", err)
	}
}

func TestRunWithAContextThatHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, newCall(t, "prints"), new(Output)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestRunStopsReadingAFlood(t *testing.T) {
	t.Parallel()
	c := newCall(t, "floods")
	var out Output
	err := Run(t.Context(), c, &out)
	if !errors.Is(err, ErrTooMuch) || !strings.Contains(err.Error(), "(1048576 bytes)") {
		t.Errorf("error %v", err)
	}
	if got := len(out.Bytes()); got != c.MaxOutput {
		t.Errorf("%d bytes were kept", got)
	}
	if got := out.stdout.Cap(); got > 3*c.MaxOutput {
		t.Errorf("%d bytes are held", got)
	}
	mustEnd(t, pidOf(t, c, "leader"))
	fatal.If(t, Run(t.Context(), Call{Command: "/bin/true"}, &out))
	if got := out.stdout.Cap(); got > keepBuffer {
		t.Errorf("%d bytes are held after the next run", got)
	}
}

func TestALongComplaintIsCutAndNoReasonToEndTheProgram(t *testing.T) {
	t.Parallel()
	var out Output
	fatal.If(t, Run(t.Context(), newCall(t, "complains"), &out))
	if got := len(out.Complaint()); got != maxComplaint {
		t.Errorf("%d bytes were kept", got)
	}
}

func TestRunDoesNotWaitForWhatTheProgramLeavesBehind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		actor string
		ends  bool // is killed with its group
	}{{"leaves-child", true}, {"leaves-session", false}}
	for _, tt := range tests {
		t.Run(tt.actor, func(t *testing.T) {
			t.Parallel()
			c := newCall(t, tt.actor)
			if err := Run(t.Context(), c, new(Output)); !errors.Is(err, ErrLeftOpen) {
				t.Errorf("error %v, want ErrLeftOpen", err)
			}
			sleeper := pidOf(t, c, "sleeper")
			if !tt.ends {
				_ = syscall.Kill(sleeper, syscall.SIGKILL)
			}
			mustEnd(t, sleeper)
		})
	}
}

// BenchmarkRun is what a run costs besides the program itself.
func BenchmarkRun(b *testing.B) {
	c := Call{Command: "/bin/true", Env: Environ(), MaxOutput: 4 << 20}
	var out Output
	b.ReportAllocs()
	for b.Loop() {
		if err := Run(context.Background(), c, &out); err != nil {
			b.Fatal(err)
		}
	}
}
