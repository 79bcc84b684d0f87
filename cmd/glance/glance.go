// Package glance adds to a status document what can be seen at this moment, by whoever asks: the
// file, chmpx through chmpxstatus, and chmpx's unit. It asks nothing of K2HR3, changes nothing, and
// never takes long: what has not answered by then is said not to be seen.
package glance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/watcher"
)

// Limit is how long a look takes at most.
const Limit = time.Second

// agentLimit is how long a look at the agent may take: it reads two files of the run-dir.
const agentLimit = 5 * time.Second

// endGrace is how long a program that was killed at the limit may take to end.
const endGrace = 150 * time.Millisecond

// Agent returns what looks at the agent of a run-dir, as status.Look does, and gives that up where
// the run-dir is on a file system that hangs. Until that look comes back there is no other one.
func Agent(dir string) func(context.Context, time.Time) status.Document {
	var pending <-chan seen[status.Document]
	return func(ctx context.Context, now time.Time) status.Document {
		if pending == nil {
			pending = start(true, func() (status.Document, error) { return status.Look(dir, now) })
		}
		late, cancel := context.WithTimeout(ctx, agentLimit)
		defer cancel()
		select {
		case s := <-pending:
			pending = nil
			return s.value // its conditions say what is wrong
		case <-late.Done():
		}
		d := status.Document{Schema: status.Schema, Agent: status.Agent{State: status.Unknown}}
		d.Add(status.Condition{
			Code: status.AgentUnknown, Severity: status.Warning,
			Message: fmt.Sprintf("cannot see whether the agent runs: %s does not answer; mend or unmount (umount -l) its file system", dir),
		})
		return d
	}
}

// Look is what is looked at. A nil function: there is nothing to look with.
type Look struct {
	// File reads the file in place; nil without an error: there is none. An error that is not
	// ErrNotGood leaves the file as the agent saw it.
	File func() (*chmpx.Config, error)
	// Chmpx probes chmpx, and UnitState asks systemd for its unit. ErrNoChmpx of Chmpx goes without
	// saying.
	Chmpx     func(context.Context) (daemon.Status, error)
	UnitState func(context.Context) (daemon.UnitState, error)
	Unit      string // the unit's name
}

// seen is what one look found.
type seen[T any] struct {
	value T
	err   error
}

// Add looks, and adds what it finds to the document. Where the agent does not do its work, only
// what is found counts for the file and chmpx, and their conditions are made anew.
func (l Look) Add(ctx context.Context, d *status.Document, now time.Time) {
	none := fmt.Errorf("%w within %v", errNoAnswer, Limit)
	late, stop := context.WithTimeoutCause(ctx, Limit+endGrace, none)
	ctx, cancel := context.WithTimeoutCause(ctx, Limit, none)
	defer cancel()
	defer stop()

	file := start(l.File != nil && !current(*d), func() (*chmpx.Config, error) { return l.File() })
	node := start(l.Chmpx != nil, func() (daemon.Status, error) { return l.Chmpx(ctx) })
	unit := start(l.UnitState != nil && l.Unit != "", func() (daemon.UnitState, error) { return l.UnitState(ctx) })

	d.SeenAt = now
	if d.Newer() {
		note(d, "a newer agent has written its status; it may say more than this program shows")
	}
	if d.Chmpx.Unit == "" {
		d.Chmpx.Unit = l.Unit
	}
	if file != nil {
		addFile(d, receive(late, file))
	}
	switch {
	case node != nil:
		addChmpx(d, receive(late, node))
	case !current(*d):
		forget(d)
	}
	if unit != nil {
		addUnit(d, receive(late, unit))
	}
	if !current(*d) {
		judge(d)
	}
}

// current tells whether an agent is there that keeps the document right, and the document can be
// read.
func current(d status.Document) bool { return d.Agent.State == status.Running && !d.WrittenAt.IsZero() }

// start begins a look; nil: there is none.
func start[T any](wanted bool, look func() (T, error)) <-chan seen[T] {
	if !wanted {
		return nil
	}
	c := make(chan seen[T], 1)
	go func() {
		v, err := look()
		c <- seen[T]{v, err}
	}()
	return c
}

// receive takes what a look found, or gives it up when it is late.
func receive[T any](late context.Context, c <-chan seen[T]) seen[T] {
	select {
	case s := <-c:
		return s
	case <-late.Done():
		return seen[T]{err: context.Cause(late)}
	}
}

func addFile(d *status.Document, s seen[*chmpx.Config]) {
	if s.err != nil {
		note(d, "%v", s.err)
		if errors.Is(s.err, ErrNotGood) {
			d.File.Present = false
		} else if d.WrittenAt.IsZero() {
			d.File.Unknown = true
		}
		return
	}
	c := s.value
	if c == nil {
		d.File.Present = false
		return
	}
	if d.File.Revision != c.FileVersion || !d.File.Present {
		d.File.ReplacedAt, d.File.SHA256 = time.Time{}, ""
	}
	d.File.Present, d.File.Revision = true, c.FileVersion
	d.File.Servers, d.File.Slaves = len(c.Servers), len(c.Slaves)
	d.Servers = nil
	for _, n := range c.Servers {
		d.Servers = append(d.Servers, status.Server{Name: n.Name, CtlPort: n.CtlPort, CUK: n.CUK, InFile: true})
	}
}

var errNoAnswer = errors.New("no answer")

func addChmpx(d *status.Document, s seen[daemon.Status]) {
	defer func() { d.Chmpx.Silent = errors.Is(s.err, errNoAnswer) || errors.Is(s.err, daemon.ErrTimeout) }()
	switch {
	case s.err == nil:
		addStatus(d, s.value)
	case errors.Is(s.err, daemon.ErrNotRunning):
		if current(*d) && d.Chmpx.Seen && d.Chmpx.Running {
			note(d, "chmpx ran when the agent last looked (pid %d)", d.Chmpx.PID)
		}
		forget(d)
		d.Chmpx.Seen = true
	case errors.Is(s.err, ErrNoChmpx) && !current(*d):
		forget(d)
	case errors.Is(s.err, ErrNoChmpx):
	case current(*d):
		if d.Chmpx.Seen {
			note(d, "chmpx and the ring as the agent sees them: %v", s.err)
		} else {
			note(d, "chmpx cannot be seen: %v", s.err)
		}
	default:
		forget(d)
		note(d, "chmpx cannot be seen: %v", s.err)
	}
}

// addStatus takes over what chmpx says.
func addStatus(d *status.Document, st daemon.Status) {
	was := d.Chmpx
	d.Chmpx = status.Chmpx{
		Seen: true, Running: true, PID: st.PID, StartedAt: st.Started,
		Revision: st.Revision, Clients: st.Clients, Unit: was.Unit, UnitState: was.UnitState,
	}
	if was.PID == st.PID && was.Revision == st.Revision {
		d.Chmpx.ConfirmedAt = was.ConfirmedAt
	}
	if was.Seen && was.Running && was.PID != st.PID {
		note(d, "this is another chmpx than the agent saw last: pid %d, not %d", st.PID, was.PID)
	}
	var file []daemon.Server
	for _, s := range d.Servers {
		if s.InFile {
			file = append(file, daemon.Server{Name: s.Name, CtlPort: s.CtlPort, CUK: s.CUK})
		}
	}
	d.Servers = Servers(daemon.Pairs(st, file))
	if down(*d) {
		return
	}
	for _, i := range daemon.Refused(st, file) {
		d.Servers[i].RingState = daemon.WordsRefused
	}
}

// down reports whether the agent, which looks at their ports, has found that servers which look
// as if they had refused chmpx are down.
func down(d status.Document) bool {
	isDown := false
	for _, c := range d.Conditions {
		if c.Code == half {
			return false
		}
		isDown = isDown || c.Code == serverDown && c.Status == status.Active
	}
	return isDown && current(d)
}

// refusedBy are the names of the servers that have refused chmpx.
func refusedBy(d status.Document) (names []string) {
	for _, s := range d.Servers {
		if s.RingState == daemon.WordsRefused {
			names = append(names, s.Name)
		}
	}
	return names
}

// Servers are server nodes as a document has them.
func Servers(pairs []daemon.Pair) []status.Server {
	list := make([]status.Server, 0, len(pairs))
	for _, p := range pairs {
		s := status.Server{Name: p.Name, CtlPort: p.CtlPort, CUK: p.CUK, InFile: p.InFile, InRing: p.InRing}
		if p.InRing {
			s.RingState, s.Connections = p.Node.Words(), p.Node.Sockets
		}
		list = append(list, s)
	}
	return list
}

// forget removes what the document says of a chmpx that is not there, or is not seen.
func forget(d *status.Document) {
	d.Chmpx = status.Chmpx{Unit: d.Chmpx.Unit, UnitState: d.Chmpx.UnitState}
	var file []status.Server
	for _, s := range d.Servers {
		if s.InFile {
			s.RingState, s.InRing, s.Connections = "", false, 0
			file = append(file, s)
		}
	}
	d.Servers = file
}

func addUnit(d *status.Document, s seen[daemon.UnitState]) {
	switch {
	case errors.Is(s.err, daemon.ErrNoSystemd), errors.Is(s.err, fs.ErrNotExist):
	case s.err != nil:
		note(d, "%s cannot be seen: %v", d.Chmpx.Unit, s.err)
	case s.value.LoadState == "not-found":
		d.Chmpx.UnitState = "not installed"
	case s.value.ActiveState == "failed":
		d.Chmpx.UnitState = "failed (" + s.value.Result + ")"
	default:
		d.Chmpx.UnitState = s.value.ActiveState
	}
}

func note(d *status.Document, format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// The conditions that judge makes or removes.
const (
	noFile      = string(watcher.NoFile)
	chmpxDown   = string(watcher.ChmpxNotRunning)
	chmpxUnseen = string(watcher.ChmpxUnseeable)
	unconfirmed = string(watcher.RevisionUnconfirmed)
	ringDiffers = string(watcher.RingDiffers)
	half        = string(watcher.HalfConnected)
	serverDown  = string(watcher.ServerDown)
)

// judge makes the conditions of the file and chmpx anew for an agent that does not do it.
func judge(d *status.Document) {
	was := map[string]status.Condition{}
	var list []status.Condition
	for _, c := range d.Conditions {
		switch c.Code {
		case noFile, chmpxDown, chmpxUnseen, unconfirmed, ringDiffers, half, serverDown:
			was[c.Code] = c
		default:
			list = append(list, c)
		}
	}
	add := func(code string, severity status.Severity, message string, dependsOn ...string) {
		c := was[code] // with its time, if it was so before
		c.Code, c.Severity, c.Status, c.Message, c.DependsOn = code, severity, status.Active, message, dependsOn
		list = append(list, c)
	}
	var without []string // what there is no file for
	for _, c := range list {
		if c.Code == status.CodeNotConfigured || c.Code == status.CodeConfigurationWrong {
			without = append(without, c.Code)
		}
	}
	chmpx := d.Chmpx
	switch {
	case d.File.Unknown:
	case !d.File.Present:
		add(noFile, status.Error, "there is no slave.ini that chmpx could use", without...)
		if chmpx.Seen && !chmpx.Running {
			add(chmpxDown, status.Error, "chmpx is not running", noFile)
		}
	case chmpx.Seen && !chmpx.Running:
		add(chmpxDown, status.Error, "chmpx is not running")
	case chmpx.Seen && chmpx.Revision != d.File.Revision:
		add(unconfirmed, status.Warning, fmt.Sprintf("chmpx runs revision %d, not %d", chmpx.Revision, d.File.Revision))
	case chmpx.Seen:
		if names := refusedBy(*d); len(names) > 0 {
			add(half, status.Warning, "chmpx is half connected: refused by "+strings.Join(names, ", ")+", or they are down")
		}
	}
	d.Conditions = list
	if health := status.HealthOf(list); health != d.Health {
		d.Health, d.Since = health, time.Time{}
	}
}

// settles is how long after its start chmpx may not have tried every server yet, or the agent not
// have seen that.
const settles = 5 * time.Second

// Ready tells whether an application can begin: a good file is in place and, where chmpx can be
// seen, it runs that file and is connected to every server of the ring that is up: one at least,
// and none has refused it. How K2HR3 is does not matter.
func Ready(d status.Document, now time.Time) bool { return missing(d, now) == "" }

// Offline says what an application has to wait for, by what an agent that runs has seen; empty:
// nothing, as Ready. Where chmpx cannot be seen, the agent has to have said so.
func Offline(d status.Document, now time.Time) string {
	switch {
	case d.Agent.State == status.NotConfigured:
		return "the agent's configuration"
	case d.Agent.State == status.Unknown:
		return "the agent's status, which cannot be seen"
	case !current(d):
		return "the agent, which does not run"
	case d.File.Present && !d.Chmpx.Seen && !unseeable(d):
		return "a look at chmpx"
	}
	return missing(d, now)
}

// unseeable: the agent cannot look at chmpx.
func unseeable(d status.Document) bool {
	return slices.ContainsFunc(d.Conditions, func(c status.Condition) bool { return c.Code == chmpxUnseen && c.Status == status.Active })
}

// missing is what an application has to wait for.
func missing(d status.Document, now time.Time) string {
	switch {
	case !d.File.Present:
		return "the first good slave.ini"
	case !d.Chmpx.Seen && d.Chmpx.Silent:
		return "an answer of chmpxstatus"
	case !d.Chmpx.Seen:
		return ""
	case !d.Chmpx.Running:
		return "chmpx, which does not run"
	case d.Chmpx.Revision != d.File.Revision:
		return fmt.Sprintf("chmpx to run revision %d", d.File.Revision)
	}
	young := !d.Chmpx.StartedAt.IsZero() && now.Sub(d.Chmpx.StartedAt) < settles
	connected := false
	for _, s := range d.Servers {
		if s.RingState == daemon.WordsRefused || s.Connections == 0 && (s.Up() && !s.OutOfRing() || young && s.InFile) {
			return "a connection to " + s.Name
		}
		connected = connected || s.Connections > 0
	}
	if !connected {
		return "a connection to a server"
	}
	return ""
}
