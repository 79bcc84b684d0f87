package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

// register makes this host a member of the role.
func (p *program) register(ctx context.Context, o *options.Options) error {
	log := p.logger(o)
	if err := p.identify(o, log); err != nil {
		return err
	}
	os.Remove(leftFile(o))
	m, err := p.newMember(o, log)
	if err != nil {
		return err
	}
	defer m.Close()
	p.tidy(o, log)
	registered, err := m.Join(ctx)
	if err != nil {
		return err
	}
	result := "is a member already"
	if registered {
		result = "is a member now"
	}
	_, err = fmt.Fprintf(p.stdout, "%s %s of %s\n", m.CUK, result, m.Role)
	return err
}

// leftFile remembers that a pod has left the role, by its CUK. Kubernetes may end the pod's other
// containers before the agent, which must not register the pod meanwhile.
func leftFile(o *options.Options) string { return filepath.Join(o.StateDir, "left") }

// hasLeft reports whether the pod of a CUK has left for good.
func hasLeft(o *options.Options, cuk k2hr3.CUK) func() bool {
	if !o.InPod() {
		return nil
	}
	return func() bool {
		b, err := regularfile.Read(leftFile(o), regularfile.Small)
		return err == nil && string(b) == cuk.String()
	}
}

// graceful is how long a pod goes on trying to leave the role. Kubernetes gives a pod 30 s for its
// end, of which the other containers need some.
const (
	graceful = 25 * time.Second
	// One answer may take so long. A K2HR3 whose store is down says no after 14 s, which is none.
	gracefulTry = 8 * time.Second
)

// leave takes this host out of the role. Nobody else can take a pod out later, since its address
// goes with it, so it tries for as long as a pod has time to end.
func (p *program) leave(ctx context.Context, o *options.Options, m *member.Member) (left bool, err error) {
	known := watcher.Known(stateFile(o))
	if !o.InPod() {
		return m.Leave(ctx, known)
	}
	err = atomicfile.Write(leftFile(o), []byte(m.CUK.String()), 0o644)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // without a state-dir there is no daemon either
		p.note("an agent that runs may register this pod again: %v", err)
	}
	err = nil
	ctx, cancel := context.WithTimeout(ctx, graceful)
	defer cancel()
	for pause := time.Second; ; pause = min(2*pause, 4*time.Second) {
		left, again := m.Leave(ctx, known)
		switch {
		case again == nil:
			return left, nil
		case ctx.Err() == nil || err == nil:
			err = again // not that the time is over
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(pause):
		}
	}
}

// unregister takes this host out of the role.
func (p *program) unregister(ctx context.Context, o *options.Options) error {
	if o.InPod() {
		o.Timeout = min(o.Timeout, gracefulTry)
	}
	m, err := p.newMember(o, p.logger(o))
	if err != nil {
		return err
	}
	defer m.Close()
	left, err := p.leave(ctx, o, m)
	if err != nil {
		return err
	}
	watcher.Forget(stateFile(o))
	result := "was no member"
	if left {
		result = "has left"
	}
	_, err = fmt.Fprintf(p.stdout, "%s %s (%s)\n", m.CUK, result, m.Role)
	return err
}
