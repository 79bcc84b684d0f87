package doctor

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// Subject is what is examined: this host, as the options describe it.
type Subject struct {
	// Options are the agent's, as far as they are right, and Wrong is what is wrong with them.
	Options *options.Options
	Wrong   error

	// What follows is set if nothing is wrong.
	CUK  k2hr3.CUK
	File render.File
	// Client asks K2HR3, each thing once.
	Client *k2hr3.Client
	// Known is what the agent remembers that K2HR3 knows this host by; zero: nothing, or it cannot
	// be read.
	Known member.Identity

	// Judge says what chmpx would make of a file on this host.
	Judge func(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report
	// Agent looks at the agent that runs.
	Agent func() (status.Document, error)
	// Chmpx looks at the chmpx that has this GROUP and SELFCTLPORT.
	Chmpx func(ctx context.Context, group string, ctlPort int) (daemon.Status, error)
	// Unit looks at a unit of systemd's.
	Unit func(ctx context.Context, name string) (daemon.UnitState, error)
	// Memory returns the path of chmpx's shared memory.
	Memory func(group string, ctlPort int) string
	// Proc is where the kernel shows its processes, /proc.
	Proc string
	// Cgroups is where the kernel shows its cgroups, /sys/fs/cgroup.
	Cgroups string
	// WriteTest: a key may be written to the cluster, read and deleted.
	WriteTest bool
	// LineTool is the program to do that with, k2hdkclinetool.
	LineTool string
}

// How long what is shared between checks may take.
const (
	nameLimit  = 2500 * time.Millisecond
	wayLimit   = 4500 * time.Millisecond
	judgeLimit = 4 * time.Second
	chmpxLimit = 4 * time.Second
	unitLimit  = 2 * time.Second
)

// exam is one examination. What several checks look at is looked at once.
type exam struct {
	Subject
	way      func() k2hr3.Way
	standing func() standing
	inPlace  func() inPlace
	chmpx    func() probed
	unit     func() (daemon.UnitState, error) // chmpx's

	// answer is the RESOURCE, once the check resource is good. text is what comes of it, and fit
	// says that the agent would put it in place, once the check text is done.
	answer k2hr3.Answer
	text   chmpx.Report
	fit    bool
}

func newExam(ctx context.Context, s Subject) *exam {
	x := &exam{Subject: s}
	x.way = sync.OnceValue(func() k2hr3.Way {
		ctx, cancel := context.WithTimeout(ctx, wayLimit)
		defer cancel()
		return x.Client.Way(ctx, nameLimit)
	})
	x.standing = sync.OnceValue(func() standing { return x.stand(ctx) })
	x.inPlace = sync.OnceValue(func() inPlace { return x.readFile(ctx) })
	x.chmpx = sync.OnceValue(func() probed { return x.probe(ctx) })
	x.unit = sync.OnceValues(func() (daemon.UnitState, error) {
		ctx, cancel := context.WithTimeout(ctx, unitLimit)
		defer cancel()
		return x.Unit(ctx, x.Options.Unit)
	})
	return x
}

// isRoot tells whether this process may see everything.
func isRoot() bool { return os.Geteuid() == 0 }

// inPlace is the file as it is.
type inPlace struct {
	err    error // why it cannot be read
	report chmpx.Report
}

func (x *exam) readFile(ctx context.Context) inPlace {
	b, err := regularfile.Read(x.File.Path, render.MaxFile)
	if err != nil {
		return inPlace{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, judgeLimit)
	defer cancel()
	return inPlace{report: x.Judge(ctx, b, nil)}
}

// probed is the chmpx that the file in place is for.
type probed struct {
	status daemon.Status
	err    error
}

var errNoFile = errors.New("there is no slave.ini that tells which chmpx to look at")

func (x *exam) probe(ctx context.Context) probed {
	c := x.inPlace().report.Config
	if c == nil {
		return probed{err: errNoFile}
	}
	ctx, cancel := context.WithTimeout(ctx, chmpxLimit)
	defer cancel()
	found := make(chan probed, 1)
	go func() {
		st, err := x.Chmpx(ctx, c.Group, max(c.SelfCtlPort, 0))
		found <- probed{st, err}
	}()
	select {
	case p := <-found:
		return p
	case <-ctx.Done(): // the kernel may keep chmpxstatus for longer
		return probed{err: ctx.Err()}
	}
}

// explained turns an error into what happened and what helps.
func explained(err error) (message, remedy string) {
	var e *k2hr3.Error
	if !errors.As(err, &e) {
		return err.Error(), ""
	}
	bare := *e
	bare.Hint = ""
	return bare.Error(), e.Hint
}

// values are those that the agent gives a text of K2HR3 as a revision; 0: none.
func (x *exam) values(revision int) render.Values {
	v := render.Values{InstanceID: x.CUK.String(), Revision: revision}
	if x.Options.InPod() {
		v.Pod = time.Now()
	}
	return v
}
