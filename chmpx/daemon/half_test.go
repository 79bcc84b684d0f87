package daemon

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

func TestWhoRefusedChmpx(t *testing.T) {
	const (
		up      = "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"
		refused = "[SERVICE IN][DOWN][n/a][Nothing][NoSuspend]"
		out     = "[SERVICE OUT][DOWN][n/a][Nothing][NoSuspend]"
		joins   = "[SERVICE OUT][UP][ADD][Pending][NoSuspend]"
		leaves  = "[SERVICE IN][UP][DELETE][Done][NoSuspend]"
	)
	node := func(name, state string, sockets int) Node {
		return Node{Name: name, CtlPort: 8021, CUK: name, State: state, Sockets: sockets}
	}
	file := []Server{{"a", 8021, "a"}, {"b", 8021, "b"}, {"c", 8021, "c"}}
	for _, tt := range []struct {
		name  string
		nodes []Node
		want  string
	}{
		{"all is well", []Node{node("a", up, 1), node("b", up, 1), node("c", up, 1)}, ""},
		{"two refused it", []Node{node("a", up, 1), node("b", refused, 0), node("c", refused, 0)}, "b c"},
		{"one is out of service", []Node{node("a", up, 1), node("b", out, 0), node("c", refused, 0)}, "c"},
		{"none is up", []Node{node("a", out, 0), node("b", out, 0), node("c", refused, 0)}, ""},
		{"none is connected", []Node{node("a", up, 0), node("b", refused, 0), node("c", refused, 0)}, ""},
		{"a server joins", []Node{node("a", up, 1), node("b", refused, 0), node("d", joins, 1)}, ""},
		{"a server leaves", []Node{node("a", up, 1), node("b", refused, 0), node("c", leaves, 1)}, ""},
		{"one that the file does not list", []Node{node("a", up, 1), node("b", up, 1), node("c", up, 1), node("d", refused, 0)}, ""},
		{"down, and not yet disconnected", []Node{node("a", up, 1), node("b", refused, 1)}, ""},
	} {
		var got []string
		for _, i := range Refused(Status{Servers: tt.nodes}, file) {
			got = append(got, file[i].Name)
		}
		if words := strings.Join(got, " "); words != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, words, tt.want)
		}
	}
}

// server takes one connection, and answers what it is sent.
func server(t *testing.T, reply string) (port int, asked <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal.If(t, err)
	t.Cleanup(func() { l.Close() })
	c := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 64)
		n, _ := conn.Read(b)
		io.WriteString(conn, reply)
		c <- string(b[:n])
	}()
	return l.Addr().(*net.TCPAddr).Port, c
}

func TestAServerIsAskedToAnnounceItself(t *testing.T) {
	for reply, want := range map[string]string{
		"SUCCEED\n": "",
		"ERROR: The command can not be executed on the slave node.\n": "can not be executed",
		"": "without an answer",
	} {
		port, asked := server(t, reply)
		err := Peers{}.Announce(t.Context(), "127.0.0.1", port, port+1)
		if got := <-asked; got != "UPDATESTATUS\x00" {
			t.Errorf("it was sent %q", got)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", reply, err, want)
		}
	}
}

func TestTheOwnControlPortIsLeftAlone(t *testing.T) {
	here := func() ([]net.Addr, error) {
		_, n, err := net.ParseCIDR("198.51.100.0/24")
		n.IP = net.IPv4(198, 51, 100, 5)
		return []net.Addr{n}, err
	}
	for _, host := range []string{"127.0.0.1", "198.51.100.5"} {
		p := Peers{own: here, Timeout: time.Second}
		if err := p.Announce(t.Context(), host, 8031, 8031); err == nil || !strings.Contains(err.Error(), "left alone") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestWhetherAServerListens(t *testing.T) {
	port, _ := server(t, "")
	if err := (Peers{}).Reach(t.Context(), "127.0.0.1", port); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal.If(t, err)
	closed := l.Addr().(*net.TCPAddr).Port
	l.Close()
	if err := (Peers{}).Reach(t.Context(), "127.0.0.1", closed); err == nil {
		t.Error("nothing listens there")
	}
}
