package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"k2hdkc-slave-agent/render/regularfile"
)

// Refused returns the places in file of the servers that this chmpx has tried once and will not
// try again, although other servers are up: they did not list this host yet when it started.
// Nothing at this host heals that but a restart of chmpx (docs/chmpx.md J). A server that is
// really down in a ring that does not merge by itself looks the same; its data port tells them
// apart (Peers.Reach).
//
// While any server joins, leaves or is being merged there are none: that passes by itself.
func Refused(st Status, file []Server) (refused []int) {
	connected := false
	for _, n := range st.Servers {
		if n.merging() {
			return nil
		}
		connected = connected || n.Up() && n.Sockets > 0
	}
	if !connected {
		return nil // chmpx keeps trying
	}
	for i, p := range Pairs(st, file)[:len(file)] {
		if p.InRing && p.Node.ServiceIn() && !p.Node.Up() && p.Node.Sockets == 0 {
			refused = append(refused, i)
		}
	}
	return refused
}

// WordsRefused is the state in words of a server that has refused chmpx, and is up as far as can be
// seen (Refused, Peers.Reach).
const WordsRefused = "down, refused this host"

// Connected tells whether chmpx has a connection to a server that is up. Without one it must not be
// looked at too often, see Starves.
func (s Status) Connected() bool {
	return slices.ContainsFunc(s.Servers, func(n Node) bool { return n.Up() && n.Sockets > 0 })
}

// Starves is the least time between two runs of chmpxstatus while chmpx has no server that is up:
// it looks for one when nothing has happened for 100 ms, and each run is something that happens
// (docs/chmpx.md J.2).
const Starves = 500 * time.Millisecond

// merging tells whether the server joins, leaves, or takes part in a merge.
func (n Node) merging() bool {
	return slices.ContainsFunc([]string{"[ADD]", "[DELETE]", "[Pending]", "[Doing]", "[Done]"}, func(part string) bool { return strings.Contains(n.State, part) })
}

// Peers reaches server nodes over the network, as chmpx does.
type Peers struct {
	Timeout time.Duration // for one server; 0: two seconds

	own func() ([]net.Addr, error) // nil: this host's addresses
}

const peerTimeout = 2 * time.Second

// Reach makes a connection to a server's data port and closes it: an error is that nothing listens
// there. A server takes the connection of a host that it does not list too, so this does not tell
// whether it would let chmpx in (docs/chmpx.md J.6).
func (p Peers) Reach(ctx context.Context, host string, port int) error {
	conn, err := p.connect(ctx, host, port)
	if err != nil {
		return err
	}
	return conn.Close()
}

// updateStatus is what `chmpxlinetool statusupdate` sends (docs/chmpx.md E.4).
const updateStatus = "UPDATESTATUS\x00"

// mostReply is more than a server's answer to that.
const mostReply = 4096

// Announce asks a server, at its control port, to announce itself anew to its ring. Each slave
// that it lists connects to it then; only the server's time stamp changes (docs/chmpx.md J.3).
// ownCtlPort is the control port of this host's chmpx, which Announce never opens.
func (p Peers) Announce(ctx context.Context, host string, ctlPort, ownCtlPort int) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	if ctlPort == ownCtlPort {
		if err := p.elsewhere(ctx, host); err != nil {
			return err
		}
	}
	conn, err := p.connect(ctx, host, ctlPort)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, updateStatus); err != nil {
		return err
	}
	reply, err := io.ReadAll(io.LimitReader(conn, mostReply))
	words := strings.TrimSpace(strings.TrimRight(string(reply), "\x00"))
	switch {
	case strings.HasPrefix(words, "SUCCEED"):
		return nil
	case err != nil:
		return err
	case words == "":
		return fmt.Errorf("%s closed the connection without an answer: it takes no commands from this host", host)
	}
	line, _, _ := strings.Cut(words, "\n")
	return fmt.Errorf("%s answers %.200q", host, line)
}

func (p Peers) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return peerTimeout
}

func (p Peers) connect(ctx context.Context, host string, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	if err := regularfile.CheckNames(); err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// elsewhere returns an error unless host is known to be another one than this.
func (p Peers) elsewhere(ctx context.Context, host string) error {
	if err := regularfile.CheckNames(); err != nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	own := p.own
	if own == nil {
		own = net.InterfaceAddrs
	}
	here, err := own()
	if err != nil {
		return err
	}
	for _, a := range addrs {
		local := slices.ContainsFunc(here, func(h net.Addr) bool {
			prefix, err := netip.ParsePrefix(h.String())
			return err == nil && prefix.Addr().Unmap() == a.Unmap()
		})
		if local || a.IsLoopback() {
			return fmt.Errorf("%s is this host: its chmpx's own control port is left alone", host)
		}
	}
	return nil
}
