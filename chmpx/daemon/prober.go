package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrNotInstalled says that there is no chmpxstatus to ask.
	ErrNotInstalled = errors.New("chmpxstatus is not installed")
	// ErrNotRunning says that no chmpx of this GROUP and SELFCTLPORT runs.
	ErrNotRunning = errors.New("chmpx is not running")
	// ErrTimeout says that chmpxstatus gave no answer in time.
	ErrTimeout = errors.New("chmpxstatus did not finish in time")
	// ErrNoAccess says that chmpx's shared memory is there but this user may
	// not open it for writing, as attaching needs. It is an fs.ErrPermission.
	ErrNoAccess = fmt.Errorf("no access to chmpx's shared memory: %w", fs.ErrPermission)
)

const (
	defaultTimeout = 10 * time.Second
	// outputGrace is how long output may stay open once the program has ended.
	outputGrace  = time.Second
	maxComplaint = 4 << 10
	// keepBuffer is the largest output buffer kept between two looks.
	keepBuffer = 256 << 10
)

// Prober asks chmpxstatus about the running chmpx. It makes one look at a time
// and may be used from several goroutines. It must not be copied after use.
type Prober struct {
	Command string        // name or path of chmpxstatus; empty: not installed
	Dir     string        // existing folder for the probe file, the agent's own
	Timeout time.Duration // for one look; 0: ten seconds

	mu      sync.Mutex
	group   string
	ctlPort int
	text    []byte
	path    string // of the probe file; empty: not written yet
	env     []string
	out     bytes.Buffer

	access func(path string, mode uint32) error // nil: access(2)
}

// Status looks at the chmpx that has this GROUP and SELFCTLPORT (0: it has
// none). The probe file is written at the first look, when either changes and
// when it was lost. Errors are ErrNotInstalled, ErrNotRunning, ErrNoAccess,
// ErrTimeout, ErrFormat, ctx's, or the program's own complaint.
func (p *Prober) Status(ctx context.Context, group string, ctlPort int) (Status, error) {
	if p.Command == "" {
		return Status{}, ErrNotInstalled
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.prepare(group, ctlPort); err != nil {
		return Status{}, err
	}
	st, err := p.look(ctx)
	if err != nil && ctx.Err() == nil && p.probeLost() {
		p.path = ""
		if err := p.prepare(group, ctlPort); err != nil {
			return Status{}, err
		}
		st, err = p.look(ctx)
	}
	if errors.Is(err, ErrNotRunning) {
		err = p.noAccess(group, ctlPort, err)
	}
	return st, err
}

// prepare sees that the probe file of this group and port is in place.
func (p *Prober) prepare(group string, ctlPort int) error {
	if p.path != "" && p.group == group && p.ctlPort == ctlPort {
		return nil
	}
	if _, err := exec.LookPath(p.Command); err != nil {
		return p.startError(err)
	}
	text, err := probeText(group, ctlPort)
	if err != nil {
		return fmt.Errorf("chmpxstatus cannot be asked: %w", err)
	}
	path, err := writeProbe(p.Dir, text)
	if err != nil {
		return fmt.Errorf("the file for chmpxstatus cannot be written: %w", err)
	}
	p.group, p.ctlPort, p.text, p.path = group, ctlPort, text, path
	return nil
}

// probeLost tells whether somebody has removed or changed the probe file.
func (p *Prober) probeLost() bool {
	b, err := os.ReadFile(p.path)
	return err != nil || !bytes.Equal(b, p.text)
}

// look runs the program once and reads what it prints.
func (p *Prober) look(ctx context.Context) (Status, error) {
	if p.out.Cap() > keepBuffer {
		p.out = bytes.Buffer{}
	}
	p.out.Reset()
	if err := p.run(ctx); err != nil {
		return Status{}, err
	}
	st, err := ParseStatus(p.out.Bytes())
	if err != nil {
		return Status{}, fmt.Errorf("%s: %w", p.Command, err)
	}
	return st, nil
}

// run executes the program with its output in p.out. Whatever it starts is in
// its process group and does not outlive the look.
func (p *Prober) run(ctx context.Context) error {
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, stopTimer := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer stopTimer()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	if p.env == nil {
		p.env = cleanEnv(os.Environ())
	}
	complaint := bounded{buf: new(bytes.Buffer), max: maxComplaint}
	cmd := exec.CommandContext(ctx, p.Command, "-conf", p.path)
	cmd.Env = p.env
	cmd.Stdout = &bounded{buf: &p.out, max: MaxOutput, over: func() { stop(errTooLong) }}
	cmd.Stderr = &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputGrace

	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return p.startError(err)
	}
	err := cmd.Wait()
	if err != nil && (ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay)) {
		// What the program left behind still holds its process group.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return p.waitError(ctx, err, complaint.buf.String())
}

func (p *Prober) startError(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotInstalled, p.Command)
	}
	return fmt.Errorf("%s cannot be run: %w", p.Command, err)
}

func (p *Prober) waitError(ctx context.Context, err error, complaint string) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, ErrTimeout) || errors.Is(cause, errTooLong) {
			return fmt.Errorf("%s: %w", p.Command, cause)
		}
		return cause
	}
	if err == nil {
		return nil
	}
	if strings.Contains(complaint, attachFailed) || strings.Contains(p.out.String(), attachFailed) {
		return ErrNotRunning
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s ended, but something it started keeps its output open", p.Command)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	return fmt.Errorf("%s: %w: %.200q", p.Command, err, first)
}

// attachFailed is what chmpxstatus says, with exit status 1, for every reason
// that keeps it from the shared memory.
const attachFailed = "Could not initialize(attach)"

var errTooLong = fmt.Errorf("printed over %d bytes", MaxOutput)

// bounded collects at most max bytes and takes the rest for nothing. It calls
// over, when set, at the first byte too many.
type bounded struct {
	buf  *bytes.Buffer
	max  int
	over func()
}

// ReadFrom spares os/exec a copying buffer of its own for every look.
func (w *bounded) ReadFrom(r io.Reader) (int64, error) {
	room := int64(w.max - w.buf.Len())
	n, err := w.buf.ReadFrom(io.LimitReader(r, room+1))
	if err != nil || n <= room {
		return n, err
	}
	w.buf.Truncate(w.max)
	if w.over != nil {
		w.over()
	}
	dropped, err := io.Copy(io.Discard, r)
	return n + dropped, err
}

func (w *bounded) Write(b []byte) (int, error) {
	_, err := w.ReadFrom(bytes.NewReader(b))
	return len(b), err
}

// cleanEnv drops what chmpx's programs read (spec chmpx F.2), what would change
// the language of the output, and what lets a child speak for the agent to
// systemd.
func cleanEnv(environ []string) []string {
	env := make([]string, 0, len(environ)+1)
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "CHMCONFFILE", "CHMJSONCONF", "CHMDBGMODE", "CHMDBGFILE", "CHMPX_COM_PROTO_VER",
			"LANG", "LANGUAGE", "NOTIFY_SOCKET":
			continue
		}
		if strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") {
			continue
		}
		env = append(env, kv)
	}
	return append(env, "LC_ALL=C")
}

// noAccess turns notRunning into ErrNoAccess when the shared memory is there
// and it is this user who cannot open it: chmpxstatus itself does not say so.
func (p *Prober) noAccess(group string, ctlPort int, notRunning error) error {
	access := p.access
	if access == nil {
		access = unix.Access
	}
	path := memoryPath(group, ctlPort)
	err := access(path, unix.R_OK|unix.W_OK)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return notRunning
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: %s: %w; run as root or as chmpx's user, with its folder writable", ErrNoAccess, path, err)
	}
	return notRunning
}

// memoryPath is the shared memory's file (spec chmpx F.3).
func memoryPath(group string, ctlPort int) string {
	dir := "/var/lib/antpickax"
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		dir = "/tmp"
	}
	name := group
	if ctlPort != 0 {
		name = fmt.Sprintf("%s-%d", group, ctlPort)
	}
	return filepath.Join(dir, name+".chmpx")
}
