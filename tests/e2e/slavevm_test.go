package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"k2hdkc-slave-agent/tests/netns"
	"k2hdkc-slave-agent/tests/realagent"
)

const (
	vmName    = "app-1"
	vmFQDN    = "app-1.shop.example"
	vmAddr    = "10.20.0.7"
	vmCUK     = "5d0c7a3e-91b4-4f60-8a2d-0e6c1b7f4a01"
	k2hr3Name = "k2hr3.shop.example"
	k2hr3Addr = "10.20.0.1"

	slaveINI = "/etc/k2hdkc/slave.ini"
)

// slaveVM is a slave VM as far as the agent can tell: a host name, addresses, a
// resolver, and its own /etc, /run and /var/lib, in namespaces of their own. Its
// disk is a folder, so that the test sees what happens on it.
type slaveVM struct {
	tb   testing.TB
	disk string
	host *netns.Host
}

// newSlaveVM makes one with just what the user data of the DBaaS leaves on it:
// there is no configuration of the agent. K2HR3 is k.
func newSlaveVM(tb testing.TB, k *minimalK2HR3) *slaveVM {
	tb.Helper()
	v := &slaveVM{tb: tb, disk: tb.TempDir()}
	write(tb, v.path("/etc/hosts"), "127.0.0.1 localhost\n"+
		vmAddr+" "+vmFQDN+" "+vmName+"\n"+k2hr3Addr+" "+k2hr3Name+"\n")
	write(tb, v.path("/etc/resolv.conf"), "search shop.example\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	write(tb, v.path("/etc/nsswitch.conf"), "hosts: files dns\n")
	must(tb, os.Mkdir(v.path("/etc/k2hdkc"), 0o755))
	folders := map[string]string{}
	for _, dir := range []string{"/etc", "/run", "/var/lib"} {
		folders[dir] = v.path(dir)
		must(tb, os.MkdirAll(v.path(dir), 0o755))
	}
	v.host = netns.New(tb, netns.Spec{Name: vmName, Addrs: []string{vmAddr, k2hr3Addr}, Folders: folders})
	write(tb, v.path("/etc/antpickax/k2hr3-api-uri"), v.serve(k)+"\n")
	write(tb, v.path("/etc/antpickax/k2hr3-role-name"), roleYRN+"\n")
	write(tb, v.path("/var/lib/cloud/data/instance-id"), vmCUK+"\n")
	return v
}

// path is where a path of the VM is for the test.
func (v *slaveVM) path(name string) string { return filepath.Join(v.disk, name) }

// file is slave.ini.
func (v *slaveVM) file() string { return v.path(slaveINI) }

// noFile fails if there is a slave.ini.
func (v *slaveVM) noFile() {
	v.tb.Helper()
	if _, err := os.Stat(v.file()); !os.IsNotExist(err) {
		v.tb.Errorf("a file without a server, which would end chmpx, was written (%v)", err)
	}
}

// inside runs f on the VM: sockets it opens and processes it starts are there.
func (v *slaveVM) inside(f func() error) {
	v.tb.Helper()
	must(v.tb, v.host.Do(f))
}

// serve serves K2HR3 to the VM, at k2hr3Name, and returns its URI.
func (v *slaveVM) serve(h http.Handler) string {
	v.tb.Helper()
	var l net.Listener
	v.inside(func() (err error) {
		l, err = net.Listen("tcp4", k2hr3Addr+":0")
		return err
	})
	s := &http.Server{Handler: h}
	go s.Serve(l)
	v.tb.Cleanup(func() { s.Close() })
	return fmt.Sprintf("http://%s:%d", k2hr3Name, l.Addr().(*net.TCPAddr).Port)
}

func (v *slaveVM) command(ctx context.Context, args ...string) *exec.Cmd {
	v.tb.Helper()
	cmd := exec.CommandContext(ctx, binary(v.tb), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/nowhere"}
	return cmd
}

// agent runs the agent to its end.
func (v *slaveVM) agent(args ...string) result {
	v.tb.Helper()
	cmd := v.command(deadline(v.tb), args...)
	return finish(v.tb, cmd, func() error { return v.host.Do(cmd.Start) })
}

// start starts the agent as a daemon.
func (v *slaveVM) start(args ...string) *daemon {
	v.tb.Helper()
	cmd := v.command(v.tb.Context(), append([]string{"run", "--log-format", "json"}, args...)...)
	d := &daemon{tb: v.tb}
	v.inside(func() (err error) {
		d.Process, err = realagent.Start(v.tb.Context(), cmd, nil)
		return err
	})
	return d
}
