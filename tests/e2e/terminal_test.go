package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is what somebody sees who runs a command on a terminal.
type terminal struct {
	keys *os.File // what is typed

	mu   sync.Mutex
	seen bytes.Buffer
	done chan struct{}
}

// onTerminal starts a command on a terminal of its own.
func onTerminal(tb testing.TB, cmd *exec.Cmd, columns, lines uint16) *terminal {
	tb.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		tb.Skipf("no terminal can be made here: %v", err)
	}
	tb.Cleanup(func() { keys.Close() })
	control, err := keys.SyscallConn()
	must(tb, err)
	var number int
	var failed error
	must(tb, control.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed != nil {
			return
		}
		if number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); failed != nil {
			return
		}
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns})
	}))
	must(tb, failed)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(tb, err)
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(tb, cmd.Start())
	t := &terminal{keys: keys, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		b := make([]byte, 4096)
		for {
			n, err := keys.Read(b)
			t.mu.Lock()
			t.seen.Write(b[:n])
			t.mu.Unlock()
			if err != nil { // the command has ended
				return
			}
		}
	}()
	return t
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ReplaceAll(t.seen.String(), "\r\n", "\n")
}

// end waits for the command's end and returns its exit status.
func (t *terminal) end(tb testing.TB, cmd *exec.Cmd) int {
	tb.Helper()
	_ = cmd.Wait()
	select {
	case <-t.done:
	case <-deadline(tb).Done():
		tb.Fatal("the terminal is still open")
	}
	return cmd.ProcessState.ExitCode()
}

// TestStatusOnATerminal: colours and the width are used there, and left where nobody wants them.
func TestStatusOnATerminal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		env    []string
		colour bool
	}{
		{"a terminal", []string{"TERM=xterm"}, true},
		{"NO_COLOR", []string{"TERM=xterm", "NO_COLOR=1"}, false},
		{"a dumb terminal", []string{"TERM=dumb"}, false},
		{"a terminal without a name", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			cmd := h.command(deadline(t), "status")
			cmd.Env = append(cmd.Env, tt.env...)
			screen := onTerminal(t, cmd, 60, 24)
			if status := screen.end(t, cmd); status != 3 {
				t.Errorf("exit status %d", status)
			}
			text := screen.text()
			if got := strings.Contains(text, "\x1b["); got != tt.colour {
				t.Errorf("colours: %v, want %v\n%q", got, tt.colour, text)
			}
			if !tt.colour {
				for line := range strings.Lines(text) {
					if len([]rune(line)) > 61 {
						t.Errorf("wider than 60 columns: %s", line)
					}
				}
			}
			if !strings.Contains(text, "failed: ") || !strings.Contains(text, "shown at") {
				t.Errorf("%q; want all of it, however low the terminal is", text)
			}
		})
	}
}

// TestStatusWatchOnATerminal: the screen is drawn over, and Ctrl-C ends it with status 0.
func TestStatusWatchOnATerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	h := newHost(t)
	cmd := h.command(deadline(t), "status", "--watch")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	screen := onTerminal(t, cmd, 100, 12)
	until(t, "a first screen", func() bool { return strings.Contains(screen.text(), "more") })
	write(t, h.output(), strings.ReplaceAll(s.Text(), "__SELF_INSTANCE_ID__", hostCUK))
	before := len(screen.text())
	until(t, "a screen without the condition of a missing file", func() bool {
		text := screen.text()[before:]
		return strings.Count(text, "\x1b[H") > 1 && !strings.Contains(text[strings.LastIndex(text, "\x1b[H"):], "no_file")
	})
	_, err := io.WriteString(screen.keys, "\x03")
	must(t, err)
	if status := screen.end(t, cmd); status != 0 {
		t.Errorf("exit status %d after Ctrl-C, want 0", status)
	}
	for _, page := range strings.Split(screen.text(), "\x1b[H")[1:] {
		if n := strings.Count(page, "\n"); n >= 12 {
			t.Errorf("%d lines on 12: it scrolls\n%q", n, page)
			break
		}
	}
}
