package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"

	"golang.org/x/sys/unix"
)

// patience is more than any shell needs to start and to complete.
const patience = 30 * time.Second

// terminal is an interactive shell that somebody types into. The shell answers
// through a pipe of its own, apart from what it draws on the screen.
type terminal struct {
	t       *testing.T
	keys    *os.File
	answers *os.File

	mu     sync.Mutex
	screen bytes.Buffer
}

// open starts a shell in a folder, with a home that holds one file. The variable
// ANSWERS of the shell names the pipe; an answer is lines and then a dot.
func open(t *testing.T, dir, rc, setup string, argv ...string) *terminal {
	t.Helper()
	need.Programs(t, argv[0])
	path, err := exec.LookPath(argv[0])
	fatal.If(t, err)
	home := t.TempDir()
	fatal.If(t, os.WriteFile(filepath.Join(home, rc), []byte(setup), 0o644))
	pipe := filepath.Join(t.TempDir(), "answers")
	fatal.If(t, unix.Mkfifo(pipe, 0o600))
	answers, err := os.OpenFile(pipe, os.O_RDWR|unix.O_NONBLOCK, 0)
	fatal.If(t, err)
	keys, tty := pseudoTerminal(t)
	cmd := exec.Command(path, argv[1:]...)
	cmd.Dir = dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home,
		"TERM=dumb", "LC_ALL=C.UTF-8", "ANSWERS=" + pipe,
	}
	fatal.If(t, cmd.Start())
	tty.Close()
	term := &terminal{t: t, keys: keys, answers: answers}
	drawn := make(chan struct{})
	go func() {
		defer close(drawn)
		io.Copy(term, keys)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		keys.Close()
		<-drawn
		answers.Close()
	})
	return term
}

// Write draws on the screen.
func (term *terminal) Write(b []byte) (int, error) {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.Write(b)
}

func (term *terminal) typed(keys string) {
	term.t.Helper()
	if _, err := io.WriteString(term.keys, keys); err != nil {
		term.t.Fatal(err)
	}
}

// answer is the next answer of the shell, by lines.
func (term *terminal) answer() []string {
	term.t.Helper()
	term.answers.SetReadDeadline(time.Now().Add(patience))
	var text []byte
	b := make([]byte, 1)
	for !bytes.HasSuffix(text, []byte("\n.\n")) && string(text) != ".\n" {
		if _, err := term.answers.Read(b); err != nil {
			term.mu.Lock()
			defer term.mu.Unlock()
			term.t.Fatalf("no answer: %v; it said %q, the screen is\n%s", err, text, &term.screen)
		}
		text = append(text, b...)
	}
	lines := strings.Split(string(text), "\n")
	return lines[:len(lines)-2]
}

// pseudoTerminal is a terminal: where its keys are typed, and where a program
// reads them.
func pseudoTerminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		need.Missing(t, fmt.Errorf("no terminal can be made here: %w", err))
	}
	control, err := keys.SyscallConn()
	fatal.If(t, err)
	var number int
	var failed error
	err = control.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed != nil {
			return
		}
		if number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); failed != nil {
			return
		}
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 500, Col: 200})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	fatal.If(t, err)
	return keys, tty
}
