package conftest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/tool"
	"k2hdkc-slave-agent/tests/actor"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestMain(m *testing.M) { actor.Main(m, actors) }

// actors are odd checkers.
var actors = map[string]func(){
	"arguments": func() {
		fmt.Fprintln(os.Stderr, "[ERR] absolute:", filepath.IsAbs(os.Args[2]), strings.Join(os.Args[1:], " "))
	},
	"loads-and-fails": func() {
		fmt.Println("configuration{")
		os.Exit(1)
	},
	"loads-and-hangs": func() {
		fmt.Println("configuration{\n\tGROUP = orders")
		actor.Sleep()
	},
	"loads-and-floods": func() {
		fmt.Println("configuration{")
		actor.Flood(os.Stdout)
	},
	"floods":   func() { actor.Flood(os.Stdout) },
	"hangs":    actor.Sleep,
	"mute":     func() {},
	"mentions": func() { fmt.Println("# configuration{ would have been here") },
	"notes":    func() { fmt.Println("[NOTICE]\nThere is nothing to see.") },
	"complains": func() {
		fmt.Fprintln(os.Stderr, "[CHMPX-WAN] Load(1) : a warning.")
		for i := range 1000 {
			fmt.Fprintf(os.Stderr, "[CHMPX-ERR] Load(%d) : \x1b[31mwrong\xff in %s, %s.\n", i, os.Args[2], strings.Repeat("very ", 50))
		}
	},
	"complains-to-all": func() { fmt.Println("[CHMPX-ERR] no function here") },
}

func checker(t *testing.T, name string) Checker {
	t.Helper()
	return Checker{Command: actor.Program(t, name), Timeout: 30 * time.Second}
}

// good is a file that loads anywhere.
const good = `[GLOBAL]
FILEVERSION = 3
GROUP = orders
MODE = SLAVE
DELIVERMODE = HASH
SELFCTLPORT = 9021
[SVRNODE]
NAME = 192.0.2.31
PORT = 9030
CTLPORT = 9031
[SLVNODE]
NAME = localhost
CTLPORT = 9021
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	fatal.If(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// checkers are the stand-in and, where it is installed, the real chmpxconftest.
func checkers(t *testing.T) map[string]Checker {
	t.Helper()
	list := map[string]Checker{"stand-in": {Command: fakechmpx.BuildT(t).Conftest}}
	if path, err := exec.LookPath("chmpxconftest"); err == nil {
		list["installed"] = Checker{Command: path}
	} else {
		t.Log("chmpxconftest is not installed; the stand-in alone is asked")
	}
	return list
}

func TestVerdicts(t *testing.T) {
	t.Setenv(fakechmpx.EnvState, t.TempDir())
	tests := []struct {
		name, file, text string
		refused          string // part of the reason; "any" for one there is no telling of; empty: loads
	}{
		{"good", "slave.ini", good, ""},
		{"hidden, as staged", ".slave.next.ini", good, ""},
		{"loads, but could not start", "slave.ini", strings.Replace(good, "GROUP = orders", "GROUP =", 1), ""},
		{"does not list this host", "slave.ini", strings.Replace(good, "localhost", "^no-such-host$", 1), ""},
		{"no GROUP", "slave.ini", strings.Replace(good, "GROUP = orders\n", "", 1), "GROUP"},
		{"no server", "slave.ini", strings.Replace(good, "[SVRNODE]", "[NONE]", 1), "any"},
		{"empty", "slave.ini", "", "any"},
		{"an HTML page", "slave.ini", "<html><body>try again later</body></html>\n", "any"},
	}
	for name, c := range checkers(t) {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				path := write(t, tt.file, tt.text)
				err := c.Check(t.Context(), path)
				if tt.refused == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				var refused *RefusedError
				if !errors.As(err, &refused) {
					t.Fatalf("error %v, want a *RefusedError", err)
				}
				if refused.Said == "" || tt.refused != "any" && !strings.Contains(refused.Said, tt.refused) {
					t.Errorf("said %q", refused.Said)
				}
				if strings.Contains(refused.Said, filepath.Dir(path)) || strings.ContainsAny(refused.Said, "\n\x1b") {
					t.Errorf("said %q", refused.Said)
				}
			})
		}
		// These it cannot read, which is no verdict.
		for what, path := range map[string]string{
			"no such file":               filepath.Join(t.TempDir(), "slave.ini"),
			"a name chmpx does not take": write(t, "slave.conf", good),
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				var refused *RefusedError
				if err := c.Check(t.Context(), path); err == nil || errors.As(err, &refused) {
					t.Errorf("error %v, want no verdict", err)
				}
			})
		}
	}
}

func TestOddCheckers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		actor   string
		set     func(*Checker)
		is      error  // nil, with no refusal: loads
		refused string // part of the reason
	}{
		{"loads-and-fails", nil, nil, ""},
		{"loads-and-hangs", func(c *Checker) { c.Timeout = time.Second }, nil, ""},
		{"loads-and-floods", nil, nil, ""},
		{"floods", nil, tool.ErrTooMuch, ""},
		{"hangs", func(c *Checker) { c.Timeout = 100 * time.Millisecond }, ErrTimeout, ""},
		{"mute", nil, errSilent, ""},
		{"mentions", nil, errSilent, ""},
		{"notes", nil, nil, "no reason"},
		{"complains-to-all", nil, nil, "no function here"},
		{"mute", func(c *Checker) { c.Command = "" }, ErrNotInstalled, ""},
		{"mute", func(c *Checker) { c.Command = "no-such-chmpxconftest" }, ErrNotInstalled, ""},
	}
	for _, tt := range tests {
		c := checker(t, tt.actor)
		if tt.set != nil {
			tt.set(&c)
		}
		t.Run(tt.actor+" "+filepath.Base(c.Command), func(t *testing.T) {
			t.Parallel()
			err := c.Check(t.Context(), write(t, "slave.ini", good))
			var refused *RefusedError
			switch errors.As(err, &refused) {
			case true:
				if tt.refused == "" || !strings.Contains(refused.Said, tt.refused) {
					t.Errorf("refused: %v", err)
				}
			case false:
				if tt.refused != "" || !errors.Is(err, tt.is) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

// brokenCheckers are chmpxconftests that give no verdict, by what they are.
func brokenCheckers(t *testing.T) map[string]string {
	t.Helper()
	file := func(text string, mode os.FileMode) string {
		path := write(t, "chmpxconftest", text)
		fatal.If(t, os.Chmod(path, mode))
		return path
	}
	script := func(text string) string { return file("#!/bin/sh\n"+text+"\n", 0o700) }
	return map[string]string{
		"libraries are missing":       script("echo 'error while loading shared libraries: libchmpx.so.1' >&2; exit 127"),
		"a wrapper around nothing":    script("exec /no/such/chmpxconftest"),
		"a wrapper around a folder":   script("exec /"),
		"another architecture":        file("\x7fELF\x01\x02\x01"+strings.Repeat("\x00", 200), 0o700),
		"no interpreter":              file("#!/no/such/interpreter\n", 0o700),
		"not executable":              file("", 0o600),
		"killed, for want of memory":  script("kill -KILL $$"),
		"crashes over every file":     script("kill -SEGV $$"),
		"an instruction it lacks":     script("kill -ILL $$"),
		"says nothing":                script("exit 0"),
		"says nothing and fails":      script("exit 3"),
		"does not know an option":     script("echo '[ERR] unknown option -no_check_update'; exit 1"),
		"cannot read the file":        script("echo '[CHMPX-ERR] Load(1) : could not read the file.' >&2; exit 1"),
		"talks of other things":       script("echo 'chmpx 2.0, see the manual'"),
		"complains and is killed":     script("echo '[CHMPX-ERR] Load(1) : wrong.' >&2; kill -TERM $$"),
		"says so of its own accord":   script("echo '# configuration{ is what I would say'"),
		"needs another C library":     script("echo \"version 'GLIBC_2.99' not found\" >&2; exit 1"),
		"keeps its output open after": script("setsid sleep 2 &"),
	}
}

func TestNoVerdictIsNoRefusal(t *testing.T) {
	t.Parallel()
	path := write(t, "slave.ini", good)
	for name, program := range brokenCheckers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			c := Checker{Command: program, Timeout: 20 * time.Second}
			var refused *RefusedError
			if err := c.Check(t.Context(), path); err == nil || errors.As(err, &refused) {
				t.Fatalf("%v, want no verdict", err)
			}
			o := Opinion{Checker: c, Log: slog.New(slog.NewTextHandler(&log, nil))}
			for range 3 {
				if err := o.Check(t.Context(), path); err != nil {
					t.Errorf("the file is refused: %v", err)
				}
			}
			if n := strings.Count(log.String(), "level=WARN"); n != 1 || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("said %d times:\n%s", n, log.String())
			}
		})
	}
}

// A loader that crashes over this file alone would take chmpx with it.
func TestACrashOverThisFileAloneIsARefusal(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{"SEGV", "ABRT", "BUS", "FPE"} {
		program := write(t, "chmpxconftest", "#!/bin/sh\ngrep -q 'GROUP = sample' $2 || kill -"+signal+" $$\necho 'configuration{'\n")
		fatal.If(t, os.Chmod(program, 0o700))
		var refused *RefusedError
		if err := (Checker{Command: program}).Check(t.Context(), write(t, "slave.ini", good)); !errors.As(err, &refused) || !strings.Contains(refused.Said, "it crashes (signal: ") {
			t.Errorf("%s: %v, want a refusal", signal, err)
		}
	}
	for name, c := range checkers(t) {
		if err := c.Check(t.Context(), write(t, "sample.ini", sample)); err != nil {
			t.Errorf("%s does not load the sample: %v", name, err)
		}
	}
}

func TestTheReasonsAreShortAndPlain(t *testing.T) {
	t.Parallel()
	path := write(t, "slave.ini", good)
	err := checker(t, "complains").Check(t.Context(), path)
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	said := refused.Said
	if !strings.HasPrefix(said, "?[31mwrong? in slave.ini, very ") || !strings.HasSuffix(said, "...") || len(said) != maxSaid {
		t.Errorf("%d bytes: %q", len(said), said)
	}
	if want := "complains does not load it: " + said; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	err := checker(t, "arguments").Check(t.Context(), "{odd.ini")
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	if want := "absolute: true -conf {odd.ini -no_check_update -d err"; refused.Said != want {
		t.Errorf("called with %q (the path cut to its name), want %q", refused.Said, want)
	}
}
