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
)

// What a slave node is made of.
const (
	AgentUnit   = "k2hdkc-slave-agent.service"
	ChmpxUnit   = "chmpx.service"
	INI         = "/etc/k2hdkc/slave.ini"
	DropIn      = "/usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	ChmpxMemory = "/var/lib/antpickax"
)

// Names it has. K2HR3 is at the test's end of its cable.
const (
	Name  = "app-1.shop.example"
	K2HR3 = "k2hr3.shop.example"
	CUK   = "0b7e6f10-4c1d-4f55-9f0e-7a2f6d1c0001"
)

// Config is the agent's configuration file on it: as the packages' own, with the
// least that has to be set.
const Config = "[k2hr3]\napi-uri = http://" + K2HR3 + "\nrole = yrn:yahoo:::shop:role:orders/slave\n[slave]\ncuk = " + CUK + "\n"

// Slave is a machine with K2HR3 at the test's end of its cable, port 80, where
// the tenant shop has the cluster orders.
type Slave struct {
	*machine.Machine
	TB      testing.TB // of the subtest that has it
	K2HR3   *fakek2hr3.Server
	Cluster *fakek2hr3.Cluster

	begin string // of what Said returns, as journalctl takes it
}

// New boots the machine. It has the programs that o brings; o.Name and o.Outside
// are set.
func New(t *testing.T, o machine.Options) *Slave {
	t.Helper()
	o.Name, o.Outside = Name, K2HR3
	s := &Slave{Machine: machine.ForTest(t, o), TB: t, K2HR3: fakek2hr3.New()}
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

// Run runs a shell script with arguments, and returns what it prints.
func (s *Slave) Run(script string, args ...string) string {
	s.TB.Helper()
	r := s.Try(script, args...)
	if r.Status != 0 {
		s.TB.Fatalf("%s: %v", script, r)
	}
	return strings.TrimSpace(r.Stdout)
}

// Try is Run for a script that may fail.
func (s *Slave) Try(script string, args ...string) machine.Result {
	s.TB.Helper()
	r, err := s.Exec(machine.Deadline(s.TB), append([]string{"sh", "-euc", script, "sh"}, args...)...)
	if err != nil {
		s.TB.Fatalf("%s: %v", script, err)
	}
	return r
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

// Shows returns properties of a unit.
func (s *Slave) Shows(unit string, names ...string) map[string]string {
	s.TB.Helper()
	props := map[string]string{}
	for line := range strings.Lines(s.Run(`systemctl show "$1" --property="$2"`, unit, strings.Join(names, ","))) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		props[key] = value
	}
	return props
}

// Show returns one property of a unit.
func (s *Slave) Show(unit, name string) string {
	s.TB.Helper()
	return s.Shows(unit, name)[name]
}

// Wants checks properties of a unit, each NAME=VALUE.
func (s *Slave) Wants(unit string, want ...string) {
	s.TB.Helper()
	for _, w := range want {
		name, value, _ := strings.Cut(w, "=")
		if got := s.Show(unit, name); got != value {
			s.TB.Errorf("%s: %s is %q, want %q", unit, name, got, value)
		}
	}
}

// Revision is the one chmpx runs, and how many servers it lists.
func (s *Slave) Revision() (revision, servers int) {
	s.TB.Helper()
	return s.Number("configuration file version"), s.Number("server chmpxs")
}

// Number returns a number out of what chmpxstatus prints.
func (s *Slave) Number(key string) int {
	s.TB.Helper()
	for line := range strings.Lines(s.Run("chmpxstatus -conf " + INI)) {
		name, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(name) != key && !strings.HasPrefix(strings.TrimSpace(name), key+" [") {
			continue
		}
		if _, inside, ok := strings.Cut(name, "["); ok {
			value = inside
		}
		n, err := strconv.Atoi(strings.Fields(value)[0])
		if err != nil {
			s.TB.Fatalf("chmpxstatus: %s: %v", line, err)
		}
		return n
	}
	s.TB.Fatalf("chmpxstatus does not show %q", key)
	return 0
}

// Settled waits for chmpx's reload job, which may end a little after the agent has
// seen chmpx run the file.
func (s *Slave) Settled() {
	s.TB.Helper()
	machine.Until(s.TB, "the reload job to end", func() bool { return s.Show(ChmpxUnit, "ActiveState") != "reloading" })
}

// Begin begins anew what Said returns.
func (s *Slave) Begin() {
	s.TB.Helper()
	s.begin = s.Run("date +@%s.%6N")
}

// Since is when Begin was called, as journalctl takes it.
func (s *Slave) Since() string { return s.begin }

// Said returns what systemd has said about a unit since Begin, a line each.
func (s *Slave) Said(unit string) string {
	s.TB.Helper()
	return s.Run(`journalctl --sync; journalctl --quiet --output=cat --since="$2" _PID=1 UNIT="$1"`, unit, s.begin)
}
