package cloudinit

import (
	"context"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// node is a machine that is, or becomes, a slave node.
type node struct {
	*slave.Node
	instance string
}

// boot boots a machine at the site.
func (s *site) boot(o machine.Options) *node {
	s.tb.Helper()
	n := &node{&slave.Node{Host: machine.HostForTest(s.tb, o), TB: s.tb, File: slave.INI}, o.InstanceID}
	s.tb.Cleanup(func() {
		if s.tb.Failed() {
			n.explain(o.Name)
		}
	})
	return n
}

// step runs a part of a test that the next one builds on.
func (n *node) step(t *testing.T, name string, f func(*node)) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		before := n.TB
		n.TB = t
		defer func() { n.TB = before }()
		f(n)
	})
	if !ok {
		t.FailNow()
	}
}

// explain logs what may explain a failure.
func (n *node) explain(name string) {
	for _, c := range []string{
		"journalctl --boot --no-pager --quiet --lines=150 --output=short-precise", "tail -n 60 /var/log/cloud-init-output.log",
		"systemctl status --no-pager " + slave.AgentUnit + " " + slave.ChmpxUnit, "ls -la /etc/k2hdkc /etc/antpickax", "chmpxstatus -conf " + n.File,
	} {
		r, err := n.Exec(context.WithoutCancel(n.TB.Context()), "sh", "-c", c)
		n.TB.Logf("%s: %s: %v\n%s%s", name, c, err, r.Stdout, r.Stderr)
	}
}

// is is how the site lists this node as a member.
func (n *node) is() string { return n.Addr().String() + " " + n.instance }

// confirmed waits for the agent to have seen chmpx run a file with so many
// servers. A later call does not look at what this one has seen.
func (n *node) confirmed(servers int) {
	n.TB.Helper()
	n.Confirmed(servers)
	n.Begin()
}

// selfCUK is whose file it is; empty if there is none.
func (n *node) selfCUK() string {
	n.TB.Helper()
	return n.Run(`sed -n 's/^SELFCUK *= *//p' "$1" 2>/dev/null || :`, n.File)
}

// sameRun fails if a unit has been started since Life said before.
func (n *node) sameRun(unit, before string) {
	n.TB.Helper()
	if now := n.Life(unit); now != before {
		n.TB.Errorf("%s was restarted: it was\n%s\nand is\n%s", unit, before, now)
	}
}
