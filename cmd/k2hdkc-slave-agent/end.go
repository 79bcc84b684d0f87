package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// lastCall is how long after a signal the orderly end may take. With lastFlush it is less than
	// the second within which the agent has ended, whatever hangs: a disk, a name service, a
	// program that cannot be killed. slave.ini is only ever renamed, so the agent may end at any
	// moment.
	lastCall = 500 * time.Millisecond

	// flushLimit is how long the end of the daemon waits for whoever reads its log, and lastFlush
	// how long a forced end does.
	flushLimit = 300 * time.Millisecond
	lastFlush  = 100 * time.Millisecond
)

// insist ends the program by exit if it is still there lastCall later, and says what it was busy
// with, unless the saying hangs too.
func (p *program) insist(exit func(status int)) {
	time.Sleep(lastCall)
	const message = "the agent did not end in time after the signal, and exits now; slave.ini is whole"
	at := strings.Join(busy(), "; ")
	ctx, cancel := context.WithTimeout(context.Background(), lastFlush)
	defer cancel()
	said := make(chan struct{})
	go func() {
		defer close(said)
		if log := p.out.log.Load(); log != nil {
			log.Error(message, "busy", at)
		} else {
			p.note("%s: busy with %s", message, at)
		}
		p.out.flush(ctx)
	}()
	select {
	case <-said:
	case <-ctx.Done():
	}
	if p.daemon.Load() {
		exit(0)
		return
	}
	exit(1)
}

// flush gives whoever reads the messages time to read the last ones: the daemon, and whoever was
// sent a signal, a moment, as it must not be kept from ending; a person as long as it takes.
func (p *program) flush(ctx context.Context) {
	if p.daemon.Load() || ctx.Err() != nil {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
		defer cancel()
		ctx = limited
	}
	p.out.flush(ctx)
}

// module is what the names of this program's own functions begin with.
const module = "k2hdkc-slave-agent/"

// limitOf is how long a verb that scripts and probes run may take to find what it tells, whatever
// hangs; 0: it waits for others by its nature, and ends on a signal.
func limitOf(verb string) time.Duration {
	switch verb {
	case "status", "doctor": // which promises ten seconds
		return 9500 * time.Millisecond
	case "check": // chmpx's programs have ten seconds each
		return time.Minute
	case "bugreport": // until it begins to write
		return time.Minute
	}
	return 0
}

// limited gives a verb from now on no longer than its limit, until unlimited.
func (p *program) limited(verb string) {
	if limit := limitOf(verb); limit > 0 && p.exit != nil {
		p.limit = time.AfterFunc(limit, func() { p.giveUp(verb) })
	}
}

// unlimited: the verb waits for a person from now on, or for whoever reads what it has found.
func (p *program) unlimited() {
	if p.limit != nil {
		p.limit.Stop()
	}
}

// giveUp ends a verb that is over its limit, and says what it was busy with.
func (p *program) giveUp(verb string) {
	p.note("%s gives up after %v: something that it looks at hangs, as a file system does whose server is gone; "+
		"mend or unmount (umount -l) it; busy with %s", verb, limitOf(verb), strings.Join(busy(), "; "))
	ctx, cancel := context.WithTimeout(context.Background(), lastFlush)
	defer cancel()
	p.out.flush(ctx)
	p.exit(1)
}

// busy names the files that this program waits for, and what its goroutines are in, as
// "render.File.Stage (os.(*File).Sync)". Unlike a dump of the stacks it shows nothing else of the
// memory.
func busy() []string {
	records := make([]runtime.StackRecord, 1000)
	n, _ := runtime.GoroutineProfile(records)
	var list []string
	for _, r := range records[:min(n, len(records))] {
		if at := busyAt(r.Stack()); at != "" && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	slices.Sort(list)
	return append(hanging(), list...)
}

// busyAt names the innermost function of this program on a stack, and the one of a library that it
// has called; empty if there is none, or if it is the one that asks.
func busyAt(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	library := ""
	for {
		f, more := frames.Next()
		name, own := strings.CutPrefix(f.Function, module)
		switch {
		case strings.HasSuffix(f.Function, ".busy"):
			return ""
		case own || strings.HasPrefix(f.Function, "main."):
			if library != "" {
				return fmt.Sprintf("%s (%s)", name, library)
			}
			return name
		case !isRuntime(f.Function):
			library = f.Function
		}
		if !more {
			return ""
		}
	}
}

// isRuntime: the function is one that each goroutine that waits is in.
func isRuntime(function string) bool {
	return slices.ContainsFunc([]string{"runtime.", "internal/", "syscall.", "sync."}, func(prefix string) bool {
		return strings.HasPrefix(function, prefix)
	})
}
