package main

import (
	"context"
	"fmt"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/watcher"
)

// register makes this host a member of the role.
func (p *program) register(ctx context.Context, o *options.Options) error {
	log := p.logger(o)
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

// unregister takes this host out of the role.
func (p *program) unregister(ctx context.Context, o *options.Options) error {
	m, err := p.newMember(o, p.logger(o))
	if err != nil {
		return err
	}
	defer m.Close()
	left, err := m.Leave(ctx, watcher.Known(stateFile(o)))
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
