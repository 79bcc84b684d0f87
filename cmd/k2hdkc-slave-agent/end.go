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

// busy names what the goroutines of this program are in: "render.File.Stage (os.(*File).Sync)".
// Unlike a dump of the stacks it shows nothing of the memory.
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
	return list
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
