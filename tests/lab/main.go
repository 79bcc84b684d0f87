// Command lab shows the agent at work on one machine, with nothing installed: a
// K2HR3 stand-in and a chmpx stand-in on loopback, and the real agent between
// them. Three servers join, one leaves, a RESOURCE is broken and mended. It
// prints what happens as a timeline, and exits with status 0 only if every step
// came out right.
//
//	go run ./tests/lab
//	go run ./tests/lab --keep     stays up to play with
//	go run ./tests/lab --stock    a K2HR3 that does not hold requests: the
//	                              agent goes by what chmpx learns from the ring
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// limit is how long the whole show may take.
const limit = 2 * time.Minute

func main() {
	keep := pflag.Bool("keep", false, "leave everything running to play with")
	stock := pflag.Bool("stock", false, "a K2HR3 that does not hold requests")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *keep, *stock)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep, stock bool) error {
	l, err := newLab(ctx, stock)
	if err != nil {
		return err
	}
	defer l.close()
	show, cancel := context.WithTimeout(ctx, limit)
	err = l.show(show)
	cancel()
	if err != nil {
		return err
	}
	if keep {
		return l.play(ctx, os.Stdin)
	}
	return l.end()
}
