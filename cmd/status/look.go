package status

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// The codes of the conditions that are not the watcher's: the daemon makes the first two, and Look
// the others. docs/status.md says what to do about each.
const (
	CodeNotConfigured      = "not_configured"
	CodeConfigurationWrong = "configuration_wrong"

	AgentStopped = "agent_stopped"
	AgentHung    = "agent_hung"
	AgentUnknown = "agent_unknown"

	StatusUnwritable = "status_unwritable"
)

// overdue is how many signs of life a hung agent has missed.
const overdue = 3

// Look returns the document in dir with how the agent is at the time now. It waits for nobody,
// takes no lock, and needs no right but to read dir.
//
// The document can be shown whatever the error is, which says why status.json could not be read:
// it holds then what else is known, and the agent's condition (agent_stopped, agent_hung,
// agent_unknown or status_unwritable) where there is one.
func Look(dir string, now time.Time) (Document, error) {
	d, err := Read(dir)
	if err != nil {
		d = Document{Schema: Schema}
	}
	held, unwritten, alive, lookErr := look(dir)
	d.Agent.AliveAt = alive
	every := time.Duration(d.Agent.AliveEvery) * time.Second
	if every <= 0 {
		every = AliveEvery
	}
	switch {
	case lookErr != nil:
		d.Agent.State = Unknown
		d.Add(Condition{Code: AgentUnknown, Severity: Warning, Message: "cannot see whether the agent runs: " + lookErr.Error()})
	case !held:
		d.Agent.State = Stopped
		d.Add(Condition{Code: AgentStopped, Severity: Error, Since: alive, Message: stopped(dir), DependsOn: d.stoppedBy()})
	case now.Sub(alive) > overdue*every && unwritten != unix.EROFS: // which keeps the sign of life away too
		d.Agent.State = Hung
		message := fmt.Sprintf("the agent runs, and its sign of life is overdue: there should be one every %d s", every/time.Second)
		d.Add(Condition{Code: AgentHung, Severity: Error, Since: alive, Message: message})
	case unwritten != 0: // what it wrote before may be wrong by now
		d.Agent.State = Unknown
		d.Add(Condition{Code: StatusUnwritable, Severity: Warning, Message: unwritable(dir, unwritten)})
	case d.Agent.State != NotConfigured:
		d.Agent.State = Running
	}
	if held && err != nil && d.Agent.State == Running {
		d.Add(Condition{Code: AgentUnknown, Severity: Warning, Message: "the agent runs, and how it is cannot be seen: " + why(err)})
	}
	return d, err
}

// look returns whether an agent holds the lock in dir, why it cannot write its status there, and
// its latest sign of life.
func look(dir string) (held bool, unwritten unix.Errno, alive time.Time, err error) {
	f, err := regularfile.OpenInPlace(filepath.Join(dir, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, 0, time.Time{}, nil
	}
	if err != nil {
		return false, 0, time.Time{}, err
	}
	defer f.Close()
	if held, unwritten, err = isHeld(f); err != nil {
		return false, 0, time.Time{}, &fs.PathError{Op: "query the lock on", Path: f.Name(), Err: err}
	}
	info, err := f.Stat()
	if err != nil {
		return false, 0, time.Time{}, err
	}
	return held, unwritten, info.ModTime().Round(0), nil
}

// stoppedBy is the condition that has ended the agent, if there is one: it ends at its start if
// its configuration is wrong.
func (d *Document) stoppedBy() []string {
	for _, c := range d.Conditions {
		if c.Code == CodeConfigurationWrong && c.Status == Active && c.Severity == Error {
			return []string{c.Code}
		}
	}
	return nil
}

func stopped(dir string) string {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("the agent does not run: there is no %s", dir)
	}
	return "the agent does not run; slave.ini and chmpx stay as they are"
}

// unwritable says that the agent cannot write its status, why, and what helps.
func unwritable(dir string, why unix.Errno) string {
	message := fmt.Sprintf("the agent runs, and cannot write its status, %s: %v", filepath.Join(dir, FileName), why)
	switch why {
	case unix.ENOSPC, unix.EDQUOT:
		return message + "; make room there: df and df -i show what is full"
	case unix.EROFS:
		return message + "; mount it read-write"
	case unix.EEXIST, unix.EISDIR:
		return message + "; remove what is in its place"
	}
	return message + "; its log has more"
}

// Add puts an active condition before all others, and sums them up anew.
func (d *Document) Add(c Condition) {
	c.Status = Active
	d.Conditions = append([]Condition{c}, d.Conditions...)
	if health := HealthOf(d.Conditions); health != d.Health {
		d.Health, d.Since = health, c.Since
	}
}

// HealthOf is the verdict over conditions: that of the worst active one.
func HealthOf(conditions []Condition) Health {
	health := Healthy
	for _, c := range conditions {
		switch {
		case c.Status != Active:
		case c.Severity == Error:
			return Failed
		case c.Severity == Warning:
			health = Degraded
		}
	}
	return health
}
