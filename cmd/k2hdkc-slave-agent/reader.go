package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// goneError says which signal told that whoever reads the result of a verb has gone.
type goneError struct{ by syscall.Signal }

func (e goneError) Error() string { return fmt.Sprintf("nobody reads the result any more: %v", e.by) }

// status is what a shell says of a program that such a signal has ended.
func (e goneError) status() int { return 128 + int(e.by) }

// whileRead runs a verb until it ends or its reader goes, as in doctor | head, or its terminal. Go
// would end the program in the midst of the write then, and what the verb has in TMPDIR would stay.
func whileRead(ctx context.Context, verb func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals, gone := make(chan os.Signal, 1), make(chan os.Signal)
	signal.Notify(signals, syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		s := <-signals
		cancel()
		gone <- s
	}()
	err := verb(ctx)
	signal.Stop(signals) // waits for one that is on its way
	close(signals)
	if s, ok := (<-gone).(syscall.Signal); ok {
		return goneError{s}
	}
	return err
}
