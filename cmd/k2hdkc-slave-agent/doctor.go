package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/doctor"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/screen"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/host"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// subjectLimit is how long it may take to look at the files that the options name, and examLimit
// how long that and all checks may.
const (
	subjectLimit = 5 * time.Second
	examLimit    = 9 * time.Second
)

// doctor looks for the cause of a trouble. A wrong configuration is one.
func (p *program) doctor(ctx context.Context, verb options.Verb, args []string) error {
	o, wrong, err := p.loadLenient(verb, args)
	if err != nil {
		return err
	}
	ids, err := doctor.Select(o.Only)
	if err != nil {
		return &options.UsageError{Err: fmt.Errorf("--only: %w", err), Help: options.Program + " doctor --help"}
	}
	dir, err := os.MkdirTemp("", options.Program+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	limited, cancel := context.WithTimeout(ctx, examLimit)
	defer cancel()
	s, done := p.subject(o, wrong, dir)
	defer done()
	width := screen.On(p.stdout, os.Getenv, time.Now()).Width
	tell := func(r doctor.Result) { r.Write(p.stdout, width) }
	if o.Switches["json"] {
		tell = func(doctor.Result) {}
	}
	report := doctor.Run(limited, s, ids, tell)
	p.unlimited()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o.Switches["json"] {
		b, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s\n", b)
	} else {
		fmt.Fprintf(p.stdout, "\n%s\n", report.Summary())
	}
	if !report.OK {
		return errSaid
	}
	return nil
}

// subject is this host for the doctor. dir is a folder of this process's own.
func (p *program) subject(o *options.Options, wrong error, dir string) (doctor.Subject, func()) {
	prober := &daemon.Prober{Command: o.StatusCommand, Dir: dir, Timeout: 4 * time.Second}
	s := doctor.Subject{
		Options: o, Wrong: wrong,
		Judge: new(host.Local).Judge,
		Agent: func() (status.Document, error) { return status.Look(o.RunDir, time.Now()) },
		Chmpx: prober.Status,
		Unit: func(ctx context.Context, name string) (daemon.UnitState, error) {
			return (&daemon.Unit{Name: name}).State(ctx)
		},
		Memory: daemon.MemoryPath, Proc: "/proc", Cgroups: "/sys/fs/cgroup",
		WriteTest: o.Switches["write-test"], LineTool: "k2hdkclinetool",
	}
	if s.Wrong != nil {
		return s, func() {}
	}
	type whole struct {
		s    doctor.Subject
		done func()
	}
	found := make(chan whole, 1)
	go func() {
		s, done := p.complete(s)
		found <- whole{s, done}
	}()
	select {
	case w := <-found:
		return w.s, w.done
	case <-time.After(subjectLimit):
		s.Wrong = fmt.Errorf("a file that the options name does not answer within %v, as on a file system whose server is gone: %s; "+
			"mend or unmount (umount -l) it", subjectLimit, strings.Join(busy(), "; "))
		return s, func() {}
	}
}

// complete adds to a subject what the files say that its options name.
func (p *program) complete(s doctor.Subject) (doctor.Subject, func()) {
	o := s.Options
	var errCUK, errFile, errClient error
	s.CUK, errCUK = o.ResolveCUK()
	s.File, errFile = outputFile(o)
	errK2HR3 := o.RequireK2HR3()
	if errK2HR3 == nil {
		s.Client, errClient = k2hr3.New(k2hr3.Config{
			API: o.APIURI, CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile, Timeout: doctor.Limit, Tries: 1,
			UserAgent: options.Program + "/" + versionName(), Logger: slog.New(slog.DiscardHandler), Limiter: &p.limiter,
		})
	}
	s.Wrong = errors.Join(errK2HR3, errCUK, errFile, checkWritten(o), errClient)
	if s.Wrong != nil {
		return s, func() {}
	}
	s.Known = watcher.Known(stateFile(o))
	return s, s.Client.Close
}
