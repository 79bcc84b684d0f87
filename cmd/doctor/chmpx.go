package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/render/regularfile"
)

func chmpxChecks() []check {
	return []check{
		{id: "limits", about: "fs.mqueue of the kernel, and MAXCHMPX of the configuration", needs: []string{"file"}, look: lookLimits},
		{id: "chmpx", about: "the chmpx that runs, by chmpxstatus", needs: []string{"file"}, look: lookChmpx},
		{id: "revision", about: "the revision of the file that chmpx runs", needs: []string{"chmpx"}, look: lookRevision},
		{id: "control-port", about: "chmpx's control port, which nobody opens for this", needs: []string{"chmpx"}, look: lookControlPort},
		{id: "servers", about: "the server nodes, as chmpx has them; the ports of those it does not reach", needs: []string{"chmpx"}, look: lookServers},
	}
}

// number reads a number that the kernel shows.
func (x *exam) number(name string) (int, error) {
	b, err := regularfile.Read(filepath.Join(x.Proc, name), regularfile.Small)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func lookLimits(_ context.Context, x *exam) *finding {
	c, p := x.inPlace().report.Config, x.chmpx()
	if c == nil {
		return skip("the file names certificates that are not there").after("certificates")
	}
	if p.err == nil && p.status.MaxNodes > 0 && len(c.Servers) >= p.status.MaxNodes {
		return bad("raise MAXCHMPX in the RESOURCE, and restart chmpx", "chmpx has room for %d nodes, and the file lists %s", p.status.MaxNodes, prose.Count(len(c.Servers), "server node"))
	}
	most, err := x.number("sys/fs/mqueue/msg_max")
	if err != nil {
		return skip("this kernel does not show fs.mqueue.msg_max")
	}
	needs, programs := c.MaxMQServer+c.MaxMQClient, c.MaxMQPerClient+c.MaxMQServer
	who, known := x.reader()
	set := "sysctl -w fs.mqueue.msg_max=1025, and a line in /etc/sysctl.d that keeps it"
	switch {
	case p.err != nil && known && who.UID != 0 && most < needs:
		return bad(set, "fs.mqueue.msg_max is %d, and chmpx as %s needs %d (MAXMQSERVER + MAXMQCLIENT) to start", most, who.name, needs)
	case most < programs && x.Options.Unit != "": // else chmpx may run where that cannot be set, and so its programs
		return warn(set, "fs.mqueue.msg_max is %d, and a program that is not root's needs %d to join chmpx", most, programs)
	}
	return good("room for %d nodes, fs.mqueue.msg_max %d", c.MaxChmpx, most)
}

func lookChmpx(_ context.Context, x *exam) *finding {
	p, command := x.chmpx(), x.Options.StatusCommand
	switch {
	case p.err == nil:
		return good("chmpx runs: pid %d, since %s", p.status.PID, p.status.Started.Format(time.RFC3339))
	case errors.Is(p.err, errNoFile):
		return blind(skip("the file names certificates that are not there")).after("certificates")
	case command == "":
		return blind(skip("status-command is empty, so nothing shows whether chmpx runs"))
	case errors.Is(p.err, daemon.ErrNotInstalled):
		return blind(skip("%v, so nothing shows whether chmpx runs: install chmpx, or name the program in status-command", p.err))
	case errors.Is(p.err, daemon.ErrNotRunning):
		start := "start chmpx"
		if x.Options.Unit != "" {
			start = "systemctl start " + x.Options.Unit + "; why it ended: journalctl -u " + x.Options.Unit
		}
		return bad(start, "no chmpx runs with the GROUP and SELFCTLPORT of the file").after(append([]string{"unit", "drop-in", "rivals", "limits"}, whyChmpxEnds...)...)
	case errors.Is(p.err, fs.ErrPermission) && !isRoot():
		return blind(unseen("chmpx's memory: %v", p.err))
	case errors.Is(p.err, fs.ErrPermission):
		return blind(warn("run doctor as chmpx's user", "%v", p.err))
	case errors.Is(p.err, daemon.ErrCannotRun):
		return bad("install chmpx anew: a library is missing, or it is of another architecture", "%v", p.err)
	case errors.Is(p.err, daemon.ErrTimeout), errors.Is(p.err, context.DeadlineExceeded):
		return bad("look what it hangs on: the disk of chmpx's memory, or a file system; the agent goes by its interval meanwhile", "%s hangs", command)
	}
	return bad("run "+command+" -conf "+x.File.Path+" by hand", "%v", p.err)
}

// confirmWithin is how long chmpx may take to load a file that was replaced just now.
const confirmWithin = 2500 * time.Millisecond

func lookRevision(ctx context.Context, x *exam) *finding {
	c := x.inPlace().report.Config
	if c == nil {
		return skip("the file in place does not load")
	}
	st := x.chmpx().status
	for until := time.Now().Add(confirmWithin); st.Revision != c.FileVersion && time.Now().Before(until) && sleep(ctx, again); {
		if now, err := x.Chmpx(ctx, c.Group, max(c.SelfCtlPort, 0)); err == nil {
			st = now
		}
		if now := x.reread(); now != 0 {
			c = &chmpx.Config{Group: c.Group, SelfCtlPort: c.SelfCtlPort, FileVersion: now}
		}
	}
	if st.Revision != c.FileVersion && daemon.Stopped(x.Proc, x.Cgroups, st.PID) {
		return bad(fmt.Sprintf("kill -CONT %d, end the debugger that holds it, or thaw its container (docker unpause, systemctl thaw)", st.PID), "the file is revision %d, and chmpx, pid %d, is stopped on revision %d: it does nothing at all", c.FileVersion, st.PID, st.Revision)
	}
	if st.Revision != c.FileVersion {
		return bad("restart chmpx when it suits its clients: it has lost its watch on the file, or something holds the old one", "the file is revision %d, and chmpx runs revision %d", c.FileVersion, st.Revision).
			after("links", "looks", "drop-in")
	}
	return good("chmpx runs revision %d", st.Revision)
}

// reread returns the FILEVERSION of the file in place, which may have been replaced meanwhile; 0:
// it has none.
func (x *exam) reread() int {
	b, err := regularfile.Read(x.File.Path, regularfile.Small)
	if err != nil {
		return 0
	}
	c, _ := chmpx.Load(b, allThere)
	if c == nil {
		return 0
	}
	return c.FileVersion
}

const fromPeers = "whether the others reach it (security group, firewall) shows only from a server node: nc -vz %s %d"

func lookControlPort(_ context.Context, x *exam) *finding {
	c, st := x.inPlace().report.Config, x.chmpx().status
	if c == nil || c.SelfCtlPort <= 0 {
		return skip("the configuration names no SELFCTLPORT")
	}
	if !x.sameNetwork(st.PID) {
		return unseen("the sockets of chmpx (process %d), which has a network of its own, or is another user's", st.PID)
	}
	listens, err := daemon.Listens(x.Proc, c.SelfCtlPort)
	me := st.Self.Name
	if me == "" {
		me = "THIS-HOST"
	}
	switch {
	case err != nil:
		return skip("the kernel does not show its sockets: %v", err)
	case !listens:
		return bad("restart chmpx; another program may have had the port (ss -ltnp)", "nothing listens on chmpx's control port %d, so the servers cannot reach it", c.SelfCtlPort).
			at("the kernel's list of sockets, port %d", c.SelfCtlPort)
	}
	return good("chmpx listens on %d; "+fromPeers, c.SelfCtlPort, me, c.SelfCtlPort).at("the kernel's list of sockets, port %d", c.SelfCtlPort)
}

// sameNetwork reports whether a process is in this one's network namespace; also if that cannot be
// told, but only to root is that unlikely.
func (x *exam) sameNetwork(pid int) bool {
	mine, errMine := os.Readlink(filepath.Join(x.Proc, "self/ns/net"))
	its, errIts := os.Readlink(filepath.Join(x.Proc, strconv.Itoa(pid), "ns/net"))
	return errMine == nil && errIts == nil && mine == its
}

const (
	// probeLimit is how long a server may take to accept a connection, and maxProbes how many are
	// tried: each costs a server that is well a load of its file (docs/chmpx.md J.6), so only those
	// are that chmpx does not reach.
	probeLimit = 1500 * time.Millisecond
	maxProbes  = 16
)

func lookServers(ctx context.Context, x *exam) *finding {
	c, st := x.inPlace().report.Config, x.chmpx().status
	if c == nil {
		return skip("the file in place does not load")
	}
	var file []daemon.Server
	for _, n := range c.Servers {
		file = append(file, daemon.Server{Name: n.Name, CtlPort: n.CtlPort, CUK: n.CUK})
	}
	up, others := 0, 0
	var down []chmpx.Node
	missing := false // one of them from chmpx, which an older file in it explains
	for i, p := range daemon.Pairs(st, file) {
		switch {
		case p.InRing && p.Node.Up():
			up++
			if !p.InFile {
				others++
			}
		case p.InFile:
			down, missing = append(down, c.Servers[i]), missing || !p.InRing
		}
	}
	if len(down) == 0 && others == 0 {
		return good("all %s are up", prose.Count(up, "server node"))
	}
	if len(down) == 0 {
		return warn("the agent asks K2HR3 for the difference by itself; if it lasts, the server is not registered in K2HR3", "chmpx knows %s that the file does not list", prose.Count(others, "server node")).after("revision")
	}
	words := strings.Join(reach(ctx, down[:min(len(down), maxProbes)]), "; ")
	if len(down) > maxProbes {
		words += fmt.Sprintf("; and %d more", len(down)-maxProbes)
	}
	const remedy = "start chmpx and k2hdkc there, and let the network's rules (security group, firewall) allow this host to connect to its port; a server that takes connections and is down for chmpx refuses this host: restart chmpx here, or have that server announce itself (chmpxlinetool statusupdate)"
	if up == 0 {
		return bad(remedy, "chmpx reaches no server node: %s", words).after("clock")
	}
	f := warn(remedy, "chmpx reaches %d of %d server nodes: %s", up, up+len(down)-others, words)
	if missing {
		f.after("revision")
	}
	return f
}

// reach tries to connect to servers, all at once, and says what came of it.
func reach(ctx context.Context, servers []chmpx.Node) []string {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	words := make([]string, len(servers))
	var wait sync.WaitGroup
	for i, n := range servers {
		wait.Go(func() {
			to := net.JoinHostPort(n.Name, strconv.Itoa(n.Port))
			words[i] = to + " "
			conn, err := dial(ctx, to)
			if err == nil {
				conn.Close()
				words[i] += "takes connections, and is down for chmpx"
				return
			}
			words[i] += reason(err)
		})
	}
	wait.Wait()
	slices.Sort(words)
	return slices.Compact(words)
}

func dial(ctx context.Context, to string) (net.Conn, error) {
	if err := regularfile.CheckNames(); err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", to)
}

// reason is why a connection was not made, in a few words.
func reason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "does not resolve here"
	case errors.As(err, &dns):
		return "cannot be resolved: the name service gives no answer"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &op) && op.Timeout():
		return "does not answer"
	case errors.As(err, &op):
		return fmt.Sprint(op.Err)
	}
	return err.Error()
}
