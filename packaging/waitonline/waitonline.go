// Package waitonline waits until applications can use the cluster by this host's chmpx. It is
// what k2hdkc-slave-online.target waits for. It goes by what the agent writes of itself, looks at
// nothing itself, and needs no right but to read that.
package waitonline

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k2hdkc-slave-agent/cmd/glance"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/render/regularfile"
)

// Name is what the unit calls the program.
const Name = "wait-online"

// pause is how often it looks without a change: the run-dir may not be there yet, and some things
// count only once they have lasted.
const pause = time.Second

const usage = `usage: wait-online

Waits until a good slave.ini is in place, chmpx runs it and is connected to every server that is
up, as the agent sees it. Exit status: 0 so it is; 1 it was ended before; 2 wrong arguments.
`

// Main does what args say and returns the exit status.
func Main(args []string) int {
	if len(args) != 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	agent, _ := agentunit.Read(regularfile.Dir("/")) // whatever is wrong there: the run-dir has its default
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, agent.Options.RunDir, os.Stderr); err != nil {
		return 1
	}
	return 0
}

// run returns nil once nothing is missing, and ctx's error if that ends first. It says what it
// waits for whenever that is something else.
func run(ctx context.Context, dir string, out io.Writer) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var changes <-chan struct{}
	said := ""
	for {
		if changes == nil {
			if _, err := os.Stat(dir); err == nil {
				changes = status.Changes(ctx, dir)
			}
		}
		now := time.Now()
		d, _ := status.Look(dir, now) // its conditions say what is wrong
		missing := glance.Offline(d, now)
		if missing == "" {
			return nil
		}
		if missing != said {
			said = missing
			fmt.Fprintf(out, "waiting for %s\n", missing)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
		case <-tick.C:
		}
	}
}
