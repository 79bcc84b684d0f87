package screen_test

import (
	"fmt"
	"io/fs"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/glance"
	"k2hdkc-slave-agent/cmd/status"
)

// states are those that have a golden file each.
func states() []state {
	return append(append(goodStates(), troubles()...), agentStates()...)
}

func goodStates() []state {
	polled := healthy(3)
	polled.K2HR3.Holds, polled.K2HR3.AskingSince = false, time.Time{}
	polled.K2HR3.NextAt, polled.K2HR3.NextWhy = now.Add(3*time.Minute+12*time.Second), "the interval"
	polled.Previous = &status.Condition{
		Code: "chmpx_down", Severity: status.Error, Status: status.Over,
		Since: ago(5 * time.Hour), Until: ago(5*time.Hour - 31*time.Second), Message: "chmpx is not running",
	}
	pending := healthy(3)
	pending.Conditions = []status.Condition{{
		Code: "server_down", Severity: status.Warning, Status: status.Pending, Since: ago(5 * time.Second),
		Message: "server-2.orders.example is down",
	}}
	pending.Servers[1].RingState, pending.Servers[1].Connections = "down", 0
	many := healthy(200)
	for _, i := range []int{41, 117} {
		many.Servers[i].RingState, many.Servers[i].Connections = "down", 0
	}
	many.Servers[160].InRing, many.Servers[160].RingState, many.Servers[160].Connections = false, "", 0
	many.Conditions = []status.Condition{{
		Code: "server_down", Severity: status.Warning, Status: status.Active, Since: ago(50 * time.Second),
		Message: "server-42.orders.example, server-118.orders.example are down",
	}}
	many.Health, many.Since = status.Degraded, ago(50*time.Second)
	return []state{
		{name: "healthy-held", doc: healthy(3), look: sees()},
		{name: "healthy-polled", doc: polled, look: sees()},
		{name: "healthy-pending", doc: pending},
		{name: "servers-200", doc: many},
	}
}

func troubles() []state {
	down := sees()
	down.Chmpx, down.UnitState = fails(daemon.ErrNotRunning), unit("failed")
	other := sees()
	other.Chmpx = running(func(st *daemon.Status) {
		st.PID, st.Started, st.Clients = 4711, ago(3*time.Second), 0
		st.Servers[1].Sockets = 0
		st.Servers = append(st.Servers, daemon.Node{
			Name: "server-9.orders.example", CtlPort: 8021, CUK: "server-9", Sockets: 1, State: "[SERVICE OUT][UP][ADD][Pending][NoSuspend]",
		})
	})
	return []state{
		{name: "first-minute", doc: firstMinute(), look: glance.Look{File: noFile, Chmpx: fails(glance.ErrNoChmpx), UnitState: unit("inactive"), Unit: "chmpx.service"}},
		{name: "not-member", doc: without("not_member", "K2HR3 does not count this host among the members of orders/slave, and there is no role token to register with", func(d *status.Document) {
			d.Membership = status.Membership{State: "unconfirmed", Since: ago(3 * time.Minute), CheckedAt: ago(20 * time.Second), Message: "K2HR3 answers 401"}
			d.K2HR3 = status.K2HR3{API: d.K2HR3.API, LastOK: time.Time{}, LastError: "401 Unauthorized", LastErrorAt: ago(20 * time.Second), NextAt: now.Add(40 * time.Second), NextWhy: "retry after a failure"}
		})},
		{name: "no-server", doc: without("no_server", "the RESOURCE lists no server node", nil)},
		{name: "k2hr3-unreachable", doc: with("k2hr3_unreachable", status.Warning, 12*time.Minute, "K2HR3 cannot be reached: connection refused", func(d *status.Document) {
			d.K2HR3 = status.K2HR3{
				API: d.K2HR3.API, LastOK: ago(13 * time.Minute), LastError: "dial tcp 192.0.2.7:443: connection refused", LastErrorAt: ago(50 * time.Second),
				NextAt: now.Add(2*time.Minute + 40*time.Second), NextWhy: "retry after a failure",
			}
		})},
		{name: "resource-unreadable", doc: with("resource_unreadable", status.Warning, 2*time.Minute, "K2HR3 gives no RESOURCE: 404 Not Found", nil)},
		{name: "resource-refused", doc: with("resource_refused", status.Warning, 2*time.Minute, "RESOURCE not applied: GROUP is missing; slave.ini stays as it is", nil)},
		{name: "resource-contradictory", doc: with("resource_contradictory", status.Warning, 2*time.Minute, "K2HR3 answers with one text and another in turn", nil)},
		{name: "restart-needed", doc: with("restart_needed", status.Warning, 2*time.Hour, "the RESOURCE waits for a restart of chmpx: MQACK cannot change while it runs", nil)},
		{name: "file-unwritable", doc: with("file_unwritable", status.Error, 40*time.Second, "cannot replace slave.ini: no space left on device", nil)},
		{name: "chmpx-down", look: down, doc: with("chmpx_down", status.Error, 40*time.Second, "chmpx is not running", func(d *status.Document) {
			d.Chmpx = status.Chmpx{Seen: true, Unit: "chmpx.service"}
		})},
		{name: "chmpx-unseen", doc: with("chmpx_unseen", status.Info, day, "chmpxstatus is not installed", func(d *status.Document) {
			d.Chmpx = status.Chmpx{Unit: "chmpx.service"}
			for i := range d.Servers {
				d.Servers[i].RingState, d.Servers[i].InRing, d.Servers[i].Connections = "", false, 0
			}
			d.Previous = nil
		})},
		{name: "revision-unconfirmed", doc: with("revision_unconfirmed", status.Warning, 40*time.Second, "chmpx runs revision 17 and has not taken revision 18", func(d *status.Document) {
			d.Chmpx.Revision, d.Chmpx.ConfirmedAt = 17, time.Time{}
		})},
		{name: "ring-differs", doc: with("ring_differs", status.Warning, 70*time.Second, "chmpx has other servers than slave.ini: only chmpx has server-9.orders.example", func(d *status.Document) {
			d.Servers = append(d.Servers, server(9))
			d.Servers[3].InFile = false
			d.K2HR3.Holds, d.K2HR3.AskingSince, d.K2HR3.NextAt, d.K2HR3.NextWhy = false, time.Time{}, now.Add(8*time.Second), "the ring has changed"
		})},
		{name: "server-down", doc: with("server_down", status.Warning, 70*time.Second, "server-2.orders.example is down", func(d *status.Document) {
			d.Servers[1].RingState, d.Servers[1].Connections = "down", 0
		})},
		{name: "half-connected", doc: with("half_connected", status.Warning, 70*time.Second, "chmpx is half connected; programs have joined it: restart chmpx; refused by server-2.orders.example", func(d *status.Document) {
			d.Servers[1].RingState, d.Servers[1].Connections = daemon.WordsRefused, 0
		})},
		{name: "other-chmpx", doc: healthy(3), look: other},
		{name: "permissions", doc: healthy(3), look: glance.Look{
			Chmpx: fails(fmt.Errorf("%w: /var/lib/antpickax/orders-8022.chmpx: permission denied; run as root or as chmpx's user", daemon.ErrNoAccess)),
			Unit:  "chmpx.service", UnitState: unit("active"),
		}},
		{name: "hostile-text", doc: hostile()},
	}
}

// firstMinute is the document of an agent that has just been started on a new host.
func firstMinute() *status.Document {
	d := healthy(0)
	d.Since, d.Agent.StartedAt, d.WrittenAt = ago(4*time.Second), ago(4*time.Second), ago(3*time.Second)
	d.Membership = status.Membership{State: "unknown"}
	d.K2HR3 = status.K2HR3{API: d.K2HR3.API, AskingSince: ago(3 * time.Second), NextWhy: "the membership is checked first"}
	d.File = status.File{Path: d.File.Path}
	d.Chmpx = status.Chmpx{Unit: "chmpx.service"}
	d.Changes = nil
	d.Conditions = []status.Condition{{Code: "no_file", Severity: status.Error, Status: status.Active, Since: ago(4 * time.Second), Message: "there is no slave.ini that chmpx could use yet"}}
	d.Health = status.Failed
	return d
}

// hostile is a document in which everything that comes from elsewhere moves the cursor.
func hostile() *status.Document {
	const evil = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202egnp\r\n\x7f\tend"
	d := with("resource_refused", status.Warning, time.Minute, "K2HR3 says "+evil, nil)
	d.K2HR3.LastError, d.K2HR3.LastErrorAt = evil, ago(time.Minute)
	d.Membership.Message, d.Identity.Tag, d.Chmpx.Unit, d.Version = evil, evil, evil, evil
	d.Changes[0].Words, d.Servers[0].Name, d.Servers[0].RingState = evil, evil, evil
	d.Notes = []string{evil}
	return d
}

func agentStates() []state {
	notConfigured := without("not_configured", "waiting for api-uri and role: neither slave-agent.ini nor /etc/antpickax has them", func(d *status.Document) {
		d.Identity, d.Membership, d.K2HR3 = status.Identity{}, status.Membership{State: "unknown"}, status.K2HR3{}
		d.Agent.State = status.NotConfigured
	})
	nothing := glance.Look{File: noFile, Chmpx: fails(glance.ErrNoChmpx), UnitState: unit("inactive"), Unit: "chmpx.service"}
	dead := sees()
	dead.Chmpx = running(func(st *daemon.Status) {
		st.Servers[2].State, st.Servers[2].Sockets = "[SERVICE OUT][DOWN][n/a][Nothing][NoSuspend]", 0
	})
	refused := sees()
	refused.Chmpx = running(func(st *daemon.Status) {
		st.Servers[2].State, st.Servers[2].Sockets = "[SERVICE IN][DOWN][n/a][Nothing][NoSuspend]", 0
	})
	killed := sees()
	killed.Chmpx, killed.UnitState = fails(daemon.ErrNotRunning), unit("inactive")
	killed.File = file(func(c *chmpx.Config) { c.FileVersion, c.Servers = 19, c.Servers[:2] })
	return []state{
		{name: "stopped", doc: healthy(3), lock: released, look: dead},
		{name: "stopped-half-connected", doc: healthy(3), lock: released, look: refused},
		{name: "killed", doc: healthy(3), lock: released, look: killed},
		{name: "hung", doc: healthy(3), lock: stale, look: sees()},
		{name: "not-configured", doc: notConfigured, look: nothing},
		{name: "configuration-wrong", look: sees(), doc: with("configuration_wrong", status.Warning, time.Hour, "/etc/k2hdkc/slave-agent.ini:3: unknown key \"ouput\": did you mean output?", nil)},
		{name: "no-run-dir", noRunDir: true, look: nothing},
		{name: "never-ran", lock: none, look: sees()},
		{name: "unreadable-run-dir", doc: healthy(3), unreadable: true, look: glance.Look{
			File: func() (*chmpx.Config, error) {
				return nil, fmt.Errorf("what the file is now cannot be seen: %w", fs.ErrPermission)
			},
			Chmpx: fails(daemon.ErrNoAccess), UnitState: unit("active"), Unit: "chmpx.service",
		}},
		{name: "older-status", text: `{"schema": "k2hdkc-slave-agent/status/v0", "fine": true}`, look: sees()},
		{name: "newer-status", look: sees(), text: `{"schema": "k2hdkc-slave-agent/status/v2", "written_at": "2026-11-22T09:58:00Z", "version": "3.0.0",
			"health": "healthy", "since": "2026-11-20T10:00:00Z", "conditions": [], "moon": {"phase": "full"},
			"file": {"path": "/etc/k2hdkc/slave.ini", "present": true, "revision": 18, "servers": 3, "signed": true},
			"servers": [{"name": "server-1.orders.example", "ctlport": 8021, "cuk": "server-1", "in_file": true, "weight": 3}],
			"agent": {"state": "running", "pid": 9, "alive_every": 30}}`},
		{name: "garbled-status", text: "\x00\x01 not JSON", look: sees()},
	}
}
