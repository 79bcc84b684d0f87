package slave

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/realagent"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/packages"
)

// agentOptionsFile is there for one subtest.
const agentOptionsFile = "/etc/systemd/system/k2hdkc-slave-agent.service.d/90-test.conf"

// slave is one that the packages are installed on, and whose agent writes its
// log to a file.
type slave struct {
	*Slave
	log  *agentLog
	mark int // of the log: what await has seen
}

// newSlave boots one. Nothing of it runs yet.
func newSlave(t *testing.T) *slave {
	t.Helper()
	machine.Require(t)
	files := []machine.File{
		{Path: "/etc/systemd/system/k2hdkc-slave-agent.service.d/log.conf", Text: "[Service]\n" +
			"RestartSec=500ms\nEnvironment=K2HDKC_SLAVE_LOG_FORMAT=json\nStandardError=append:" + logFile + "\n"},
		{Path: logFile},
	}
	for name, dir := range map[string]string{"chmpx": packages.Chmpx(t), "agent": packages.Build(t, "1.0.0")} {
		files = append(files, machine.File{Path: "/root/" + name + ".deb", From: packages.One(t, dir, "deb")})
	}
	s := &slave{Slave: New(t, machine.Options{Files: files})}
	if _, real := fakechmpx.Installed(); real {
		t.Log("the real chmpx runs in the machine")
	}
	s.log = follow(t, s.Machine)
	s.Run(`dpkg --install /root/*.deb
		systemctl disable --quiet k2hdkc-slave-agent
		cat >/etc/k2hdkc/slave-agent.ini <<-END
			$1
		END`, Config)
	return s
}

// test runs a subtest on a slave node that is as new: nothing runs, chmpx is
// enabled, and K2HR3 has the cluster without any server.
func (s *slave) test(t *testing.T, name string, f func(s *slave)) {
	t.Run(name, func(t *testing.T) {
		sub := *s
		node := *s.Slave
		node.TB = t
		sub.Slave = &node
		begin := s.log.count()
		t.Cleanup(func() {
			if t.Failed() {
				text, _ := sub.Journal(context.WithoutCancel(t.Context()), "")
				t.Logf("journal:\n%s\nthe agent's log:\n%s", tail(text), tail(sub.log.since(begin)))
			}
		})
		sub.reset()
		f(&sub)
	})
}

func (s *slave) reset() {
	s.TB.Helper()
	s.K2HR3.ClearFaults()
	s.Cluster = s.K2HR3.AddCluster("shop", "orders")
	s.Run(`
		systemctl stop k2hdkc-slave-agent chmpx 2>/dev/null || :
		rm -rf /etc/k2hdkc/slave.ini /var/lib/k2hdkc-slave-agent "$1"/* \
			/etc/systemd/system/chmpx.service /etc/systemd/system/chmpx.service.d "$3"
		systemctl daemon-reload
		systemctl reset-failed
		systemctl --quiet enable chmpx
		install -m 600 /dev/stdin /etc/k2hdkc/role-token <<-END
			$2
		END`, ChmpxMemory, s.Cluster.RoleToken("slave", 0), agentOptionsFile)
	s.mark = s.log.count()
	s.Begin()
}

// await waits for the agent to say something with all of these words in it, not
// looking at what an earlier await has seen.
func (s *slave) await(words ...string) realagent.Record {
	s.TB.Helper()
	r, next, err := s.log.await(machine.Deadline(s.TB), s.mark, func(r realagent.Record) bool {
		text := r.Message + " " + fmt.Sprint(r.Attrs)
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
	if err != nil {
		s.TB.Fatalf("the agent should have said %q: %v", words, err)
	}
	s.mark = next
	return r
}

// confirmed waits for the agent to have seen chmpx run the file in place.
func (s *slave) confirmed() realagent.Record {
	s.TB.Helper()
	return s.await("chmpx runs the file in place")
}

// running brings the slave node to where it is most of the time: a file with
// three servers in place, and chmpx seen to run it.
func (s *slave) running() {
	s.TB.Helper()
	s.Join(1, 2, 3)
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 4 << 10
	return s[max(0, len(s)-most):]
}
