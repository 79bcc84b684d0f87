// Command k2hdkc-slave-agent keeps the chmpx of a K2HDKC slave node right: it
// makes the host a member of the cluster's slave role in K2HR3, follows the
// cluster's RESOURCE there, and replaces slave.ini when servers join or leave.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"k2hdkc-slave-agent/cmd/lifecycle"
	"k2hdkc-slave-agent/cmd/metrics"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/host"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// init keeps main on the first thread of the process, and all else off it. The kernel wakes that
// one for a signal, and no other one where it waits for a file system that hangs: SIGTERM may wait
// as long.
func init() { runtime.LockOSThread() }

func main() {
	go begin(catchHangup(os.Args))
	select {}
}

// begin runs the command, and ends the process.
func begin(hangup <-chan os.Signal) {
	tz, set := os.LookupEnv("TZ")
	name := filepath.Base(os.Args[0])
	if other, ok := otherNames()[name]; ok {
		if err := useZone(context.Background(), tz, set); err != nil {
			service.ProgramLog(name, os.Stderr).Warn(zoneWrong, "error", err)
		}
		os.Exit(other(os.Args[1:]))
	}
	// SIGQUIT too: Go would print the program's stacks on it, and what a service prints stays in
	// the journal. On SIGABRT, which systemd's watchdog sends, it still does: nobody types that.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	p := program{
		stdin: os.Stdin, stdout: os.Stdout, system: options.ThisSystem(), exit: os.Exit,
		zone: useZone(ctx, tz, set), hangup: hangup,
	}
	p.stderr = p.out.attach(os.Stderr)
	context.AfterFunc(ctx, func() { p.insist(os.Exit) })
	status := p.main(ctx, os.Args[1:])
	p.flush(ctx)
	os.Exit(status)
}

// program is one run of the command, with everything it touches.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	out            outlet
	daemon         atomic.Bool      // this is the verb run
	exit           func(status int) // ends the process; nil: it is not this program's to end
	limit          *time.Timer      // that ends the verb; nil: nothing does
	zone           error            // what keeps the times in UTC, until that is said
	hangup         <-chan os.Signal
	system         options.System
	guard          member.Guard
	limiter        k2hr3.Limiter // of all requests, whatever rounds and verbs make them
	pace           watcher.Pace  // of all replacements, whatever round makes them
	instance       host.Recorder
	metrics        *metrics.Exposer // nil: nobody counts
}

// errSaid ends a run with status 1 whose result says all there is to say.
var errSaid = errors.New("said already")

// main runs a command line and returns its exit status.
func (p *program) main(ctx context.Context, args []string) int {
	out := &results{to: p.stdout}
	p.stdout = out
	verb, rest, err := options.ParseVerb(args)
	p.daemon.Store(verb.Name == "run")
	p.limited(verb.Name)
	defer p.unlimited()
	switch {
	case err != nil:
	case p.daemon.Load(): // it is there for more than whoever reads its log
		err = p.verb(ctx, verb, rest)
	default:
		err = whileRead(ctx, func(ctx context.Context) error { return p.verb(ctx, verb, rest) })
	}
	if p.zone != nil { // there was no log
		p.note("%s: %v", zoneWrong, p.zone)
	}
	if errors.Is(err, options.ErrHelp) {
		err = options.Usage(p.stdout, verb)
	}
	if out.err != nil && (err == nil || errors.Is(err, errSaid)) {
		err = out.err // nothing has been said
	}
	var usage *options.UsageError
	var gone goneError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &gone):
		return gone.status()
	case errors.Is(err, errSaid), errors.Is(err, service.ErrRestart):
		return 1
	case errors.Is(err, errAgentDown):
		return 3
	case errors.As(err, &usage):
		p.note("%v", usage.Err)
		fmt.Fprintln(p.stderr, usage.Help)
		return 2
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		p.note("interrupted: %v", context.Cause(ctx))
		return 1
	default:
		p.fail(err)
		return 1
	}
}

// results is a writer that remembers its first error: what is not all there is no result.
type results struct {
	to  io.Writer
	err error
}

func (w *results) Write(b []byte) (n int, err error) {
	if w.err == nil {
		n, w.err = w.to.Write(b)
	}
	return n, w.err
}

// Fd is for whoever asks whether this is a terminal.
func (w *results) Fd() uintptr {
	if f, ok := w.to.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// note tells the operator what to mind besides the result, each line under the program's name.
func (p *program) note(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	fmt.Fprintf(p.stderr, "%s: %s\n", options.Program, strings.ReplaceAll(text, "\n", "\n"+options.Program+": "))
}

// verb runs one verb.
func (p *program) verb(ctx context.Context, verb options.Verb, args []string) error {
	switch verb.Name { // a configuration that is wrong does not keep these from telling so
	case "status":
		return p.status(ctx, verb, args)
	case "doctor":
		return p.doctor(ctx, verb, args)
	case "bugreport":
		return p.bugreport(ctx, verb, args)
	}
	o, err := options.Load(verb, args, p.system)
	if err != nil {
		// systemd names the run-dir; the options cannot.
		if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); dir != "" && verb.Name == "run" {
			lifecycle.Refused(dir, versionName(), err)
		}
		return err
	}
	switch verb.Name {
	case "run":
		return p.run(ctx, o, func() (*options.Options, error) { return options.Load(verb, args, p.system) })
	case "once":
		return p.once(ctx, o)
	case "check":
		return p.check(ctx, o)
	case "register":
		return p.register(ctx, o)
	case "unregister":
		return p.unregister(ctx, o)
	case "user-data":
		return p.userData(o)
	case "version":
		return p.version()
	case "help":
		return p.help(o.Args)
	}
	return fmt.Errorf("verb %s is not wired", verb.Name)
}

// loadLenient loads the options for a verb that goes by a configuration that may be wrong, as wrong
// says. The error is that the command line asks for help, or is wrong itself.
func (p *program) loadLenient(verb options.Verb, args []string) (o *options.Options, wrong, err error) {
	o, wrong = options.LoadLenient(verb, args, p.system)
	var usage *options.UsageError
	if o == nil || errors.As(wrong, &usage) {
		return nil, nil, wrong
	}
	return o, wrong, nil
}

func (p *program) help(args []string) error {
	if len(args) == 0 {
		return options.Overview(p.stdout)
	}
	verb, err := options.LookupVerb(args[0])
	if err != nil {
		return err
	}
	return options.Usage(p.stdout, verb)
}
