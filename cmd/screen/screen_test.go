package screen_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/cmd/glance"
	"k2hdkc-slave-agent/cmd/screen"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/fatal"
)

var update = flag.Bool("update", false, "write the screens that the tests compare with, here and in docs/status.md")

// nobody is the user that may read no more than everybody.
const nobody = 65534

// see takes a look at a state, as the verb status does.
func (s state) see(dir string) status.Document {
	if s.unreadable && os.Geteuid() == 0 {
		// On this thread alone, and for files alone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_ = unix.Setfsuid(nobody)
		defer unix.Setfsuid(0)
	}
	d, _ := status.Look(dir, now)
	for i := range d.Conditions {
		d.Conditions[i].Message = strings.ReplaceAll(d.Conditions[i].Message, dir, "/run/k2hdkc-slave-agent")
	}
	s.look.Add(context.Background(), &d, now)
	return d
}

// seen is the document of a state, looked at in a run-dir of its own.
func (s state) seen(t *testing.T) status.Document {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	s.prepare(t, dir)
	return s.see(dir)
}

// TestScreens holds each state against its golden file in testdata, on screens of all kinds.
func TestScreens(t *testing.T) {
	byName := map[string]state{}
	for _, s := range states() {
		byName[s.name] = s
		script := filepath.Join("testdata", s.name+".txtar")
		if _, err := os.Stat(script); err != nil && *update {
			fatal.If(t, os.WriteFile(script, []byte(newScript(s.name)), 0o644))
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			name := strings.TrimSuffix(filepath.Base(env.Getenv("WORK")), filepath.Ext(env.Getenv("WORK")))
			name = strings.TrimPrefix(name, "script-")
			s, ok := byName[name]
			if !ok {
				return fmt.Errorf("there is no state %q", name)
			}
			dir := filepath.Join(t.TempDir(), "run")
			s.prepare(t, dir)
			env.Values["dir"], env.Values["state"] = dir, s
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": statusCommand},
	})
}

func newScript(name string) string {
	var files strings.Builder
	for _, f := range []string{"wide", "narrow", "colour", "brief", "json"} {
		fmt.Fprintf(&files, "-- %s --\n", f)
	}
	return "# The state " + name + ".\nstatus wide 100\ncmp stdout wide\nstatus narrow 60\ncmp stdout narrow\n" +
		"status colour 100\ncmp stdout colour\nstatus brief\ncmp stdout brief\nstatus json\ncmp stdout json\n" + files.String()
}

// statusCommand shows the script's state. It writes the escapes of colours so that they can be
// read.
func statusCommand(ts *testscript.TestScript, _ bool, args []string) {
	s, dir := ts.Value("state").(state), ts.Value("dir").(string)
	d := s.see(dir)
	sc := screen.Screen{Now: now}
	if len(args) > 1 {
		width, err := strconv.Atoi(args[1])
		ts.Check(err)
		sc.Width = width
	}
	var text string
	switch args[0] {
	case "colour":
		sc.Colour = true
		text = strings.ReplaceAll(sc.Text(d), "\x1b", "␛")
	case "brief":
		text = sc.Brief(d)
	case "json":
		b, err := screen.JSON(d)
		ts.Check(err)
		text = string(b)
	default:
		text = sc.Text(d)
	}
	fmt.Fprintf(ts.Stdout(), "%s", text)
}

// TestNothingOfAnOutsiderMovesTheCursor looks at every screen of every state.
func TestNothingOfAnOutsiderMovesTheCursor(t *testing.T) {
	for _, s := range states() {
		d := s.seen(t)
		object, err := screen.JSON(d)
		fatal.If(t, err)
		line, err := screen.JSONLine(d)
		if err != nil || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%s: %d lines, %v; want one", s.name, bytes.Count(line, []byte("\n")), err)
		}
		for _, text := range []string{
			screen.Screen{Now: now}.Text(d), screen.Screen{Now: now, Width: 60}.Text(d), screen.Screen{Now: now}.Brief(d),
			string(object), string(line),
		} {
			for _, r := range text {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s: %q in\n%s", s.name, r, text)
					break
				}
			}
		}
	}
}

// TestLinesFitTheScreen: nothing is wider than the screen, whatever its width.
func TestLinesFitTheScreen(t *testing.T) {
	for _, s := range states() {
		d := s.seen(t)
		for _, width := range []int{60, 72, 80, 100, 200} {
			for line := range strings.Lines(screen.Screen{Now: now, Width: width}.Text(d)) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
					t.Errorf("%s: %d columns on %d: %s", s.name, n, width, line)
				}
			}
		}
	}
}

// TestRedrawFitsTheScreen: a screen that is drawn over never scrolls.
func TestRedrawFitsTheScreen(t *testing.T) {
	d := *healthy(200)
	for _, height := range []int{3, 10, 24, 60} {
		text := screen.Screen{Now: now, Width: 80, Redraws: true, Height: height}.Redraw(d)
		if n := strings.Count(text, "\n"); n >= height {
			t.Errorf("%d lines on %d", n, height)
		}
	}
}

// TestReady: how K2HR3 is does not matter.
func TestReady(t *testing.T) {
	ready := map[string]bool{}
	for _, s := range states() {
		ready[s.name] = glance.Ready(s.seen(t), now)
	}
	for name, want := range map[string]bool{
		"healthy-held": true, "healthy-polled": true, "k2hr3-unreachable": true, "resource-refused": true, "permissions": true,
		"chmpx-unseen": true, "stopped": true, "hung": true, "never-ran": true, "older-status": true, "server-down": true,
		"first-minute": false, "no-server": false, "not-configured": false, "chmpx-down": false, "revision-unconfirmed": false,
		"killed": false, "no-run-dir": false, "unreadable-run-dir": false, "other-chmpx": false,
		"half-connected": false, "stopped-half-connected": false,
	} {
		if ready[name] != want {
			t.Errorf("%s: ready %v, want %v", name, ready[name], want)
		}
	}
}

func TestSameLeavesTimesAside(t *testing.T) {
	a, b := *healthy(3), *healthy(3)
	b.WrittenAt, b.Agent.AliveAt, b.K2HR3.LastOK, b.K2HR3.AskingSince = now, now, now, now
	if !screen.Same(a, b) {
		t.Error("a sign of life is shown as a change")
	}
	b.Chmpx.PID++
	if screen.Same(a, b) {
		t.Error("another chmpx is not shown as a change")
	}
}
