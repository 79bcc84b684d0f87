package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"k2hdkc-slave-agent/render/regularfile"
)

// Socket is where the metrics can be asked for. The zero Socket is none.
type Socket struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or a path
}

// Exposer shows metrics where the options want it. Its methods are called one at a time.
type Exposer struct {
	Metrics *Metrics

	socket Socket
	ln     net.Listener // nil: none of its own
	passed []net.Listener

	textfile string
	stop     func() // ends the textfile's keeper and waits for that; nil: there is none
}

// TakePassed serves the sockets that systemd has passed to this process (sd_listen_fds(3)), if any.
func (e *Exposer) TakePassed() error {
	listeners, err := activation.Listeners()
	if err != nil {
		return err
	}
	for i, ln := range listeners {
		if ln == nil {
			return fmt.Errorf("socket %d of those that systemd passes takes no connections: its unit needs ListenStream=", i+1)
		}
		e.passed = append(e.passed, ln)
		go e.Metrics.serve(ln)
	}
	return nil
}

// Listen serves a socket in place of the one before. An address that is in use, or no address of
// this host, is an error and changes nothing.
func (e *Exposer) Listen(s Socket) error {
	if s == e.socket {
		return nil
	}
	var ln net.Listener
	if s != (Socket{}) {
		var err error
		if ln, err = listen(s); err != nil {
			return err
		}
		go e.Metrics.serve(ln)
	}
	if e.ln != nil {
		_ = e.ln.Close()
	}
	e.socket, e.ln = s, ln
	return nil
}

// WriteTo keeps the metrics in a file in place of the one before; empty: in none.
func (e *Exposer) WriteTo(path string, log *slog.Logger) {
	if path == e.textfile {
		return
	}
	if e.stop != nil {
		e.stop()
		e.stop = nil
	}
	e.textfile = path
	if path == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Metrics.keepTextfile(ctx, path, log)
	}()
	e.stop = func() {
		cancel()
		<-done
	}
}

// Close ends all of it.
func (e *Exposer) Close() {
	_ = e.Listen(Socket{})
	for _, ln := range e.passed {
		_ = ln.Close()
	}
	e.WriteTo("", nil)
}

// listenLimit bounds what has to be found out before: a host's address by its name, or whether
// somebody listens at a socket that is there.
const listenLimit = 5 * time.Second

// listen opens a socket. Everybody on this host may connect to one that is a file: what there is to
// read is no secret.
func listen(s Socket) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(context.Background(), listenLimit)
	defer cancel()
	if s.Network != "unix" {
		if err := regularfile.CheckNames(); err != nil {
			return nil, err
		}
		return new(net.ListenConfig).Listen(ctx, s.Network, s.Address)
	}
	removeStale(ctx, s.Address)
	ln, err := new(net.ListenConfig).Listen(ctx, s.Network, s.Address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(s.Address, 0o666); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return ln, nil
}

// removeStale removes a socket that an agent has left which was killed: nobody listens there.
func removeStale(ctx context.Context, path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
}
