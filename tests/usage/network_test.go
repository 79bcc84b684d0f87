package usage

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/netns"
)

// network joins VMs by a bridge, which is in a network of its own.
type network struct {
	t      *testing.T
	bridge *netns.Host
	cables atomic.Int32
	known  map[string]string // addresses by full names
	vms    []*vm
}

// k2hr3Name is K2HR3 for all VMs, at the bridge's address.
const (
	k2hr3Name = "k2hr3." + domain
	k2hr3Addr = "10.20.0.1"
)

func newNetwork(t *testing.T) *network {
	t.Helper()
	need.Programs(t, "ip")
	n := &network{t: t, known: map[string]string{k2hr3Name: k2hr3Addr}}
	n.bridge = netns.New(t, netns.Spec{Name: "cloud"})
	// Its hardware address would be that of one cable or another, and change with them.
	n.run(n.bridge, "ip", "link", "add", "br0", "address", "02:00:0a:14:00:01", "type", "bridge")
	n.run(n.bridge, "ip", "addr", "add", k2hr3Addr+"/16", "dev", "br0")
	n.run(n.bridge, "ip", "link", "set", "br0", "up")
	return n
}

// run runs a program on a host of the network. It has to succeed.
func (n *network) run(h *netns.Host, argv ...string) {
	n.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var out []byte
	if err := h.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	}); err != nil {
		n.t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// listen listens at an address of the bridge.
func (n *network) listen(addr string, port int) (l net.Listener) {
	n.t.Helper()
	must(n.t, n.bridge.Do(func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", addr, port))
		return err
	}))
	return l
}

// vm is a host with a disk of its own, which is a folder, so that the test sees what is on it.
type vm struct {
	name, addr string
	disk       string
	host       *netns.Host
}

// fqdn is its full name.
func (v *vm) fqdn() string { return v.name + "." + domain }

// path is where a path of the VM is for the test.
func (v *vm) path(name string) string { return filepath.Join(v.disk, name) }

// own are the folders that a VM has for itself.
var own = []string{"/etc", "/run", "/var/lib"}

// newVM makes one and plugs it into the network. Every VM knows it by its full name from then on.
func (n *network) newVM(name, addr string) *vm {
	n.t.Helper()
	v := &vm{name: name, addr: addr, disk: n.t.TempDir()}
	folders := map[string]string{}
	for _, dir := range own {
		folders[dir] = v.path(dir)
		must(n.t, os.MkdirAll(v.path(dir), 0o755))
	}
	must(n.t, os.MkdirAll(v.path("/etc/k2hdkc"), 0o755))
	must(n.t, os.WriteFile(v.path("/etc/resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644))
	must(n.t, os.WriteFile(v.path("/etc/nsswitch.conf"), []byte("hosts: files\n"), 0o644))
	v.host = netns.New(n.t, netns.Spec{Name: name, Folders: folders})

	var ns string
	must(n.t, v.host.Do(func() error {
		ns = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		return nil
	}))
	cable := fmt.Sprintf("vm%d", n.cables.Add(1))
	n.run(n.bridge, "ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", ns)
	n.run(n.bridge, "ip", "link", "set", cable, "master", "br0", "up")
	n.run(v.host, "ip", "addr", "add", addr+"/16", "dev", "eth0")
	n.run(v.host, "ip", "link", "set", "eth0", "up")
	n.vms = append(n.vms, v)
	n.name(v.fqdn(), addr)
	return v
}

// name has every VM know an address by a full name.
func (n *network) name(fqdn, addr string) {
	n.t.Helper()
	n.known[fqdn] = addr
	for _, v := range n.vms {
		var b strings.Builder
		fmt.Fprintf(&b, "127.0.0.1 localhost\n%s %s %s\n", v.addr, v.fqdn(), v.name)
		for name, addr := range n.known {
			if name != v.fqdn() {
				fmt.Fprintf(&b, "%s %s\n", addr, name)
			}
		}
		must(n.t, os.WriteFile(v.path("/etc/hosts.next"), []byte(b.String()), 0o644))
		must(n.t, os.Rename(v.path("/etc/hosts.next"), v.path("/etc/hosts")))
	}
}
