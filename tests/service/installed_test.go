package service

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/packages"
	"k2hdkc-slave-agent/tests/realagent"
)

// agentOptionsFile is there for one subtest.
const agentOptionsFile = "/etc/systemd/system/k2hdkc-slave-agent.service.d/90-test.conf"

// installed is a slave that the packages are installed on, and whose agent writes
// its log to a file.
type installed struct {
	*slave.Slave
	log  *realagent.Log
	mark int // of the log: what await has seen

	since string // what journalExplains looks at begins here
}

// newInstalled boots one. Nothing of it runs yet.
func newInstalled(t *testing.T) *installed {
	t.Helper()
	machine.Require(t)
	return newInstalledOf(t, packages.Build(t, "1.0.0"))
}

// newInstalledOf is newInstalled with the agent's package of a folder, and with more files.
func newInstalledOf(t *testing.T, agent string, more ...machine.File) *installed {
	t.Helper()
	files := append(more, []machine.File{
		{Path: "/etc/systemd/system/k2hdkc-slave-agent.service.d/log.conf", Text: "[Service]\n" +
			"RestartSec=500ms\nEnvironment=K2HDKC_SLAVE_LOG_FORMAT=json\nStandardError=append:" + logFile + "\n"},
		{Path: logFile},
	}...)
	for name, dir := range map[string]string{"chmpx": packages.ChmpxAndK2hdkc(t), "agent": agent} {
		files = append(files, machine.File{Path: "/root/" + name + ".deb", From: packages.One(t, dir, "deb")})
	}
	s := &installed{Slave: slave.New(t, machine.Options{Files: files})}
	if _, real := fakechmpx.Installed(); real {
		t.Log("the real chmpx runs in the machine")
	}
	s.log = follow(t, s.Machine)
	s.Run(`dpkg --install /root/chmpx.deb /root/agent.deb
		systemctl disable --quiet k2hdkc-slave-agent
		cat >/etc/k2hdkc/slave-agent.ini <<-END
			$1
		END`, slave.Config)
	return s
}

// test runs a subtest on a slave node that is as new: nothing runs, chmpx is
// enabled, and K2HR3 has the cluster without any server.
func (s *installed) test(t *testing.T, name string, f func(s *installed)) {
	t.Run(name, func(t *testing.T) {
		sub := *s
		sub.Slave = s.As(t)
		begin := len(s.log.String())
		t.Cleanup(func() {
			if t.Failed() {
				text, _ := sub.Journal(context.WithoutCancel(t.Context()), "")
				t.Logf("journal:\n%s\nthe agent's log:\n%s", tail(text), tail(sub.log.String()[begin:]))
			}
		})
		sub.reset()
		f(&sub)
	})
}

func (s *installed) reset() {
	s.TB.Helper()
	s.K2HR3.ClearFaults()
	s.Cluster = s.K2HR3.AddCluster("shop", "orders")
	s.Run(`
		systemctl stop k2hdkc-slave-agent chmpx 2>/dev/null || :
		rm -rf /etc/k2hdkc/slave.ini /var/lib/k2hdkc-slave-agent "$1" \
			/etc/systemd/system/chmpx.service /etc/systemd/system/chmpx.service.d "$3"
		mkdir -m 777 "$1"
		systemctl daemon-reload
		systemctl reset-failed
		systemctl --quiet enable chmpx
		install -m 600 /dev/stdin /etc/k2hdkc/role-token <<-END
			$2
		END`, slave.ChmpxMemory, s.Cluster.RoleToken("slave", 0), agentOptionsFile)
	s.mark = s.log.Count()
	s.Begin()
}

// await waits for the agent to say something with all of these words in it, not
// looking at what an earlier await has seen.
func (s *installed) await(words ...string) realagent.Record {
	s.TB.Helper()
	return s.awaitRecord(fmt.Sprintf("said %q", words), func(r realagent.Record) bool { return r.Says(words...) })
}

func (s *installed) awaitRecord(what string, ok func(realagent.Record) bool) realagent.Record {
	s.TB.Helper()
	r, next, err := s.log.Await(machine.Deadline(s.TB), s.mark, ok)
	if err != nil {
		s.TB.Fatalf("the agent should have %s: %v", what, err)
	}
	s.mark = next
	return r
}

// restart restarts chmpx, and waits until the agent has told of the new one, whether it saw that
// there was none for a moment or not.
func (s *installed) restart() {
	s.TB.Helper()
	s.Run("systemctl restart chmpx")
	machine.Until(s.TB, "chmpx to run again", s.Answers)
	pid := strconv.Itoa(s.Number("chmpx process id"))
	s.awaitRecord("told of chmpx "+pid, func(r realagent.Record) bool { return r.Text("pid") == pid })
}

// confirmed waits for the agent to have seen chmpx run the file in place.
func (s *installed) confirmed() realagent.Record {
	s.TB.Helper()
	return s.await(realagent.Confirmed)
}

// sameChmpx fails if chmpx's unit has been started since Life said before.
func (s *installed) sameChmpx(before string) {
	s.TB.Helper()
	if now := s.Life(slave.ChmpxUnit); now != before {
		s.TB.Errorf("chmpx was restarted: before\n%s\nnow\n%s", before, now)
	}
}

// running brings the slave node to where it is most of the time: a file with
// three servers in place, and chmpx seen to run it.
func (s *installed) running() {
	s.TB.Helper()
	s.Join(1, 2, 3)
	s.Run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// logFile is where the agent's log goes in place of the journal, which does not
// tell of a message before a quarter of a second has passed.
const logFile = "/var/log/agent.json"

// follow reads the agent's log for as long as the test lasts.
func follow(tb testing.TB, m *machine.Machine) *realagent.Log {
	tb.Helper()
	f, err := os.Open(m.HostPath(logFile))
	if err != nil {
		tb.Fatal(err)
	}
	log, done := new(realagent.Log), make(chan struct{})
	go func() {
		defer close(done)
		defer f.Close()
		var rest []byte
		for tb.Context().Err() == nil {
			more, err := io.ReadAll(f)
			if err != nil {
				return
			}
			rest = append(rest, more...)
			for line, after, ok := bytes.Cut(rest, []byte("\n")); ok; line, after, ok = bytes.Cut(rest, []byte("\n")) {
				log.Add(line)
				rest = after
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	tb.Cleanup(func() { <-done })
	return log
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 4 << 10
	return s[max(0, len(s)-most):]
}
