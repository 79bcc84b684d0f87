package lifecycle

import (
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/watcher"
)

// configured is what the options alone say, for a document without a watcher.
func configured(o *options.Options) status.Document {
	d := status.Document{
		Identity: status.Identity{Flavour: string(o.Flavour), CUK: o.CUK.String(), Tag: o.ResolveTag()},
		File:     status.File{Path: o.Output},
		Chmpx:    status.Chmpx{Unit: o.Unit},
	}
	d.Membership.State = "unknown"
	d.K2HR3.API = o.APIURI.String()
	if !o.Role.IsZero() {
		d.Identity.Role, d.Identity.Resource = o.Role.String(), o.Resource.String()
	}
	return d
}

// document is what a watcher says of itself.
func document(r Round, s watcher.Status) status.Document {
	d := configured(r.Options)
	d.Identity.CUK = r.Watcher.InstanceID
	if s.Known.Tag != "" {
		d.Identity.Tag = s.Known.Tag
	}
	d.Health, d.Since = status.Health(s.Health.Verdict), moment(s.Health.Since)
	for _, c := range s.Health.Conditions.Items() {
		d.Conditions = append(d.Conditions, condition(c))
	}
	if s.Health.Previous != nil {
		previous := condition(*s.Health.Previous)
		d.Previous = &previous
	}
	d.Membership = membership(s)
	d.K2HR3.LastOK = moment(s.Talk.HeardAt)
	d.K2HR3.LastError, d.K2HR3.LastErrorAt = s.Talk.Failure, moment(s.Talk.FailedAt)
	d.K2HR3.Holds = s.Holds
	d.K2HR3.NextAt, d.K2HR3.NextWhy, d.K2HR3.AskingSince = moment(s.Talk.NextAt), s.Talk.NextWhy, moment(s.Talk.AskingSince)
	d.File = status.File{
		Path: d.File.Path, Present: s.HasFile, Revision: s.Revision, SHA256: s.File.SHA256,
		Servers: s.Servers, Slaves: s.File.Slaves, ReplacedAt: moment(s.File.ReplacedAt),
	}
	p := s.Process
	d.Chmpx = status.Chmpx{
		Seen: p.Seen, Running: p.Running, PID: p.PID, StartedAt: moment(p.StartedAt),
		Revision: p.Revision, ConfirmedAt: moment(p.ConfirmedAt), Unit: d.Chmpx.Unit, Clients: p.Clients,
	}
	for _, n := range s.Nodes.Items() {
		d.Servers = append(d.Servers, status.Server(n))
	}
	for _, c := range s.Changes.Items() {
		d.Changes = append(d.Changes, status.Change{At: moment(c.At), Revision: c.Revision, Words: c.Words})
	}
	return d
}

func membership(s watcher.Status) status.Membership {
	m := status.Membership{State: "member", Since: moment(s.MemberSince), CheckedAt: moment(s.CheckedAt)}
	switch {
	case s.Joining:
		m.State = "unknown"
	case s.Membership.Kind != watcher.NoProblem:
		m.State, m.Since, m.Message = "unconfirmed", moment(s.Membership.Since), s.Membership.Why
	}
	return m
}

func condition(c watcher.Condition) status.Condition {
	d := status.Condition{
		Code: string(c.Code), Severity: status.Severity(c.Severity), Status: status.Pending,
		Since: moment(c.Since), Until: moment(c.Until), Message: c.Message,
	}
	switch {
	case !c.Until.IsZero():
		d.Status = status.Over
	case c.Active:
		d.Status = status.Active
	}
	for _, code := range c.DependsOn {
		d.DependsOn = append(d.DependsOn, string(code))
	}
	return d
}

// moment is a time as a document has it: on the wall, and no finer than anybody needs.
func moment(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Round(time.Millisecond).UTC()
}
