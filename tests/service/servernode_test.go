package service

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/netns"
	"k2hdkc-slave-agent/tests/packages"
)

// serverINI is a server node's configuration file, on its host.
const serverINI = "/etc/antpickax/server.ini"

// serverNode is the first server node of the cluster, with the real chmpx and k2hdkc, on a host of
// its own that a cable joins to the machine.
type serverNode struct {
	host *netns.Host
	disk string
}

// newServerNode is nil where k2hdkc is not on PATH. K2HR3 has to have the server node already.
func newServerNode(s *installed) *serverNode {
	s.TB.Helper()
	programs, real := packages.K2hdkc()
	if !real {
		return nil
	}
	n := &serverNode{disk: s.TB.TempDir()}
	folders := map[string]string{}
	for _, dir := range []string{"/etc", "/run", "/var/lib"} {
		folders[dir] = filepath.Join(n.disk, dir)
	}
	for _, dir := range []string{filepath.Dir(serverINI), "/run", slave.ChmpxMemory} {
		must(s.TB, os.MkdirAll(filepath.Join(n.disk, dir), 0o755))
	}
	must(s.TB, os.WriteFile(filepath.Join(n.disk, "/etc/hosts"), []byte("127.0.0.1 localhost\n"+s.Addr().String()+" "+slave.Name+"\n"), 0o644))
	must(s.TB, os.WriteFile(filepath.Join(n.disk, "/etc/nsswitch.conf"), []byte("hosts: files\n"), 0o644))
	n.host = netns.New(s.TB, netns.Spec{Name: "server-1", Folders: folders})
	n.plug(s)
	n.takeUp(s)
	n.starts(s, programs[0])
	return n
}

// plug lays the cable. Either end has the other's address and no other.
func (n *serverNode) plug(s *installed) {
	s.TB.Helper()
	server, slave, machine := s.Cluster.Servers()[0].Addr, s.Addr().String(), s.Machine.Network()
	for _, args := range [][]string{
		{"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "servers", "netns", machine},
		{"ip", "addr", "add", server + "/32", "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "route", "add", slave, "dev", "eth0"},
		{"nsenter", "--net=" + machine, "ip", "link", "set", "servers", "up"},
		{"nsenter", "--net=" + machine, "ip", "route", "add", server, "dev", "servers", "src", slave},
		{"sh", "-c", "echo 1025 >/proc/sys/fs/mqueue/msg_max"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		var out []byte
		if err := n.host.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err }); err != nil {
			s.TB.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// takeUp puts what K2HR3 has in place. It lists this host: a server lets nobody else in.
func (n *serverNode) takeUp(s *installed) {
	if n == nil {
		return
	}
	s.TB.Helper()
	s.Cluster.AddSlave(s.Addr().String(), slave.CUK, slave.Name)
	path := filepath.Join(n.disk, serverINI)
	must(s.TB, os.WriteFile(path+".next", []byte(serverText(s.Cluster)), 0o644))
	must(s.TB, os.Rename(path+".next", path))
}

// starts starts chmpx and k2hdkc, and waits until the ring has the node.
func (n *serverNode) starts(s *installed, program string) {
	s.TB.Helper()
	p, _ := fakechmpx.Installed()
	var chmpx *fakechmpx.Process
	must(s.TB, n.host.Do(func() (err error) {
		chmpx, err = fakechmpx.StartT(s.TB, p, serverINI)
		return err
	}))
	s.TB.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		chmpx.Stop(ctx)
	})
	k2hdkc := exec.CommandContext(s.TB.Context(), program, "-conf", serverINI, "-d", "err")
	k2hdkc.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	k2hdkc.Dir = "/"
	must(s.TB, n.host.Do(k2hdkc.Start))
	s.TB.Cleanup(func() { k2hdkc.Wait() })
	machine.Until(s.TB, "the server node to be in the ring", func() bool {
		look := exec.Command(p.Status, "-conf", serverINI, "-self")
		var shown []byte
		n.host.Do(func() (err error) { shown, err = look.Output(); return err })
		return strings.Contains(string(shown), "[SERVICE IN][UP]")
	})
}

// serverText is the first server node's view of the configuration.
func serverText(c *fakek2hr3.Cluster) string {
	text := strings.ReplaceAll(c.Text(), "__SELF_INSTANCE_ID__", c.Servers()[0].CUK)
	for _, set := range [][2]string{{"MODE", "SERVER"}, {"CTLPORT", "8021\nPORT = 8020"}, {"SELFCTLPORT", "8021"}} {
		line := regexp.MustCompile(`(?m)^` + set[0] + ` *=.*$`).FindString(text) // that of [GLOBAL]
		text = strings.Replace(text, line, set[0]+" = "+set[1], 1)
	}
	return text + "\n[K2HDKC]\nK2HTYPE = mem\nK2HFULLMAP = on\nK2HINIT = yes\nK2HMASKBIT = 8\nK2HCMASKBIT = 8\nK2HMAXELE = 32\nK2HPAGESIZE = 512\nMAXTHREAD = 4\n"
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
