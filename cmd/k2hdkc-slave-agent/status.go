package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/glance"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/screen"
	"k2hdkc-slave-agent/cmd/status"
)

// errAgentDown ends a run with status 3: the agent does not run.
var errAgentDown = errors.New("the agent does not run")

// sparingly is how often status --watch looks at chmpx.
const sparingly = 5 * time.Second

// status tells how the agent is. A configuration that is wrong, or that this user may not read,
// does not keep it from that.
func (p *program) status(ctx context.Context, verb options.Verb, args []string) error {
	o, wrong, err := p.loadLenient(verb, args)
	if err != nil {
		return err
	}
	look := p.looker(o, wrong)
	show := p.shower(o)
	if o.Switches["watch"] {
		p.unlimited()
		return screen.Watch(ctx, status.Changes(ctx, o.RunDir), look, show)
	}
	d := look(ctx)
	p.unlimited()
	if o.Switches["ready"] {
		if !glance.Ready(d, time.Now()) {
			return errSaid
		}
		return nil
	}
	if err := show(d); err != nil {
		return err
	}
	switch {
	case d.Agent.State == status.Stopped:
		return errAgentDown
	case d.Health != status.Healthy:
		return errSaid
	}
	return nil
}

// looker returns what takes one look. wrong is what is wrong with the configuration.
func (p *program) looker(o *options.Options, wrong error) func(context.Context) status.Document {
	unit := &daemon.Unit{Name: o.Unit}
	seeUnit := glance.Sparing(sparingly, unit.State)
	eye := &glance.Eye{Command: o.StatusCommand, RunDir: o.RunDir}
	seeAgent := glance.Agent(o.RunDir)
	seeChmpx := glance.Sparing(sparingly, func(ctx context.Context) (daemon.Status, error) { return eye.Status(ctx) })
	return func(ctx context.Context) status.Document {
		now := time.Now()
		d := seeAgent(ctx, now)
		if d.WrittenAt.IsZero() {
			p.introduce(o, &d)
		}
		eye.File = d.File.Path
		if d.Agent.State != status.Running && wrong != nil {
			d.Notes = append(d.Notes, fmt.Sprintf("the configuration cannot be used here: %v; where it sets run-dir, name it with --run-dir", wrong))
		}
		glance.Look{
			File:      func() (*chmpx.Config, error) { return glance.File(d.File.Path) },
			Chmpx:     seeChmpx,
			UnitState: seeUnit,
			Unit:      o.Unit,
		}.Add(ctx, &d, now)
		return d
	}
}

// introduce says who this host is by the options alone, where no agent has said it.
func (p *program) introduce(o *options.Options, d *status.Document) {
	d.Identity = status.Identity{Role: o.Role.String(), Resource: o.Resource.String(), CUK: o.CUK.String(), Tag: o.ResolveTag(), Flavour: string(o.Flavour)}
	if cuk, err := o.ResolveCUK(); err == nil {
		d.Identity.CUK = cuk.String()
	}
	d.K2HR3.API = o.APIURI.String()
	d.File.Path = o.Output
}

// shower returns what shows a document the way that the switches say. Where the screen cannot be
// drawn over, status --watch shows what is new only.
func (p *program) shower(o *options.Options) func(status.Document) error {
	var before *status.Document
	return func(d status.Document) error {
		s := screen.On(p.stdout, os.Getenv, time.Now())
		watch := o.Switches["watch"]
		whole := !o.Switches["json"] && !o.Switches["brief"]
		if watch && whole && s.Redraws {
			_, err := io.WriteString(p.stdout, s.Redraw(d))
			return err
		}
		if before != nil && screen.Same(*before, d) {
			return nil
		}
		text := []byte(s.Text(d))
		var err error
		switch {
		case o.Switches["json"] && watch:
			text, err = screen.JSONLine(d)
		case o.Switches["json"]:
			text, err = screen.JSON(d)
		case o.Switches["brief"]:
			text = []byte(s.Brief(d))
		case before != nil:
			text = append([]byte("\n"), text...)
		}
		if err == nil {
			_, err = p.stdout.Write(text)
		}
		before = &d
		return err
	}
}
