package doctor

import (
	"context"
	"slices"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
)

func agentChecks() []check {
	return []check{
		{id: "agent", about: "the daemon: its lock and sign of life in run-dir", needs: []string{"config"}, look: lookAgent},
	}
}

// What only the running agent knows, of the conditions that it reports.
var onlyTheAgentKnows = []string{"resource_contradictory", "file_unwritable"}

func lookAgent(_ context.Context, x *exam) *finding {
	looked := x.Options.RunDir
	d, err := x.Agent()
	switch d.Agent.State {
	case status.Running:
	case status.Stopped:
		return bad("systemctl start "+options.Program+" (and `systemctl enable` it); what ended it says: journalctl -u "+options.Program,
			"the agent does not run, so nobody keeps slave.ini right").at("%s", looked)
	case status.Hung:
		return bad("systemctl restart "+options.Program+"; what it hangs on says: journalctl -u "+options.Program,
			"the agent has given no sign of life since %s", d.Agent.AliveAt.Format(time.RFC3339)).at("%s", looked)
	case status.NotConfigured:
		return bad("the agent has not taken up the configuration that is here now: systemctl restart "+options.Program,
			"the agent runs, and waits for a configuration").at("%s", looked)
	default:
		if i := slices.IndexFunc(d.Conditions, func(c status.Condition) bool { return c.Code == status.StatusUnwritable }); i >= 0 {
			return warn("see docs/status.md, "+status.StatusUnwritable, "%s", d.Conditions[i].Message).at("%s", looked)
		}
		if !isRoot() {
			return unseen("whether the agent runs: %v", err).at("%s", looked)
		}
		return warn("look at the permissions of "+looked, "cannot see whether the agent runs: %v", err).at("%s", looked)
	}
	for _, c := range d.Conditions {
		if c.Status == status.Active && slices.Contains(onlyTheAgentKnows, c.Code) {
			return warn("see docs/status.md, "+c.Code, "the agent reports: %s", c.Message).at("%s", looked)
		}
	}
	if d.Agent.StartedAt.IsZero() {
		return good("the agent runs").at("%s", looked)
	}
	return good("the agent runs, since %s", d.Agent.StartedAt.Format(time.RFC3339)).at("%s", looked)
}
