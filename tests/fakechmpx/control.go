package fakechmpx

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// request is one connection to the control port, which carries one command.
type request struct {
	conn    net.Conn
	command string
}

// listen opens the control port if the environment asks for it. Most tests need
// none, and the agent must never use it.
func (p *process) listen() (<-chan *request, error) {
	if os.Getenv(EnvPort) == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.slave.self.CtlPort))
	if err != nil {
		return nil, err
	}
	requests := make(chan *request)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go receive(conn, requests)
		}
	}()
	return requests, nil
}

// receive reads what arrives first; that is the command (E.1).
func receive(conn net.Conn, requests chan<- *request) {
	buf := make([]byte, 8191)
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _ := conn.Read(buf)
	requests <- &request{conn, strings.Trim(string(buf[:n]), "\x00\r\n")}
}

// onControl does what every connection from the slave's own host does: a load,
// whose result is cached and never propagated (D.6). A failing load is fatal.
func (p *process) onControl(r *request) (end bool) {
	defer r.conn.Close()
	c, err := ReadConfig(p.path, p.host)
	p.dir.slow()
	if err != nil && !os.IsNotExist(err) {
		return p.after(Event{Effect: Died, Err: err})
	}
	if err == nil {
		p.slave.Absorb(c)
	}
	word, _, _ := strings.Cut(r.command, " ")
	switch strings.ToUpper(word) {
	case "":
	case "VERSION":
		fmt.Fprintln(r.conn, "Version 1.0.113 (commit: standin) with OpenSSL")
	default:
		fmt.Fprintf(r.conn, "Unknown command(%s)\n", word)
	}
	return false
}
