package awaitchmpx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/render/regularfile"
)

// Name is what chmpx's unit calls the program.
const Name = "await-chmpx"

const usage = `usage: await-chmpx FILE [SECONDS]

Waits until the running chmpx has applied the configuration FILE. Exit status: 0 it
has; 1 not within SECONDS (30), or it has ended; 2 wrong arguments. With MAINPID in
the environment, as systemd sets it, the end of that process is the end of chmpx.
`

// Main waits as args say and returns the exit status. A signal that ends programs
// ends this one, too, as soon as it has cleaned up: systemd sends one when chmpx's
// unit is stopped meanwhile, and its unit counts that as success.
func Main(args []string) int {
	w, err := parse(args, os.Getenv("MAINPID"))
	if err != nil {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	log := service.ProgramLog(Name, os.Stderr)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.probe(ctx) }()
	select {
	case err = <-ended:
	case s := <-signals:
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			notLoaded(log, err)
		}
		return die(s)
	}
	if err != nil {
		notLoaded(log, err)
		return 1
	}
	return 0
}

func notLoaded(log *slog.Logger, err error) {
	log.Error("chmpx has not loaded slave.ini; the reload of its unit fails", "error", err)
}

// parse reads the arguments.
func parse(args []string, mainPID string) (wait, error) {
	w := wait{limit: 30 * time.Second, alive: alive}
	if len(args) < 1 || len(args) > 2 {
		return w, fmt.Errorf("%d arguments", len(args))
	}
	w.file = args[0]
	w.pid, _ = strconv.Atoi(mainPID) // systemd's
	if len(args) == 2 {
		seconds, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil {
			return w, err
		}
		w.limit = time.Duration(seconds) * time.Second
	}
	return w, nil
}

// probe looks with the agent's status-command and a probe file of its own: the one
// of the agent is not there without it, nor for every user to write.
func (w wait) probe(ctx context.Context) error {
	a, _ := agentunit.Read(regularfile.Dir("/")) // the agent says what is wrong
	dir, err := os.MkdirTemp("", Name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	command := cmp.Or(a.Options.StatusCommand, "chmpxstatus") // an empty one is about the agent's own looks
	w.look = (&daemon.Prober{Command: command, Dir: dir}).Status
	return w.run(ctx)
}

// die ends the program by a signal, as if it had been ready for none.
func die(s os.Signal) (status int) {
	signal.Reset(s)
	if n, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), n)
		time.Sleep(time.Second) // it comes when it comes
	}
	return 1
}
