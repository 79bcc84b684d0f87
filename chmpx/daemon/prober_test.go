package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx/ini"
	"k2hdkc-slave-agent/tests/actor"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestMain(m *testing.M) { actor.Main(m, actors) }

// actors play chmpxstatus.
var actors = map[string]func(){
	"prints":  func() { printAnswer() },
	"foreign": func() { fmt.Println("hello") },
	"absent":  cannotAttach,
	"lacks-a-library": func() {
		fmt.Fprintln(os.Stderr, "error while loading shared libraries: libchmpx.so.1")
		os.Exit(127)
	},
	"fails": func() {
		fmt.Fprintln(os.Stderr, "\x1b[31mshop is closed\nand more")
		os.Exit(3)
	},
	// needs-probe attaches only with a probe file.
	"needs-probe": func() {
		if _, err := os.Stat(os.Args[2]); err != nil {
			cannotAttach()
		}
		printAnswer()
	},
	"hangs": actor.Sleep,
	"holds": actHolder,
}

func cannotAttach() {
	fmt.Fprintln(os.Stderr, "[ERR] Could not initialize(attach) chmpx shared memory.")
	fmt.Println("add -d to learn more")
	os.Exit(1)
}

// stage is the prober's folder, where the actors leave their notes.
func stage() string { return filepath.Dir(os.Args[2]) }

func printAnswer() {
	text, err := os.ReadFile(filepath.Join(stage(), "answer"))
	if err != nil {
		panic(err)
	}
	seen := strings.Join(os.Args[1:], " ") + "\n" + strings.Join(os.Environ(), "\n")
	if err := os.WriteFile(filepath.Join(stage(), "seen"), []byte(seen), 0o600); err != nil {
		panic(err)
	}
	os.Stdout.Write(text)
}

// newProber makes a prober whose chmpxstatus is an actor.
func newProber(t *testing.T, name string) *Prober {
	t.Helper()
	dir := t.TempDir()
	fatal.If(t, os.WriteFile(filepath.Join(dir, "answer"), []byte(healthyText(t)), 0o600))
	return &Prober{Command: actor.Program(t, name), Dir: dir, Timeout: 30 * time.Second,
		access: func(string, uint32) error { return unix.ENOENT }}
}

func TestProberReadsTheStatus(t *testing.T) {
	t.Parallel()
	p := newProber(t, "prints")
	for range 2 {
		got, err := p.Status(t.Context(), "orders", 9021)
		fatal.If(t, err)
		if diff := cmp.Diff(healthy(), got); diff != "" {
			t.Error("(-want +got)\n" + diff)
		}
	}
}

func TestProberReadsAThousandServers(t *testing.T) {
	t.Parallel()
	p := newProber(t, "prints")
	fatal.If(t, os.WriteFile(filepath.Join(p.Dir, "answer"), []byte(manyServers(t, 1024)), 0o600))
	st, err := p.Status(t.Context(), "orders", 9021)
	if err != nil || len(st.Servers) != 1024 || st.Servers[1023].Name != "store-1023.example" {
		t.Fatalf("%d servers, error %v", len(st.Servers), err)
	}
}

func TestProberCallsTheProgramCleanly(t *testing.T) {
	p := newProber(t, "prints")
	t.Setenv("CHMCONFFILE", "unwanted")
	if _, err := p.Status(t.Context(), "orders", 9021); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(p.Dir, "seen"))
	fatal.If(t, err)
	args, env, _ := strings.Cut(string(b), "\n")
	if want := "-conf " + filepath.Join(p.Dir, "probe.ini"); args != want {
		t.Errorf("called with %q, want %q", args, want)
	}
	if strings.Contains(env, "unwanted") {
		t.Errorf("environment not clean:\n%s", env)
	}
}

func TestProberErrors(t *testing.T) {
	t.Parallel()
	noDir := t.TempDir()
	script := filepath.Join(noDir, "not-executable")
	fatal.If(t, os.WriteFile(script, nil, 0o600))
	foreign := filepath.Join(noDir, "foreign")
	fatal.If(t, os.WriteFile(foreign, []byte("\x7fELF\x01\x02\x01\x00\x00\x00\x00"), 0o700))
	denied := func(errno error) func(*Prober) {
		return func(p *Prober) { p.access = func(string, uint32) error { return errno } }
	}
	tests := []struct {
		name  string
		actor string
		set   func(*Prober)
		is    error  // nil: none of the sentinels
		says  string // part of the text
	}{
		{"no command", "prints", func(p *Prober) { p.Command = "" }, ErrNotInstalled, ""},
		{"a name that is not in PATH", "prints", func(p *Prober) { p.Command = "no-such-chmpxstatus" }, ErrNotInstalled, "no-such-chmpxstatus"},
		{"a path that is not there", "prints", func(p *Prober) { p.Command = filepath.Join(noDir, "none") }, ErrNotInstalled, "none"},
		{"not executable", "prints", func(p *Prober) { p.Command = script }, fs.ErrPermission, "not-executable"},
		{"not executable, as a class", "prints", func(p *Prober) { p.Command = script }, ErrCannotRun, "not-executable"},
		{"its libraries are missing", "lacks-a-library", nil, ErrCannotRun, "libchmpx.so.1"},
		{"another architecture", "prints", func(p *Prober) { p.Command = foreign }, ErrCannotRun, "exec format error"},
		{"not running", "absent", nil, ErrNotRunning, ""},
		{"not running, its memory left behind", "absent", denied(nil), ErrNotRunning, ""},
		{"memory of another user", "absent", denied(unix.EACCES), ErrNoAccess, "orders-9021.chmpx"},
		{"memory on a read-only mount", "absent", denied(unix.EROFS), ErrNoAccess, "read-only"},
		{"memory of another user, as a class", "absent", denied(unix.EACCES), fs.ErrPermission, ""},
		{"hangs", "hangs", func(p *Prober) { p.Timeout = 100 * time.Millisecond }, ErrTimeout, ""},
		{"fails otherwise", "fails", nil, nil, `\x1b[31mshop is closed"`},
		{"a foreign format", "foreign", nil, ErrFormat, "foreign"},
		{"neither folder nor program", "prints", func(p *Prober) { p.Dir, p.Command = filepath.Join(noDir, "none"), "no-such-chmpxstatus" }, ErrNotInstalled, ""},
		{"a group chmpx cannot have", "prints", nil, nil, "slash"},
		{"no folder for the probe file", "prints", func(p *Prober) { p.Dir = filepath.Join(noDir, "none") }, fs.ErrNotExist, "cannot write"},
	}
	sentinels := []error{ErrNotInstalled, ErrNotRunning, ErrNoAccess, ErrTimeout, ErrFormat, fs.ErrPermission, fs.ErrNotExist}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProber(t, tt.actor)
			if tt.set != nil {
				tt.set(p)
			}
			group := "orders"
			if tt.says == "slash" {
				group = "or/ders"
			}
			_, err := p.Status(t.Context(), group, 9021)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Count(err.Error(), "permission denied") > 1 || tt.says == "read-only" && strings.Contains(err.Error(), "denied") {
				t.Errorf("error %q gives its cause twice", err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q is not %q", err, tt.is)
			}
			for _, s := range sentinels {
				if errors.Is(err, s) && tt.is != ErrCannotRun && !errors.Is(tt.is, s) && !errors.Is(s, tt.is) {
					t.Errorf("error %q is also %q", err, s)
				}
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q does not say %q", err, tt.says)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q has control characters", err)
			}
		})
	}
}

func TestProberWithAContextThatHasEnded(t *testing.T) {
	t.Parallel()
	p := newProber(t, "prints")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Status(ctx, "orders", 9021); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestProberWritesTheProbeFileOnlyWhenItMust(t *testing.T) {
	t.Parallel()
	p := newProber(t, "needs-probe")
	probe := filepath.Join(p.Dir, "probe.ini")
	look := func(group string, port int) fs.FileInfo {
		t.Helper()
		if _, err := p.Status(t.Context(), group, port); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(probe)
		fatal.If(t, err)
		return fi
	}
	first := look("orders", 9021)
	if got := first.Mode().Perm(); got != 0o644 {
		t.Errorf("mode %o", got)
	}
	if !os.SameFile(first, look("orders", 9021)) {
		t.Error("a second look at the same chmpx wrote the file again")
	}
	again := &Prober{Command: p.Command, Dir: p.Dir, Timeout: p.Timeout}
	if _, err := again.Status(t.Context(), "orders", 9021); err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(first, look("orders", 9021)) {
		t.Error("a second prober wrote the same file again")
	}
	if os.SameFile(first, look("orders", 9022)) {
		t.Error("another port did not write the file")
	}
	if os.SameFile(look("orders", 9022), look("stock", 9022)) {
		t.Error("another group did not write the file")
	}
	fatal.If(t, os.Remove(probe))
	look("stock", 9022) // a lost file is written again
	left, err := filepath.Glob(filepath.Join(p.Dir, ".probe.ini.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func TestProbeText(t *testing.T) {
	tests := []struct {
		group string
		port  int
		want  []string
		not   string
	}{
		{"orders", 9021, []string{"GROUP = orders", "SELFCTLPORT = 9021", "MODE = SLAVE", "CTLPORT = 9021", "CTLPORT = 1"}, ""},
		{"orders", 1, []string{"SELFCTLPORT = 1", "CTLPORT = 2"}, ""},
		{"orders", 0, []string{"GROUP = orders"}, "SELFCTLPORT"},
		{"our shop #1", 9021, []string{`GROUP = "our shop #1"`}, ""},
		{`a"b\c'd`, 9021, []string{`GROUP = "a\"b\\c'd"`}, ""},
	}
	for _, tt := range tests {
		text, err := probeText(tt.group, tt.port)
		if err != nil {
			t.Errorf("%q %d: %v", tt.group, tt.port, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(string(text), "\n"+want+"\n") {
				t.Errorf("%q %d: no line %q in\n%s", tt.group, tt.port, want, text)
			}
		}
		if got := readBack(text, ini.Global, "GROUP"); got != tt.group {
			t.Errorf("chmpx reads the group %q as %q", tt.group, got)
		}
		if tt.not != "" && strings.Contains(string(text), tt.not) {
			t.Errorf("%q %d: has %q\n%s", tt.group, tt.port, tt.not, text)
		}
	}
	for _, group := range []string{"", "a/b", "a\nGROUP = b", "a\x00", " a", strings.Repeat("g", 239)} {
		if _, err := probeText(group, 9021); err == nil {
			t.Errorf("group %.20q was taken", group)
		}
	}
	for _, port := range []int{-1, 32768} {
		if _, err := probeText("orders", port); err == nil {
			t.Errorf("port %d was taken", port)
		}
	}
}

// readBack is the value chmpx takes a key of a section for.
func readBack(text []byte, section, key string) (value string) {
	for l := range ini.Lines(text) {
		if l.Kind == ini.Pair && l.Section == section && l.Key == key {
			value = l.Value
		}
	}
	return value
}

// BenchmarkLook is what a look costs besides chmpxstatus itself.
func BenchmarkLook(b *testing.B) {
	p := &Prober{Command: "/bin/true", Dir: b.TempDir()}
	if err := p.prepare("orders", 9021); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.ask(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
