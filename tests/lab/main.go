// Command lab shows the agent at work on one machine, with nothing installed but
// Go: a K2HR3 stand-in and a chmpx stand-in on loopback, and the real agent
// between them. Three servers join, one leaves, a RESOURCE is broken and mended.
// It prints what happens as a timeline, and exits with status 0 only if every step
// came out right.
//
//	go run ./tests/lab
//	go run ./tests/lab --keep     stays up to play with
//	go run ./tests/lab --stock    a K2HR3 that does not hold requests: the
//	                              agent goes by what chmpx learns from the ring
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"k2hdkc-slave-agent/tests/need"
)

// limit is how long the story may take. It takes some seconds.
const limit = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := command(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// command runs a command line and returns its exit status.
func command(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(out, usage())
		return 0
	case err != nil:
		fmt.Fprintf(errs, "lab: %v\n%s", err, usage())
		return 2
	}
	switch {
	case os.Getenv(envInside) != "":
		if err = enter(); err == nil {
			err = run(ctx, o, in, out)
		}
	case need.HasAddress():
		err = run(ctx, o, in, out)
	default:
		fmt.Fprintln(out, "this machine has no address but the loopback's; chmpx needs one, so the lab gets a network of its own")
		err = elsewhere(ctx, args)
	}
	var said *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &said):
		return said.status
	}
	fmt.Fprintln(errs, "lab:", err)
	return 1
}

// choices are what the command line says.
type choices struct{ keep, stock bool }

func flags(o *choices) *pflag.FlagSet {
	f := pflag.NewFlagSet("lab", pflag.ContinueOnError)
	f.Usage = func() {}
	f.BoolVar(&o.keep, "keep", false, "leave everything running to play with")
	f.BoolVar(&o.stock, "stock", false, "a K2HR3 that does not hold requests, as the one of today")
	return f
}

func parse(args []string) (choices, error) {
	var o choices
	f := flags(&o)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("there is no argument %q", f.Arg(0))
	}
	return o, nil
}

func usage() string {
	return "usage: go run ./tests/lab [--keep] [--stock]\n" + flags(new(choices)).FlagUsages()
}

// run is the lab from its beginning to its end.
func run(ctx context.Context, o choices, in io.Reader, out io.Writer) error {
	l, err := newLab(out)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.show(ctx, o.stock); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted; what was started has ended")
		}
		return err
	}
	if o.keep {
		return l.play(ctx, in)
	}
	if err := l.end(); err != nil {
		return err
	}
	l.say("\nEvery step came out right. --keep leaves it running to play with.")
	return nil
}

// show builds and starts everything, and shows the story.
func (l *lab) show(ctx context.Context, stock bool) error {
	if err := l.build(ctx); err != nil {
		return err
	}
	if err := l.start(stock); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	return l.story(ctx)
}
