package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// namedVM is a slave VM before a K2HR3 that registers hosts.
type namedVM struct {
	*slaveVM
	*fakek2hr3.Cluster
	args []string // of each verb
}

func newNamedVM(t *testing.T) *namedVM {
	t.Helper()
	server := fakek2hr3.New()
	v := &namedVM{slaveVM: newSlaveVM(t, &minimalK2HR3{}), Cluster: server.AddCluster("shop", "orders")}
	v.Join(addr(0), id("kv", 0), name("kv", 0))
	write(t, v.path("/etc/k2hdkc/role-token"), v.RoleToken("slave", 0)+"\n")
	v.args = []string{"--api-uri", v.serve(fakek2hr3.NewHTTPServer(server).Handler), "--role", v.SlaveRole(), "--unit="}
	return v
}

// call gives the VM a name, and the files that a host looks names up in.
func (v *namedVM) call(hostname, hosts, resolv string) {
	v.tb.Helper()
	v.inside(func() error { return unix.Sethostname([]byte(hostname)) })
	for file, text := range map[string]string{"hosts": hosts + k2hr3Addr + " " + k2hr3Name + "\n", "resolv.conf": resolv} {
		path := v.path("/etc/" + file)
		must(v.tb, os.WriteFile(path+".new", []byte(text), 0o644))
		must(v.tb, os.Rename(path+".new", path))
	}
}

// tags are the tags of the slaves at K2HR3.
func (v *namedVM) tags() string {
	var tags []string
	for _, s := range v.Slaves() {
		tags = append(tags, s.Tag)
	}
	return strings.Join(tags, " ")
}

// A name that means this host on every host, or that is only the loopback here, is no name.
func TestWhatAHostIsRegisteredAs(t *testing.T) {
	t.Parallel()
	const noServer = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
	for kind, c := range map[string]struct{ hostname, hosts, resolv, tag string }{
		"nobody has named it":          {"localhost", "127.0.0.1 localhost localhost.localdomain\n", noServer, k2hr3Addr},
		"the installer's default":      {"localhost.localdomain", "127.0.0.1 localhost.localdomain localhost\n", noServer, k2hr3Addr},
		"localhost in a domain":        {"localhost", "127.0.0.1 localhost\n" + vmAddr + " localhost.shop.example\n", "search shop.example\n", k2hr3Addr},
		"localhost4":                   {"localhost4", "127.0.0.1 localhost4.localdomain4 localhost4\n" + vmAddr + " localhost4\n", noServer, k2hr3Addr},
		"its name is the loopback":     {vmName, "127.0.0.1 " + vmFQDN + " " + vmName + " localhost\n", noServer, k2hr3Addr},
		"its name is Debian's":         {vmName, "127.0.0.1 localhost\n127.0.1.1 " + vmFQDN + " " + vmName + "\n", noServer, k2hr3Addr},
		"its name is IPv6's loopback":  {vmName, "127.0.0.1 localhost\n::1 " + vmFQDN + " " + vmName + "\n", noServer, k2hr3Addr},
		"its name is another host":     {vmName, "127.0.0.1 localhost\n10.20.0.99 " + vmFQDN + " " + vmName + "\n", noServer, k2hr3Addr},
		"its name is also the network": {vmName, "127.0.0.1 " + vmFQDN + "\n" + vmAddr + " " + vmFQDN + " " + vmName + "\n", noServer, vmFQDN},
		"its name is good":             {vmName, "127.0.0.1 localhost\n" + vmAddr + " " + vmFQDN + " " + vmName + "\n", noServer, vmFQDN},
		"its name is short":            {vmName, "127.0.0.1 localhost\n" + vmAddr + " " + vmName + "\n", noServer, vmName},
	} {
		t.Run(strings.ReplaceAll(kind, " ", "-"), func(t *testing.T) {
			t.Parallel()
			v := newNamedVM(t)
			v.call(c.hostname, c.hosts, c.resolv)
			if got := v.agent(append([]string{"register"}, v.args...)...); got.status != 0 || v.tags() != c.tag {
				t.Errorf("registered as %q, want %q\n%v", v.tags(), c.tag, got)
			}
		})
	}
}

func TestAHostThatIsRenamedIsRegisteredAnew(t *testing.T) {
	t.Parallel()
	v := newNamedVM(t)
	p := v.start(v.args...)
	p.says("registered with K2HR3", "")
	until(t, "the first name", func() bool { return v.tags() == vmFQDN })
	p.says("slave.ini replaced", "")
	const other = "app-9.shop.example"
	v.call("app-9", "127.0.0.1 localhost\n"+vmAddr+" "+other+" app-9\n", "search shop.example\n")
	p.says("registered with K2HR3", "")
	until(t, "the second name", func() bool { return v.tags() == other })
	until(t, "the second name in the file", func() bool { return strings.Contains(read(t, v.file()), other) })
	p.end()
}

// Two hosts that a cloud has given no id would be one host for K2HR3 and for chmpx.
func TestAnIDThatOtherHostsHaveTooIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"nocloud", "iid-datasource-none", "iid-local01"} {
		v := newNamedVM(t)
		write(t, v.path("/var/lib/cloud/data/instance-id"), id+"\n")
		for _, verb := range []string{"register", "once", "run"} {
			got := v.agent(append([]string{verb}, v.args...)...)
			if got.status != 1 || !strings.Contains(got.stderr, fmt.Sprintf("%q is what cloud-init calls a host", id)) || !strings.Contains(got.stderr, "set cuk") {
				t.Errorf("%s: %v", id, got)
			}
		}
		if len(v.Slaves()) != 0 {
			t.Errorf("%s: registered as %v", id, v.Slaves())
		}
		if got := v.agent(append([]string{"register", "--cuk", "app-1-of-shop"}, v.args...)...); got.status != 0 {
			t.Errorf("%s: %v", id, got)
		}
	}
}
