package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// endLimit is how long chmpx may take to end.
const endLimit = 10 * time.Second

// Container is a chmpx in a container beside the agent's, in one pod with a PID namespace that its
// containers share. It takes the place of a [Unit]: there is no systemd, and a chmpx that ends is
// started again by the kubelet.
type Container struct {
	Prober *Prober // it knows which chmpx is meant
}

// State says that chmpx runs: the kubelet decides whether it does.
func (*Container) State(context.Context) (UnitState, error) {
	return UnitState{ActiveState: "active"}, nil
}

// Start does nothing: the kubelet starts chmpx.
func (*Container) Start(context.Context) error { return nil }

// Reload does nothing: State tells of no reload job.
func (*Container) Reload(context.Context) error { return nil }

// Restart ends the chmpx that was probed last and waits until it has ended, ten seconds at most.
// The kubelet starts another one, for which nobody waits here.
func (c *Container) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	if err := c.end(ctx); err != nil {
		return fmt.Errorf("the agent cannot end chmpx, which the kubelet would start again: %w", err)
	}
	return nil
}

// end sends SIGHUP: chmpx blocks SIGTERM, and cleans up on SIGHUP (docs/chmpx.md D.7). The signal
// goes to the process that is behind the memory of this GROUP and SELFCTLPORT both before and after
// the handle on it is taken, so never to another one that has got its number.
func (c *Container) end(ctx context.Context) error {
	p := c.Prober
	p.mu.Lock()
	group, ctlPort := p.group, p.ctlPort
	p.mu.Unlock()
	st, err := p.Status(ctx, group, ctlPort)
	if err != nil {
		return err
	}
	process, err := openProcess(st.PID)
	if err != nil {
		return fmt.Errorf("the agent sees chmpx's process only if the pod has shareProcessNamespace: true: %w", err)
	}
	defer process.Close()
	switch now, err := p.Status(ctx, group, ctlPort); {
	case err != nil:
		return err
	case !now.SameProcess(st):
		return nil // it was restarted just now
	}
	err = unix.PidfdSendSignal(int(process.Fd()), unix.SIGHUP, nil, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("process %d has another user: run the agent's container as the user of chmpx's container: %w", st.PID, err)
	case err != nil:
		return fmt.Errorf("process %d: %w", st.PID, err)
	}
	if err := awaitProcess(ctx, st); err != nil {
		return fmt.Errorf("process %d goes on after SIGHUP: %w", st.PID, err)
	}
	return nil
}

// openProcess returns a handle on the process of a chmpx, which stays that process's.
func openProcess(pid int) (*os.File, error) {
	if err := isChmpx(pid); err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return os.NewFile(uintptr(fd), "chmpx's process"), nil
}
