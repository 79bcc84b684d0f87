package e2e

import (
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

// Whoever reads a result may go before its end, and a terminal may close: what the verb has in
// TMPDIR goes, too.
func TestAVerbWhoseReaderGoesLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	for _, verb := range []string{"doctor", "check", "status", "bugreport"} {
		h := newHost(t)
		write(t, h.output(), "[GLOBAL]\n")
		fatal.If(t, os.Mkdir(h.path("tmp"), 0o700))
		cmd := h.command(deadline(t), append([]string{verb}, s.args()...)...)
		cmd.Env = append(cmd.Env, "TMPDIR="+h.path("tmp"))
		reader, writer, err := os.Pipe()
		fatal.If(t, err)
		fatal.If(t, reader.Close())
		cmd.Stdout = writer
		fatal.If(t, cmd.Start())
		fatal.If(t, writer.Close())
		_ = cmd.Wait()
		if got := cmd.ProcessState; got.ExitCode() != 128+int(syscall.SIGPIPE) {
			t.Errorf("%s: %v, want %d as in a shell", verb, got, 128+int(syscall.SIGPIPE))
		}
		if left := names(t, h.path("tmp")); len(left) != 0 {
			t.Errorf("%s leaves %q", verb, left)
		}
	}
}

func TestAVerbWhoseTerminalClosesLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	fatal.If(t, err)
	defer silent.Close()
	h := newHost(t)
	fatal.If(t, os.Mkdir(h.path("tmp"), 0o700))
	cmd := h.command(deadline(t), append([]string{"doctor"}, s.args("--api-uri", "http://"+silent.Addr().String())...)...)
	cmd.Env = append(cmd.Env, "TMPDIR="+h.path("tmp"))
	// Under nohup it would be ignored, and the verb ignore it, too.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	fatal.If(t, cmd.Start())
	until(t, "doctor has its folder", func() bool { return len(names(t, h.path("tmp"))) != 0 })
	fatal.If(t, cmd.Process.Signal(syscall.SIGHUP))
	_ = cmd.Wait()
	if got := cmd.ProcessState; got.ExitCode() != 128+int(syscall.SIGHUP) {
		t.Errorf("%v, want %d as in a shell", got, 128+int(syscall.SIGHUP))
	}
	if left := names(t, h.path("tmp")); len(left) != 0 {
		t.Errorf("doctor leaves %q", left)
	}
}
