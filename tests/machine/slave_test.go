package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/agent"
	"k2hdkc-slave-agent/tests/k2hr3"
)

const (
	agentUnit        = "k2hdkc-slave-agent.service"
	chmpxUnit        = "chmpx.service"
	slaveINI         = "/etc/k2hdkc/slave.ini"
	dropIn           = "/usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	shmDir           = "/var/lib/antpickax"
	agentOptionsFile = "/etc/systemd/system/k2hdkc-slave-agent.service.d/90-test.conf"
	slaveName        = "app-1.shop.example"
	slaveCUK         = "0b7e6f10-4c1d-4f55-9f0e-7a2f6d1c0001"
)

// slave is a machine that is a slave node: the agent as it is packaged, chmpx
// or its stand-in, and K2HR3 at the test's end of the cable.
type slave struct {
	*Machine
	tb      testing.TB // of the subtest that has it
	k2hr3   *k2hr3.Server
	cluster *k2hr3.Cluster
	log     *agentLog
	mark    int    // of the log: what await has seen
	begin   string // of the subtest, as journalctl takes it
}

// helper stands in for chmpx's service helper: it starts chmpx when there is a
// file, and again when it has ended.
const helper = `#!/bin/sh
trap 'kill -HUP "$child"; wait "$child"; exit 0' HUP
while :; do
	child=
	until [ -s /etc/k2hdkc/slave.ini ]; do sleep 0.1; done
	/usr/bin/chmpx -conf /etc/k2hdkc/slave.ini -d err &
	child=$!
	wait "$child"
	sleep 0.5
done
`

// helperUnit is chmpx's unit as its own package has it.
const helperUnit = `[Unit]
Description=chmpx by its helper
After=network-online.target

[Service]
Type=simple
User=root
PermissionsStartOnly=true
ExecStartPre=/sbin/sysctl fs.mqueue.msg_max=1025
ExecStart=/usr/libexec/chmpx-service-helper start
ExecStop=/bin/kill -HUP $MAINPID
Restart=always
PIDFile=/var/run/antpickax/chmpx-service-helper.pid

[Install]
WantedBy=multi-user.target
`

// newSlave boots one. Nothing of it runs yet.
func newSlave(t *testing.T) *slave {
	t.Helper()
	Require(t)
	dir := t.TempDir()
	bin, err := agent.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	programs, real := chmpxFiles(t)
	m := ForTest(t, Options{Name: slaveName, Outside: "k2hr3.shop.example", Files: append(programs, []File{
		{Path: "/usr/bin/k2hdkc-slave-agent", Mode: 0o755, From: bin},
		{Path: "/usr/lib/systemd/system/" + agentUnit, From: "../../packaging/" + agentUnit},
		{Path: dropIn, From: "../../packaging/chmpx.service.d/50-k2hdkc-slave-agent.conf"},
		{Path: "/usr/libexec/k2hdkc-slave-agent/await-chmpx", Mode: 0o755, From: "../../packaging/await-chmpx"},
		{Path: "/etc/k2hdkc/slave-agent.ini", Text: "[k2hr3]\napi-uri = http://k2hr3.shop.example\n" +
			"role = yrn:yahoo:::shop:role:orders/slave\n[slave]\ncuk = " + slaveCUK + "\n"},
		{Path: "/etc/systemd/system/k2hdkc-slave-agent.service.d/log.conf", Text: "[Service]\n" +
			"RestartSec=500ms\nEnvironment=K2HDKC_SLAVE_LOG_FORMAT=json\nStandardError=append:" + logFile + "\n"},
		{Path: logFile},
		{Path: shmDir + "/.keep"},
		{Path: "/usr/libexec/chmpx-service-helper", Mode: 0o755, Text: helper},
		{Path: "/usr/lib/systemd/system/" + chmpxUnit, Text: helperUnit},
	}...)})
	s := &slave{Machine: m, tb: t, k2hr3: k2hr3.New(), log: follow(t, m)}
	if real {
		t.Log("the real chmpx runs in the machine")
	}
	s.k2hr3.Hold(time.Minute)
	l, err := net.Listen("tcp", m.HostAddr().String()+":80")
	if err != nil {
		t.Fatal(err)
	}
	server := k2hr3.NewHTTPServer(s.k2hr3)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return s
}

// test runs a subtest on a slave node that is as new: nothing runs, chmpx is
// enabled, and K2HR3 has the cluster without any server.
func (s *slave) test(t *testing.T, name string, f func(s *slave)) {
	t.Run(name, func(t *testing.T) {
		sub := *s
		sub.tb = t
		begin := s.log.count()
		t.Cleanup(func() {
			if t.Failed() {
				text, _ := sub.Journal(context.WithoutCancel(t.Context()), "")
				t.Logf("journal:\n%s\nthe agent's log:\n%s", tail([]byte(text)), tail([]byte(sub.log.since(begin))))
			}
		})
		sub.reset()
		f(&sub)
	})
}

func (s *slave) reset() {
	s.tb.Helper()
	s.k2hr3.ClearFaults()
	s.cluster = s.k2hr3.AddCluster("shop", "orders")
	s.run(`
		systemctl stop k2hdkc-slave-agent chmpx 2>/dev/null || :
		rm -rf /etc/k2hdkc/slave.ini /var/lib/k2hdkc-slave-agent "$1"/* \
			/etc/systemd/system/chmpx.service /etc/systemd/system/chmpx.service.d "$3"
		systemctl daemon-reload
		systemctl reset-failed
		systemctl --quiet enable chmpx
		install -m 600 /dev/stdin /etc/k2hdkc/role-token <<-END
			$2
		END`, shmDir, s.cluster.RoleToken("slave", 0), agentOptionsFile)
	s.mark = s.log.count()
	s.begin = s.run("date +@%s.%6N")
}

// run runs a shell script with arguments, and returns what it prints.
func (s *slave) run(script string, args ...string) string {
	s.tb.Helper()
	r := s.try(script, args...)
	if r.Status != 0 {
		s.tb.Fatalf("%s: %v", script, r)
	}
	return strings.TrimSpace(r.Stdout)
}

// try is run for a script that may fail.
func (s *slave) try(script string, args ...string) Result {
	s.tb.Helper()
	r, err := s.Exec(deadline(s.tb), append([]string{"sh", "-euc", script, "sh"}, args...)...)
	if err != nil {
		s.tb.Fatalf("%s: %v", script, err)
	}
	return r
}

// server is the address of the n-th server node.
func server(n int) string { return fmt.Sprintf("203.0.113.%d", n) }

func serverCUK(n int) string { return fmt.Sprintf("0b7e6f10-4c1d-4f55-9f0e-7a2f6d1c1%03d", n) }

// join and leave make K2HR3 know of server nodes.
func (s *slave) join(numbers ...int) {
	for _, n := range numbers {
		s.cluster.Join(server(n), serverCUK(n), server(n))
	}
}

func (s *slave) leave(n int) { s.cluster.Leave(server(n), serverCUK(n)) }

// shows returns properties of a unit.
func (s *slave) shows(unit string, names ...string) map[string]string {
	s.tb.Helper()
	props := map[string]string{}
	for line := range strings.Lines(s.run(`systemctl show "$1" --property="$2"`, unit, strings.Join(names, ","))) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		props[key] = value
	}
	return props
}

func (s *slave) show(unit, name string) string {
	s.tb.Helper()
	return s.shows(unit, name)[name]
}

// wants checks properties of a unit, each NAME=VALUE.
func (s *slave) wants(unit string, want ...string) {
	s.tb.Helper()
	for _, w := range want {
		name, value, _ := strings.Cut(w, "=")
		if got := s.show(unit, name); got != value {
			s.tb.Errorf("%s: %s is %q, want %q", unit, name, got, value)
		}
	}
}

// revision is the one chmpx runs, and how many servers it lists.
func (s *slave) revision() (revision, servers int) {
	s.tb.Helper()
	return s.number("configuration file version"), s.number("server chmpxs")
}

// number returns a number out of what chmpxstatus prints.
func (s *slave) number(key string) int {
	s.tb.Helper()
	for line := range strings.Lines(s.run("chmpxstatus -conf " + slaveINI)) {
		name, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(name) != key && !strings.HasPrefix(strings.TrimSpace(name), key+" [") {
			continue
		}
		if _, inside, ok := strings.Cut(name, "["); ok {
			value = inside
		}
		n, err := strconv.Atoi(strings.Fields(value)[0])
		if err != nil {
			s.tb.Fatalf("chmpxstatus: %s: %v", line, err)
		}
		return n
	}
	s.tb.Fatalf("chmpxstatus does not show %q", key)
	return 0
}

// await waits for the agent to say something with all of these words in it, not
// looking at what an earlier await has seen.
func (s *slave) await(words ...string) agent.Record {
	s.tb.Helper()
	r, next, err := s.log.await(deadline(s.tb), s.mark, func(r agent.Record) bool {
		text := r.Message + " " + fmt.Sprint(r.Attrs)
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
	if err != nil {
		s.tb.Fatalf("the agent should have said %q: %v", words, err)
	}
	s.mark = next
	return r
}

// confirmed waits for the agent to have seen chmpx run the file in place.
func (s *slave) confirmed() agent.Record {
	s.tb.Helper()
	return s.await("chmpx runs the file in place")
}

// running brings the slave node to where it is most of the time: a file with
// three servers in place, and chmpx seen to run it.
func (s *slave) running() {
	s.tb.Helper()
	s.join(1, 2, 3)
	s.run("systemctl start k2hdkc-slave-agent")
	s.confirmed()
}

// settled waits for the unit's reload job, which may end a little after the
// agent has seen chmpx run the file.
func (s *slave) settled() {
	s.tb.Helper()
	until(s.tb, "the reload job to end", func() bool { return s.show(chmpxUnit, "ActiveState") != "reloading" })
}

// said returns what systemd has said about a unit since the subtest began, a
// line each.
func (s *slave) said(unit string) string {
	s.tb.Helper()
	return s.run(`journalctl --sync; journalctl --quiet --output=cat --since="$2" _PID=1 UNIT="$1"`, unit, s.begin)
}

// logFile is where the agent's log goes in place of the journal, which does not
// tell of a message before a quarter of a second has passed.
const logFile = "/var/log/agent.json"

// agentLog is what the agent has said since the machine's boot.
type agentLog struct {
	mu      sync.Mutex
	records []agent.Record
	changed chan struct{} // closed and replaced when records grow
}

// follow reads the agent's log for as long as the test lasts.
func follow(tb testing.TB, m *Machine) *agentLog {
	tb.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/root%s", m.leader, logFile))
	if err != nil {
		tb.Fatal(err)
	}
	l := &agentLog{changed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.Close()
		var rest []byte
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			b, err := io.ReadAll(f)
			if err != nil {
				return
			}
			rest = l.add(append(rest, b...))
			select {
			case <-tick.C:
			case <-tb.Context().Done():
				tick.Stop()
				return
			}
		}
	}()
	tb.Cleanup(func() { <-done })
	return l
}

// add takes whole lines, and returns what is not one yet.
func (l *agentLog) add(b []byte) (rest []byte) {
	for {
		line, after, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return b
		}
		b = after
		var r agent.Record
		if err := json.Unmarshal(line, &r); err != nil {
			r = agent.Record{Message: string(line), Level: "ERROR"}
		}
		l.mu.Lock()
		l.records = append(l.records, r)
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
	}
}

func (l *agentLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// await returns the first record from the from-th on for which ok holds, and
// the number of the one after it.
func (l *agentLog) await(ctx context.Context, from int, ok func(agent.Record) bool) (agent.Record, int, error) {
	for {
		l.mu.Lock()
		records, changed := l.records, l.changed
		l.mu.Unlock()
		for i := from; i < len(records); i++ {
			if ok(records[i]) {
				return records[i], i + 1, nil
			}
		}
		from = len(records)
		select {
		case <-changed:
		case <-ctx.Done():
			return agent.Record{}, from, context.Cause(ctx)
		}
	}
}

// since returns the records from the from-th on, as text.
func (l *agentLog) since(from int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, r := range l.records[from:] {
		fmt.Fprintf(&b, "%s %s %v\n", r.Level, r.Message, r.Attrs)
	}
	return b.String()
}
