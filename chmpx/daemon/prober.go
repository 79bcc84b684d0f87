package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx/tool"
	"k2hdkc-slave-agent/render/regularfile"
)

var (
	// ErrNotInstalled says that there is no chmpxstatus to ask.
	ErrNotInstalled = tool.ErrNotInstalled
	// ErrCannotRun says that there is a chmpxstatus that cannot be run.
	ErrCannotRun = tool.ErrCannotRun
	// ErrNotRunning says that no chmpx of this GROUP and SELFCTLPORT runs.
	ErrNotRunning = errors.New("chmpx is not running")
	// ErrTimeout says that chmpxstatus gave no answer in time.
	ErrTimeout = tool.ErrTimeout
	// ErrNoAccess says that chmpx's shared memory is there, but this user may not
	// open it for writing, as chmpxstatus has to. It is an fs.ErrPermission.
	ErrNoAccess error = noAccessError{}
)

// noAccessError is an fs.ErrPermission that leaves the reason to whoever wraps it.
type noAccessError struct{}

func (noAccessError) Error() string { return "no access to chmpx's shared memory" }

func (noAccessError) Is(target error) bool { return target == fs.ErrPermission }

// Prober probes the running chmpx: with chmpxstatus at first, and then by reading what that reads,
// chmpx's shared memory, for as long as the two agree (docs/chmpx.md F.9). It makes one probe at a
// time and may be used from several goroutines. It must not be copied after use.
type Prober struct {
	Command string        // name or path of chmpxstatus; empty: not installed
	Dir     string        // existing folder for the probe file, the agent's own
	Timeout time.Duration // for one probe; 0: ten seconds

	mu      sync.Mutex
	group   string
	ctlPort int
	text    []byte
	path    string // of the probe file; empty: not written yet
	env     []string
	out     tool.Output
	memory  memory
	run     Status // the latest run of chmpx that was seen, as far as it stays the same

	access func(path string, mode uint32) error // nil: access(2)
}

// Status probes the chmpx that has this GROUP and SELFCTLPORT (0: it has none). It
// writes the probe file at the first probe, when either changes, and when the file
// was lost. Errors are ErrNotInstalled, ErrCannotRun, ErrNotRunning, ErrNoAccess, ErrTimeout,
// ErrFormat, ctx's, or the program's own complaint.
func (p *Prober) Status(ctx context.Context, group string, ctlPort int) (Status, error) {
	if p.Command == "" {
		return Status{}, fmt.Errorf("chmpxstatus %w: status-command is empty", ErrNotInstalled)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if st, ok := p.memory.look(group, ctlPort); ok {
		st.Direct, st.Began = true, p.began(st)
		return st, nil
	}
	if err := p.prepare(group, ctlPort); err != nil {
		return Status{}, err
	}
	st, memory, err := p.probe(ctx)
	if err != nil && ctx.Err() == nil && p.probeLost() {
		p.path = ""
		if err := p.prepare(group, ctlPort); err != nil {
			return Status{}, err
		}
		st, memory, err = p.probe(ctx)
	}
	if err == nil && memory != "" {
		p.memory.compare(memory, st)
	}
	if errors.Is(err, ErrNotRunning) {
		err = p.noAccess(group, ctlPort, err)
	}
	if err == nil {
		st.Began = p.began(st)
	}
	return st, err
}

// began looks when a run of chmpx began, once: the clock may be set later.
func (p *Prober) began(st Status) time.Time {
	if !st.SameProcess(p.run) {
		p.run = Status{PID: st.PID, Started: st.Started, Began: began("/proc", st.PID, st.Started)}
	}
	return p.run.Began
}

// StatusBy is Status with the probe file of another Prober, at path, which has this GROUP and
// SELFCTLPORT. It writes nothing.
func (p *Prober) StatusBy(ctx context.Context, path, group string, ctlPort int) (Status, error) {
	if p.Command == "" {
		return Status{}, fmt.Errorf("chmpxstatus %w: status-command is empty", ErrNotInstalled)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.path = path
	defer func() { p.path = "" }() // not its own
	st, _, err := p.probe(ctx)
	if errors.Is(err, ErrNotRunning) {
		err = p.noAccess(group, ctlPort, err)
	}
	return st, err
}

// prepare writes the probe file of this group and port unless it is there.
func (p *Prober) prepare(group string, ctlPort int) error {
	if p.path != "" && p.group == group && p.ctlPort == ctlPort {
		return nil
	}
	if err := (tool.Call{Command: p.Command}).Find(); err != nil {
		return err
	}
	text, err := probeText(group, ctlPort)
	if err != nil {
		return fmt.Errorf("cannot ask chmpxstatus: %w", err)
	}
	path, err := writeProbe(p.Dir, text)
	if err != nil {
		return fmt.Errorf("cannot write the file for chmpxstatus: %w", err)
	}
	p.group, p.ctlPort, p.text, p.path = group, ctlPort, text, path
	return nil
}

// probeLost reports whether somebody has removed or changed the probe file.
func (p *Prober) probeLost() bool {
	b, err := regularfile.Read(p.path, regularfile.Small)
	return err != nil || !bytes.Equal(b, p.text)
}

// probe runs the program once and reads what it prints: the status, and where chmpx's memory is.
func (p *Prober) probe(ctx context.Context) (Status, string, error) {
	if err := p.ask(ctx); err != nil {
		return Status{}, "", err
	}
	shown, err := parse(p.out.Bytes())
	if err != nil {
		return Status{}, "", fmt.Errorf("%s: %w", p.Command, err)
	}
	return shown.st, shown.memory, nil
}

// ask runs the program once, with what it prints in p.out.
func (p *Prober) ask(ctx context.Context) error {
	if p.env == nil {
		p.env = tool.Environ()
	}
	err := tool.Run(ctx, tool.Call{
		Command: p.Command, Args: []string{"-conf", p.path}, Env: p.env,
		Timeout: p.Timeout, MaxOutput: MaxOutput,
	}, &p.out)
	if p.notAttached(err) {
		return ErrNotRunning
	}
	return err
}

// notAttached reports whether the program ended by itself and found no chmpx.
func (p *Prober) notAttached(err error) bool {
	var exit *tool.ExitError
	if !errors.As(err, &exit) && !errors.Is(err, tool.ErrLeftOpen) {
		return false
	}
	return bytes.Contains(p.out.Complaint(), []byte(attachFailed)) || bytes.Contains(p.out.Bytes(), []byte(attachFailed))
}

// attachFailed is what chmpxstatus says, with exit status 1, for every reason
// that keeps it from the shared memory.
const attachFailed = "Could not initialize(attach)"

// noAccess turns notRunning into ErrNoAccess if the shared memory is there and
// only this user cannot open it: chmpxstatus itself does not say so.
func (p *Prober) noAccess(group string, ctlPort int, notRunning error) error {
	access := p.access
	if access == nil {
		access = unix.Access
	}
	path := MemoryPath(group, ctlPort)
	err := access(path, unix.R_OK|unix.W_OK)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w: %s: %w; run as root or as chmpx's user, and make its folder writable", ErrNoAccess, path, err)
	}
	return notRunning
}

// MemoryDir is where chmpx keeps its shared memory, if the folder is there when
// chmpx starts.
const MemoryDir = "/var/lib/antpickax"

// MemoryPath returns the shared memory's file of a chmpx that has this GROUP and SELFCTLPORT (0: it
// has none), there or not (docs/chmpx.md F.3).
func MemoryPath(group string, ctlPort int) string {
	dir := MemoryDir
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		dir = "/tmp"
	}
	return filepath.Join(dir, StateName(group, ctlPort)+".chmpx")
}

// StateName is what the names of the files begin with that a chmpx with this GROUP and SELFCTLPORT
// (0: it has none) keeps its state in: .chmpx and .k2h follow (docs/chmpx.md F.3).
func StateName(group string, ctlPort int) string {
	if ctlPort == 0 {
		return group
	}
	return fmt.Sprintf("%s-%d", group, ctlPort)
}
