package cloudinit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
)

const (
	agentUnit = "k2hdkc-slave-agent.service"
	chmpxUnit = "chmpx.service"
	slaveINI  = "/etc/k2hdkc/slave.ini"
)

// node is a machine that is, or becomes, a slave node.
type node struct {
	host
	tb       testing.TB
	instance string
	file     string // that chmpx runs
	mark     string // cursor of the journal: what await has seen; empty: nothing since the boot
}

// boot boots a machine at the site.
func (s *site) boot(o machine.Options) *node {
	s.tb.Helper()
	n := &node{host: boot(s.tb, o), tb: s.tb, instance: o.InstanceID, file: slaveINI}
	s.tb.Cleanup(func() {
		if s.tb.Failed() {
			n.tell(o.Name)
		}
	})
	return n
}

// step runs a part of a test that the next one builds on.
func (n *node) step(t *testing.T, name string, f func(*node)) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		sub := *n
		sub.tb = t
		f(&sub)
		n.mark = sub.mark
	})
	if !ok {
		t.FailNow()
	}
}

// tell logs what may explain a failure.
func (n *node) tell(name string) {
	for _, c := range []string{
		"journalctl --boot --no-pager --quiet --lines=150 --output=short-precise", "tail -n 60 /var/log/cloud-init-output.log",
		"systemctl status --no-pager " + agentUnit + " " + chmpxUnit, "ls -la /etc/k2hdkc /etc/antpickax", "chmpxstatus -conf " + n.file,
	} {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(n.tb.Context()), limit())
		r, err := n.Exec(ctx, "sh", "-c", c)
		cancel()
		n.tb.Logf("%s: %s: %v\n%s%s", name, c, err, r.Stdout, r.Stderr)
	}
}

// is is how the site lists this node as a member.
func (n *node) is() string { return n.Addr().String() + " " + n.instance }

// run runs a shell script with arguments, and returns what it prints. It has to
// succeed.
func (n *node) run(script string, args ...string) string {
	n.tb.Helper()
	r := n.try(script, args...)
	if r.Status != 0 {
		n.tb.Fatalf("%s: %v", script, r)
	}
	return strings.TrimSpace(r.Stdout)
}

// try is run for a script that may fail.
func (n *node) try(script string, args ...string) machine.Result {
	n.tb.Helper()
	r, err := n.Exec(deadline(n.tb), append([]string{"bash", "-euc", script, "bash"}, args...)...)
	if err != nil {
		n.tb.Fatalf("%s: %v", script, err)
	}
	return r
}

// until waits for something that tells of itself in no other way than by being
// there.
func (n *node) until(what string, ok func() bool) {
	n.tb.Helper()
	ctx := deadline(n.tb)
	tick := time.NewTicker(pause())
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			n.tb.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// message is one of the agent's messages in the journal.
type message struct {
	Text   string `json:"MESSAGE"`
	Micros string `json:"__REALTIME_TIMESTAMP"`
	Cursor string `json:"__CURSOR"`
}

func (m message) time(tb testing.TB) time.Time {
	tb.Helper()
	n, err := strconv.ParseInt(m.Micros, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return time.UnixMicro(n)
}

// await waits for the agent to say something with these words, not looking at
// what an earlier await has seen.
func (n *node) await(words string) message {
	n.tb.Helper()
	const script = `
		exec 3< <(exec journalctl --quiet --boot --follow --no-tail --output=json ${1:+--after-cursor="$1"} \
			--unit=k2hdkc-slave-agent.service 2>/dev/null)
		grep -m1 -F -- "$2" <&3
		kill $! 2>/dev/null || :`
	line := n.run(script, n.mark, words)
	var m message
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		n.tb.Fatalf("the journal has %q: %v", line, err)
	}
	n.mark = m.Cursor
	return m
}

// seen has await look only at what comes from now on.
func (n *node) seen() {
	n.tb.Helper()
	n.mark = n.run(`journalctl --quiet --boot --lines=0 --show-cursor | sed -n 's/^-- cursor: //p'`)
}

// confirmed waits for the agent to have seen chmpx run a file with so many
// servers, and checks that chmpx says so itself.
func (n *node) confirmed(servers int) {
	n.tb.Helper()
	n.await("chmpx runs the file in place")
	n.until(fmt.Sprintf("chmpx to have %d servers", servers), func() bool {
		_, have := n.chmpx()
		return have == servers
	})
	want := n.run(`sed -n 's/^FILEVERSION *= *//p' "$1"`, n.file)
	if revision, _ := n.chmpx(); strconv.Itoa(revision) != want {
		n.tb.Errorf("chmpx runs revision %d, the file is %s", revision, want)
	}
}

// chmpx is the revision that chmpx runs, and how many servers it has; -1 if it
// does not say.
func (n *node) chmpx() (revision, servers int) {
	n.tb.Helper()
	revision, servers = -1, -1
	r := n.try(`chmpxstatus -conf "$1"`, n.file)
	if r.Status != 0 {
		return
	}
	for line := range strings.Lines(r.Stdout) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key = strings.TrimSpace(key); {
		case key == "configuration file version":
			revision = number(value)
		case strings.HasPrefix(key, "server chmpxs"):
			if _, inside, ok := strings.Cut(key, "["); ok {
				value = inside
			}
			servers = number(value)
		}
	}
	return revision, servers
}

// number is the number a text begins with, after blanks.
func number(text string) int {
	n, err := strconv.Atoi(strings.TrimRight(strings.Fields(text + " x")[0], "]"))
	if err != nil {
		return -1
	}
	return n
}

// wants checks properties of a unit, each NAME=VALUE.
func (n *node) wants(unit string, want ...string) {
	n.tb.Helper()
	for _, w := range want {
		name, _, _ := strings.Cut(w, "=")
		if got := n.run(`systemctl show "$1" --property="$2"`, unit, name); got != w {
			n.tb.Errorf("%s: %s, want %s", unit, got, w)
		}
	}
}

// life identifies a unit's run: it is another one after every start.
func (n *node) life(unit string) string {
	n.tb.Helper()
	return n.run(`systemctl show "$1" --property=InvocationID,NRestarts`, unit)
}
