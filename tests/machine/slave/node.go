package slave

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/realagent"
)

// What a slave node is made of.
const (
	Package     = "k2hdkc-slave-agent"
	AgentUnit   = "k2hdkc-slave-agent.service"
	ChmpxUnit   = "chmpx.service"
	INI         = "/etc/k2hdkc/slave.ini"
	ConfigFile  = "/etc/k2hdkc/slave-agent.ini"
	TokenFile   = "/etc/k2hdkc/role-token"
	DropIn      = "/usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	LeftDropIn  = "/etc/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf" // by a removal
	ChmpxMemory = "/var/lib/antpickax"
)

// Node is a machine that is, or is to be, a slave node.
type Node struct {
	machine.Host
	TB   testing.TB // of the subtest that has it
	File string     // that chmpx runs

	begin string // of what Said and Log return, as journalctl takes it; empty: the boot
}

// Run runs a shell script with arguments, and returns what it prints. It has to
// succeed.
func (n *Node) Run(script string, args ...string) string {
	n.TB.Helper()
	r := n.Try(script, args...)
	if r.Status != 0 {
		n.TB.Fatalf("%s: %v", script, r)
	}
	return strings.TrimSpace(r.Stdout)
}

// Try is Run for a script that may fail.
func (n *Node) Try(script string, args ...string) machine.Result {
	n.TB.Helper()
	r, err := n.Exec(machine.Deadline(n.TB), append([]string{"sh", "-euc", script, "sh"}, args...)...)
	if err != nil {
		n.TB.Fatalf("%s: %v", script, err)
	}
	return r
}

// Boot reboots the machine.
func (n *Node) Boot() {
	n.TB.Helper()
	if err := n.Reboot(machine.Deadline(n.TB)); err != nil {
		n.TB.Fatal(err)
	}
}

// Put writes a text to a file of the machine, by a rename.
func (n *Node) Put(path, text string) {
	n.TB.Helper()
	if err := n.CopyIn(machine.Deadline(n.TB), path, 0o644, strings.NewReader(text)); err != nil {
		n.TB.Fatal(err)
	}
}

// Shows returns properties of a unit.
func (n *Node) Shows(unit string, names ...string) map[string]string {
	n.TB.Helper()
	props := map[string]string{}
	for line := range strings.Lines(n.Run(`systemctl show "$1" --property="$2"`, unit, strings.Join(names, ","))) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		props[key] = value
	}
	return props
}

// Show returns one property of a unit.
func (n *Node) Show(unit, name string) string {
	n.TB.Helper()
	return n.Shows(unit, name)[name]
}

// Life identifies a unit's run: it is another one after every start.
func (n *Node) Life(unit string) string {
	n.TB.Helper()
	return n.Run(`systemctl show "$1" --property=MainPID,InvocationID,NRestarts`, unit)
}

// Wants checks properties of a unit, each NAME=VALUE. A unit that is reloaded just now is active:
// the reload may begin after chmpx has the file.
func (n *Node) Wants(unit string, want ...string) {
	n.TB.Helper()
	for _, w := range want {
		name, value, _ := strings.Cut(w, "=")
		got := n.Show(unit, name)
		if w == "ActiveState=active" && got == "reloading" {
			n.Settled()
			got = n.Show(unit, name)
		}
		if got != value {
			n.TB.Errorf("%s: %s is %q, want %q", unit, name, got, value)
		}
	}
}

// Answers reports whether chmpxstatus finds the chmpx of the file.
func (n *Node) Answers() bool {
	n.TB.Helper()
	return n.Try(`chmpxstatus -conf "$1"`, n.File).Status == 0
}

// Revision is the one chmpx runs, and how many servers it lists.
func (n *Node) Revision() (revision, servers int) {
	n.TB.Helper()
	return n.Number("configuration file version"), n.Number("server chmpxs")
}

// Servers is how many servers chmpx lists; -1 if it does not answer.
func (n *Node) Servers() int {
	n.TB.Helper()
	if !n.Answers() {
		return -1
	}
	return n.Number("server chmpxs")
}

// WantServers checks how many servers chmpx lists.
func (n *Node) WantServers(want int) {
	n.TB.Helper()
	if have := n.Servers(); have != want {
		n.TB.Errorf("chmpx has %d servers, want %d", have, want)
	}
}

// AwaitServers waits until chmpx lists that many.
func (n *Node) AwaitServers(want int) {
	n.TB.Helper()
	machine.Until(n.TB, fmt.Sprintf("chmpx to have %d servers", want), func() bool { return n.Servers() == want })
}

// Confirmed waits until chmpx runs the file, which lists that many servers, and
// the agent has said since Begin that it does.
func (n *Node) Confirmed(servers int) {
	n.TB.Helper()
	n.AwaitServers(servers)
	machine.Until(n.TB, "the agent to see chmpx run the file", func() bool { return strings.Contains(n.Log(), realagent.Confirmed) })
	want := n.Run(`sed -n 's/^FILEVERSION *= *//p' "$1"`, n.File)
	if revision, _ := n.Revision(); strconv.Itoa(revision) != want {
		n.TB.Errorf("chmpx runs revision %d, the file is %s", revision, want)
	}
}

// Number returns a number out of what chmpxstatus prints.
func (n *Node) Number(key string) int {
	n.TB.Helper()
	for line := range strings.Lines(n.Run(`chmpxstatus -conf "$1"`, n.File)) {
		name, value, _ := strings.Cut(line, "=")
		if name, inside, ok := strings.Cut(name, "["); ok && strings.TrimSpace(name) == key {
			value = inside
		} else if strings.TrimSpace(name) != key {
			continue
		}
		number, err := strconv.Atoi(strings.Fields(value)[0])
		if err != nil {
			n.TB.Fatalf("chmpxstatus: %s: %v", line, err)
		}
		return number
	}
	n.TB.Fatalf("chmpxstatus does not show %q", key)
	return 0
}

// Settled waits for chmpx's reload job, which may end a little after the agent has
// seen chmpx run the file.
func (n *Node) Settled() {
	n.TB.Helper()
	machine.Until(n.TB, "the reload job to end", func() bool { return n.Show(ChmpxUnit, "ActiveState") != "reloading" })
}

// Begin makes Said and Log return only what comes from now on.
func (n *Node) Begin() {
	n.TB.Helper()
	n.begin = n.Run("date +@%s.%6N")
}

// Said returns what systemd has said about a unit since Begin, a line each.
func (n *Node) Said(unit string) string {
	n.TB.Helper()
	return n.journal("_PID=1", "UNIT="+unit)
}

// Log returns what the agent has said since Begin, a line each.
func (n *Node) Log(more ...string) string {
	n.TB.Helper()
	return n.journal(append(more, "_SYSTEMD_UNIT="+AgentUnit)...)
}

func (n *Node) journal(match ...string) string {
	n.TB.Helper()
	args := append([]string{"--quiet", "--boot", "--output=cat"}, match...)
	if n.begin != "" {
		args = append(args, "--since="+n.begin)
	}
	return n.Run(`journalctl --sync; exec journalctl "$@"`, args...)
}

// Names a slave that New boots has. K2HR3 is at the test's end of its cable.
const (
	Name  = "app-1.shop.example"
	K2HR3 = "k2hr3.shop.example"
	CUK   = "0b7e6f10-4c1d-4f55-9f0e-7a2f6d1c0001"
)

// Config is the agent's configuration file on it: as the packages' own, with the
// least that has to be set.
const Config = "[k2hr3]\napi-uri = http://" + K2HR3 + "\nrole = yrn:yahoo:::shop:role:orders/slave\n[slave]\ncuk = " + CUK + "\n"

// Slave is a container with K2HR3 at the test's end of its cable, port 80, where
// the tenant shop has the cluster orders.
type Slave struct {
	*Node
	Machine *machine.Machine
	K2HR3   *fakek2hr3.Server
	Cluster *fakek2hr3.Cluster
}

// New boots the machine. It has the programs that o brings; o.Name and o.Outside
// are set.
func New(t *testing.T, o machine.Options) *Slave {
	t.Helper()
	o.Name, o.Outside = Name, K2HR3
	o.Files = append(o.Files, Queues()...)
	m := machine.ForTest(t, o)
	s := &Slave{Node: &Node{Host: m, TB: t, File: INI}, Machine: m, K2HR3: fakek2hr3.New()}
	s.K2HR3.Hold(time.Minute)
	s.Cluster = s.K2HR3.AddCluster("shop", "orders")
	l, err := net.Listen("tcp", s.HostAddr().String()+":80")
	if err != nil {
		t.Fatal(err)
	}
	server := fakek2hr3.NewHTTPServer(s.K2HR3)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return s
}

// Queues are files that let a container have message queues as deep as chmpx needs them, as a VM
// can by itself: what is below /proc/sys is read-only in a container.
func Queues() []machine.File {
	const unit = "/etc/systemd/system/"
	return []machine.File{
		{Path: unit + "basic.target.d/queues.conf", Text: "[Unit]\nWants=queues.service\n"},
		{Path: unit + "queues.service", Text: "[Unit]\nDefaultDependencies=no\nBefore=basic.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n" +
			"ExecStart=/bin/sh -c 'mount -o remount,bind,rw /proc/sys && echo 1025 >/proc/sys/fs/mqueue/msg_max; mount -o remount,bind,ro /proc/sys'\n"},
	}
}

// As returns the slave for a subtest.
func (s *Slave) As(tb testing.TB) *Slave {
	sub, node := *s, *s.Node
	node.TB, sub.Node = tb, &node
	return &sub
}

// server is the address of the n-th server node.
func server(n int) string { return fmt.Sprintf("203.0.113.%d", n) }

func serverCUK(n int) string { return fmt.Sprintf("0b7e6f10-4c1d-4f55-9f0e-7a2f6d1c1%03d", n) }

// Join and Leave make K2HR3 know of server nodes.
func (s *Slave) Join(numbers ...int) {
	for _, n := range numbers {
		s.Cluster.Join(server(n), serverCUK(n), server(n))
	}
}

func (s *Slave) Leave(n int) { s.Cluster.Leave(server(n), serverCUK(n)) }
