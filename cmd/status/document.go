// Package status is what the agent shows of itself: the document that the daemon writes to
// status.json and that `status --json` prints, and the file and lock by which it reaches whoever
// reads it.
//
// The daemon calls [Hold] once, [Write] at each change, [Lock.Tell] with what came of that, and
// [Lock.Alive] now and then. Whoever reads it calls [Look]. No socket is opened and no right is
// needed but to read the run-dir.
package status

import (
	"strings"
	"time"
)

// Schema names the document's format. Fields are only ever added to it.
const Schema = "k2hdkc-slave-agent/status/v1"

// Document is what the agent knows of itself, its file, K2HR3 and chmpx. Nothing in it is secret.
// docs/status.schema.json is its schema.
type Document struct {
	Schema    string    `json:"schema"`
	WrittenAt time.Time `json:"written_at,omitzero"`
	Version   string    `json:"version"`

	// Health sums up the conditions, and Since is when it became so.
	Health     Health      `json:"health"`
	Since      time.Time   `json:"since,omitzero"`
	Conditions []Condition `json:"conditions"`
	// Previous is the condition that ended last; nil: none has.
	Previous *Condition `json:"previous"`

	Identity   Identity   `json:"identity"`
	Membership Membership `json:"membership"`
	K2HR3      K2HR3      `json:"k2hr3"`
	File       File       `json:"file"`
	Chmpx      Chmpx      `json:"chmpx"`
	Servers    []Server   `json:"servers"`
	// Changes are the last ten replacements of the file, the latest first.
	Changes []Change `json:"changes"`

	// SeenAt and Notes are the verb status's own: when it looked at chmpx and its unit, and what it
	// could not see, or saw otherwise than the agent, a sentence each.
	SeenAt time.Time `json:"seen_at,omitzero"`
	Notes  []string  `json:"notes,omitempty"`

	// Agent is how the daemon itself is. In status.json it is as the daemon saw it; the verb
	// status replaces it by what it finds.
	Agent Agent `json:"agent"`
}

// Health is the verdict.
type Health string

// The verdicts.
const (
	Healthy  Health = "healthy"
	Degraded Health = "degraded" // it works, and something needs attention
	Failed   Health = "failed"   // the application cannot use the cluster, or soon not
)

// Severity is what a condition does to the health.
type Severity string

// The severities.
const (
	Info    Severity = "info"    // nothing
	Warning Severity = "warning" // degraded
	Error   Severity = "error"   // failed
)

// Condition is something that is not as it should be, or was not.
type Condition struct {
	// Code is stable: scripts and alerts use it.
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// Status is "pending" until the condition has lasted long enough to count, then "active",
	// and "over" once it has ended.
	Status ConditionStatus `json:"status"`
	Since  time.Time       `json:"since,omitzero"`
	// Until is when it ended.
	Until   time.Time `json:"until,omitzero"`
	Message string    `json:"message"`
	// DependsOn are the codes of conditions that are the cause of this one.
	DependsOn []string `json:"depends_on"`
}

// ConditionStatus is how far a condition has come.
type ConditionStatus string

// The statuses of a condition.
const (
	Pending ConditionStatus = "pending"
	Active  ConditionStatus = "active"
	Over    ConditionStatus = "over"
)

// Identity is who this host is to K2HR3 and chmpx.
type Identity struct {
	Role     string `json:"role"`
	Resource string `json:"resource"`
	CUK      string `json:"cuk"`
	Tag      string `json:"tag"`
	Flavour  string `json:"flavour"`
}

// Membership is whether K2HR3 counts this host among the role's members.
type Membership struct {
	// State is "member", "unconfirmed" or "unknown" (not checked yet).
	State     string    `json:"state"`
	Since     time.Time `json:"since,omitzero"`
	CheckedAt time.Time `json:"checked_at,omitzero"`
	Message   string    `json:"message,omitempty"`
}

// K2HR3 is the conversation with K2HR3.
type K2HR3 struct {
	API    string    `json:"api"`
	LastOK time.Time `json:"last_ok,omitzero"`
	// LastError is the latest failure, empty while there was none since LastOK.
	LastError   string    `json:"last_error"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// Holds: K2HR3 holds requests until something changes. Otherwise the agent polls.
	Holds bool `json:"holds"`
	// NextAt is when the agent asks next, and NextWhy is why then. Zero while a request is under
	// way, since AskingSince.
	NextAt      time.Time `json:"next_at,omitzero"`
	NextWhy     string    `json:"next_why"`
	AskingSince time.Time `json:"asking_since,omitzero"`
}

// File is slave.ini.
type File struct {
	Path    string `json:"path"`
	Present bool   `json:"present"` // there is a good one
	// Unknown: nobody has seen whether there is one, as the verb status may say.
	Unknown    bool      `json:"unknown,omitempty"`
	Revision   int       `json:"revision"`
	SHA256     string    `json:"sha256"`
	Servers    int       `json:"servers"`
	Slaves     int       `json:"slaves"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
}

// Chmpx is the chmpx that runs on this host.
type Chmpx struct {
	// Seen: the agent can look at chmpx. Without it the other fields say nothing.
	Seen        bool      `json:"seen"`
	Running     bool      `json:"running"`
	PID         int       `json:"pid"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	Revision    int       `json:"revision"`
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	Unit        string    `json:"unit"`
	// UnitState is systemd's ActiveState of the unit; the verb status adds it.
	UnitState string `json:"unit_state,omitempty"`
	Clients   int    `json:"clients"` // programs that have joined
	// Silent: whoever asks now gets no answer in time, and so does not know whether it runs.
	Silent bool `json:"-"`
}

// Server is a server node, of the file, of chmpx's ring or of both.
type Server struct {
	Name    string `json:"name"`
	CtlPort int    `json:"ctlport"`
	CUK     string `json:"cuk"`
	// RingState is chmpx's state in words, such as "up" or "down"; empty: chmpx does not have it.
	RingState string `json:"ring_state"`
	// Connections are those that chmpx has to it.
	Connections int  `json:"connections"`
	InFile      bool `json:"in_file"`
	InRing      bool `json:"in_ring"`
}

// Up tells whether chmpx has the server as reachable.
func (s Server) Up() bool { return strings.HasPrefix(s.RingState, "up") }

// OutOfRing tells whether the ring has no key on the server: it has not joined yet, or it has left.
// chmpx may show one that has left as up for good.
func (s Server) OutOfRing() bool { return strings.Contains(s.RingState, "out of the ring") }

// Change is one replacement of the file.
type Change struct {
	At       time.Time `json:"at"`
	Revision int       `json:"revision"`
	Words    string    `json:"words"`
}

// Agent is the daemon.
type Agent struct {
	State     AgentState `json:"state"`
	PID       int        `json:"pid"`
	StartedAt time.Time  `json:"started_at,omitzero"`
	// AliveAt is the latest sign of life that was written, and AliveEvery how often one is due, in
	// seconds.
	AliveAt    time.Time `json:"alive_at,omitzero"`
	AliveEvery int       `json:"alive_every,omitempty"`
}

// AgentState is whether the daemon does its work.
type AgentState string

// The states of the daemon.
const (
	Running       AgentState = "running"
	NotConfigured AgentState = "not configured" // it runs, and waits for a configuration
	Stopped       AgentState = "stopped"
	Hung          AgentState = "hung"    // it holds its lock, and its sign of life is overdue
	Unknown       AgentState = "unknown" // the run-dir cannot be read, or the agent cannot write in it
)
