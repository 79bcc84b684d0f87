package generator

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/tests/fatal"
)

const (
	agentUnit = "usr/lib/systemd/system/k2hdkc-slave-agent.service"
	agentMore = "etc/systemd/system/k2hdkc-slave-agent.service.d/10-operator.conf"
	config    = "etc/k2hdkc/slave-agent.ini"
	slave     = "etc/k2hdkc/slave.ini"
	chmpxUnit = "usr/lib/systemd/system/chmpx.service"
	chmpxMore = "usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	chmpxOwn  = "etc/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	override  = "etc/antpickax/override.conf"
	helper    = "etc/antpickax/chmpx-service-helper.conf"
	groups    = "etc/group"
)

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// masked is what a link to /dev/null looks like to who follows it.
var masked = &fstest.MapFile{Mode: os.ModeDevice | os.ModeCharDevice}

// shipped is a file of the packages.
func shipped(t *testing.T, name string) *fstest.MapFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", name))
	fatal.If(t, err)
	return &fstest.MapFile{Data: b}
}

// host is one that has both packages, and more files, or others.
func host(t *testing.T, more fstest.MapFS) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{
		agentUnit: shipped(t, "k2hdkc-slave-agent.service"),
		chmpxMore: shipped(t, "chmpx.service.d/50-k2hdkc-slave-agent.conf"),
		chmpxUnit: text("[Service]\nUser=root\nExecStart=/usr/libexec/chmpx-service-helper start\n"),
		groups:    text("root:x:0:\nk2hdkc:x:990:\napps:x:1001:\n"),
	}
	for name, f := range more {
		files[name] = f
	}
	return files
}

func yes() bool { return true }
func no() bool  { return false }

// generated returns what the drop-in of the agent's unit says, without its group, and what was
// found wrong.
func generated(t *testing.T, files fstest.MapFS, userNamespaces func() bool) (granted string, wrong error) {
	t.Helper()
	agent, _, wrong := both(t, files, userNamespaces)
	return strings.Replace(agent, member, "", 1), wrong
}

// both returns what of both drop-ins says something, and what was found wrong.
func both(t *testing.T, files fstest.MapFS, userNamespaces func() bool) (agent, chmpx string, wrong error) {
	t.Helper()
	to := t.TempDir()
	wrong, err := generate(files, to, userNamespaces)
	fatal.If(t, err)
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(to, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		_, said, _ := strings.Cut(string(b), "[Service]\n")
		return said
	}
	return read("k2hdkc-slave-agent.service.d/50-configuration.conf"), read("chmpx.service.d/51-k2hdkc-slave-agent-options.conf"), wrong
}

const (
	foreign = "CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE\nSystemCallFilter=@chown\nPrivateUsers=no\n"
	attach  = "CapabilityBoundingSet=CAP_DAC_OVERRIDE\nPrivateUsers=no\n"
	member  = "" // of the group that the unit has anyway
)

func TestWhatIsGranted(t *testing.T) {
	asHelper := func(more fstest.MapFS) fstest.MapFS {
		files := fstest.MapFS{chmpxOwn: masked}
		for name, f := range more {
			files[name] = f
		}
		return files
	}
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"nothing is configured", nil, ""},
		{"only what the unit grants anyway", fstest.MapFS{config: text("[slave]\noutput = /etc/antpickax/k2hdkc.ini\n")}, ""},
		{"the unit's own folders, written down", fstest.MapFS{config: text("[agent]\nstate-dir = /var/lib/k2hdkc-slave-agent\nrun-dir = /run/k2hdkc-slave-agent/\n")}, ""},
		{"below what the unit grants", fstest.MapFS{config: text("[slave]\noutput = /etc/k2hdkc/orders/slave.ini\n")}, ""},
		{"what an operator's drop-in grants", fstest.MapFS{
			config: text("[slave]\noutput = /srv/k2hdkc/slave.ini\n"), agentMore: text("[Service]\nReadWritePaths=-/srv\n"),
		}, ""},
		{"the file is elsewhere", fstest.MapFS{config: text("[slave]\noutput = /srv/k2hdkc/slave.ini\n")}, "ReadWritePaths=-/srv/k2hdkc\n"},
		{"by the unit's environment", fstest.MapFS{agentMore: text("[Service]\nEnvironment=K2HDKC_SLAVE_OUTPUT=/srv/k2hdkc/slave.ini\n")}, "ReadWritePaths=-/srv/k2hdkc\n"},
		{"by a flag", fstest.MapFS{agentMore: text("[Service]\nExecStart=\nExecStart=/usr/bin/k2hdkc-slave-agent run --output /srv/k2hdkc/slave.ini\n")}, "ReadWritePaths=-/srv/k2hdkc\n"},
		{"state and status are elsewhere", fstest.MapFS{config: text("[agent]\nstate-dir = /srv/state\nrun-dir = /run/other\n")},
			"ReadWritePaths=-/srv/state\nReadWritePaths=-/run/other\n"},
		{"K2HR3's files are elsewhere", fstest.MapFS{config: text("[agent]\nantpickax-dir = /srv/antpickax\n")}, "ReadWritePaths=-/srv/antpickax\n"},
		{"a token to be deleted", fstest.MapFS{config: text("[k2hr3]\nrole-token-file = /srv/token/t\nforget-bootstrap-token = yes\n")}, "ReadWritePaths=-/srv/token\n"},
		{"a token to be kept", fstest.MapFS{config: text("[k2hr3]\nrole-token-file = /srv/token/t\n")}, ""},
		{"a token that lies where it can be deleted", fstest.MapFS{config: text("[k2hr3]\nforget-bootstrap-token = yes\n"), "etc/k2hdkc/role-token": text("x")}, ""},
		{"paths that a unit would read differently", fstest.MapFS{config: text("[slave]\noutput = /srv/a b%n\"/slave.ini\n[agent]\nstate-dir = /\n")}, ""},
		{"metrics by sockets and files of its own", fstest.MapFS{config: text("[agent]\nmetrics-listen = unix:/run/k2hdkc-slave-agent/metrics\nmetrics-textfile = /var/lib/k2hdkc-slave-agent/a.prom\n")}, ""},
		{"metrics by a port", fstest.MapFS{config: text("[agent]\nmetrics-listen = :9765\n")}, ""},
		{"metrics elsewhere", fstest.MapFS{config: text("[agent]\nmetrics-listen = unix:/run/metrics/s\nmetrics-textfile = /var/lib/node_exporter/a.prom\n")},
			"ReadWritePaths=-/var/lib/node_exporter\nReadWritePaths=-/run/metrics\n"},
		{"metrics in a folder of somebody else's", fstest.MapFS{
			config:                  text("[agent]\nmetrics-textfile = /var/lib/node_exporter/a.prom\n"),
			"var/lib/node_exporter": {Mode: os.ModeDir | 0o755, Sys: &syscall.Stat_t{Uid: 12}},
		}, "ReadWritePaths=-/var/lib/node_exporter\n" + attach},
		{"an owner", fstest.MapFS{config: text("[slave]\nowner = k2hdkc\n")}, foreign},
		{"a group", fstest.MapFS{config: text("[slave]\ngroup = k2hdkc\n")}, foreign},
		{"a file that somebody else owns", fstest.MapFS{slave: {Sys: &syscall.Stat_t{Uid: 12}}}, foreign},
		{"a file of another group", fstest.MapFS{slave: {Sys: &syscall.Stat_t{Gid: 34}}}, foreign},
		{"root's file", fstest.MapFS{slave: {Mode: 0o644, Sys: &syscall.Stat_t{}}}, ""},
		{"a file that chmpx's unit will give to its group", fstest.MapFS{slave: {Mode: 0o640, Sys: &syscall.Stat_t{}}}, foreign},
		{"one to come", fstest.MapFS{config: text("[slave]\nmode = 0640\n")}, foreign},
		{"one that root's chmpx reads", fstest.MapFS{config: text("[slave]\nmode = 0640\n[chmpx]\nchmpx-user = root\n"), slave: {Mode: 0o640, Sys: &syscall.Stat_t{}}}, ""},
		{"chmpx as another user, without our drop-in", fstest.MapFS{chmpxOwn: masked, chmpxUnit: text("[Service]\nUser=k2hdkc\n")}, attach},
		{"chmpx as another user that keeps its files to itself", fstest.MapFS{"etc/systemd/system/chmpx.service.d/user.conf": text("[Service]\nUser=me\nUMask=0022\n")}, attach},
		{"chmpx as another user by a drop-in", fstest.MapFS{"etc/systemd/system/chmpx.service.d/user.conf": text("[Service]\nUser=me\n")}, ""},
		{"chmpx as root by a drop-in", fstest.MapFS{
			chmpxUnit: text("[Service]\nUser=k2hdkc\n"), "etc/systemd/system/chmpx.service.d/user.conf": text("[Service]\nUser=\n"),
		}, ""},
		{"another unit of chmpx's as another user", fstest.MapFS{
			config: text("[chmpx]\nunit = chmpx-orders.service\n"), "etc/systemd/system/chmpx-orders.service": text("[Service]\nUser=k2hdkc\n"),
		}, attach},
		{"one made from a template", fstest.MapFS{
			config: text("[chmpx]\nunit = chmpx@orders.service\n"), "etc/systemd/system/chmpx@.service": text("[Service]\nUser=k2hdkc\n"),
		}, attach},
		{"chmpx of no unit", fstest.MapFS{config: text("[chmpx]\nunit =\n"), chmpxUnit: text("[Service]\nUser=k2hdkc\n")}, ""},
		{"chmpx as another user by its helper", asHelper(fstest.MapFS{override: text("chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n")}), attach},
		{"its helper's own file", asHelper(fstest.MapFS{helper: text("SUBPROCESS_USER = k2hdkc\n")}), attach},
		{"an override.conf hides the helper's own file", asHelper(fstest.MapFS{
			override: text("chmpx-service-helper.conf:LOGDIR = /var/log\n"), helper: text("SUBPROCESS_USER = k2hdkc\n"),
		}), ""},
		{"the helper does not count while the drop-in is in force", fstest.MapFS{override: text("chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n")}, ""},
	} {
		if got, wrong := generated(t, host(t, c.files), yes); got != c.want || wrong != nil {
			t.Errorf("%s: granted\n%s\nwant\n%s\nwrong: %v", c.name, got, c.want, wrong)
		}
	}
}

// A host must come up, and what is right must count, whatever else is wrong.
func TestWhatIsWrongIsSaidAndDoesNotMatterToTheRest(t *testing.T) {
	const good = "[slave]\noutput = /srv/k2hdkc/slave.ini\n"
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		says  string
	}{
		{"a value", fstest.MapFS{config: text(good + "min-servers = many\n")}, "slave-agent.ini:3"},
		{"a key", fstest.MapFS{config: text("[slave]\nowners = me\n" + good)}, "slave-agent.ini:2"},
		{"a flag", fstest.MapFS{config: text(good), agentMore: text("[Service]\nExecStart=\nExecStart=/usr/bin/k2hdkc-slave-agent run --ouput x\n")}, "ouput"},
		{"a variable", fstest.MapFS{config: text(good), agentMore: text("[Service]\nEnvironment=K2HDKC_SLAVE_OUPUT=x\n")}, "K2HDKC_SLAVE_OUPUT"},
		{"what only systemd can tell", fstest.MapFS{config: text(good), agentMore: text("[Service]\nEnvironment=K2HDKC_SLAVE_TAG=%H\n")}, "%H"},
		{"a quote", fstest.MapFS{config: text(good), agentMore: text("[Service]\nEnvironment=\"A=s3cret\n")}, "not closed"},
		{"a file that is none", fstest.MapFS{config: text(good), agentMore: text("[Service]\nEnvironmentFile=/etc/none\n")}, "etc/none"},
		{"a drop-in", fstest.MapFS{config: text(good), agentMore: text("[Service]\nrubbish\n")}, "10-operator.conf"},
		{"chmpx's unit", fstest.MapFS{config: text(good), chmpxUnit: text("[Service]\nrubbish\n")}, "chmpx.service"},
	} {
		got, wrong := generated(t, host(t, c.files), yes)
		if got != "ReadWritePaths=-/srv/k2hdkc\n" || wrong == nil || !strings.Contains(wrong.Error(), c.says) || strings.Contains(wrong.Error(), "s3cret") {
			t.Errorf("%s: granted\n%s\nwrong, which has to name %s: %v", c.name, got, c.says, wrong)
		}
	}
}

func TestAHostWithoutNamespacesOfUsers(t *testing.T) {
	if got, wrong := generated(t, host(t, nil), no); got != "PrivateUsers=no\n" || wrong != nil {
		t.Errorf("granted\n%s\nwrong: %v", got, wrong)
	}
}

// Members of a group may join chmpx, and the agent is one.
func TestWhoMayJoin(t *testing.T) {
	ini := func(lines string) fstest.MapFS { return fstest.MapFS{config: text("[chmpx]\n" + lines)} }
	const byRoot = "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_RESOURCE\nPrivateUsers=no\n"
	for _, c := range []struct {
		name           string
		files          fstest.MapFS
		namespaces     func() bool
		agent, inChmpx string
	}{
		{"by default", nil, yes, member, ""},
		{"a host without the group", fstest.MapFS{"etc/group": text("root:x:0:\n")}, yes, "SupplementaryGroups=\n" + attach, ""},
		{"the defaults, written down", ini("chmpx-user = k2hdkc\napp-group = k2hdkc\n"), yes, member, ""},
		{"chmpx as root", ini("chmpx-user = root\n"), yes, "", "User=root\n" + byRoot},
		{"chmpx as root, another group", ini("chmpx-user = root\napp-group = apps\n"), yes, "", "User=root\nGroup=apps\n" + byRoot},
		{"another group", ini("app-group = apps\n"), yes, "SupplementaryGroups=apps\n", "Group=apps\n"},
		{"another user", ini("chmpx-user = me\n"), yes, member, "User=me\n"},
		{"no namespaces of users", nil, no, member + "PrivateUsers=no\n", "PrivateUsers=no\n"},
		{"a group that is not in /etc/group", ini("app-group = elsewhere\n"), yes, attach, "Group=elsewhere\n"},
		{"an operator's drop-in has the last word", fstest.MapFS{
			config: text("[chmpx]\nchmpx-user = me\n"), "etc/systemd/system/chmpx.service.d/user.conf": text("[Service]\nUser=root\n"),
		}, yes, "", "User=me\n"},
		{"our drop-in is masked", fstest.MapFS{config: text("[chmpx]\nchmpx-user = root\napp-group = apps\n"), chmpxOwn: masked}, yes, "", ""},
		{"another unit", fstest.MapFS{
			config: text("[chmpx]\nunit = orders.service\nchmpx-user = root\n"), "etc/systemd/system/orders.service": text("[Service]\nUser=me\nGroup=apps\nUMask=7\n"),
		}, yes, "SupplementaryGroups=apps\n", ""},
	} {
		agent, chmpx, wrong := both(t, host(t, c.files), c.namespaces)
		if agent != c.agent || chmpx != c.inChmpx || wrong != nil {
			t.Errorf("%s: the agent's unit\n%s\nwant\n%s\nchmpx's unit\n%s\nwant\n%s\nwrong: %v", c.name, agent, c.agent, chmpx, c.inChmpx, wrong)
		}
	}
}

// onDisk is a file system with one file of this machine's in it.
type onDisk struct {
	fstest.MapFS
	name, path string
}

func (d onDisk) Open(name string) (fs.File, error) {
	if name == d.name {
		return os.Open(d.path)
	}
	return d.MapFS.Open(name)
}

// An ACL is given to a file by who knows those that it names.
func TestAnACLThatNamesSomebody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slave.ini")
	fatal.If(t, os.WriteFile(path, nil, 0o600))
	files := host(t, fstest.MapFS{slave: {Sys: &syscall.Stat_t{}}})
	for _, c := range []struct{ acl, want string }{
		{"", ""},
		// user::rw-,user:65534:r--,group::---,mask::r--,other::---
		{"\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xfe\xff\x00\x00" +
			"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff", "PrivateUsers=no"},
	} {
		if c.acl != "" {
			if err := unix.Setxattr(path, "system.posix_acl_access", []byte(c.acl), 0); err != nil {
				t.Skipf("no ACLs here: %v", err)
			}
		}
		root := chmpxunit.Runs{User: "root"}
		lines := rights(onDisk{files, slave, path}, must(agentunit.Read(files)), root, true)
		if got := strings.Join(lines, "\n"); got != c.want {
			t.Errorf("granted %q, want %q", got, c.want)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A list of groups may be long, as where a group has a whole university in it.
func TestAGroupIsFoundInALongList(t *testing.T) {
	long := "students:x:100:" + strings.Repeat("somebody,", 300_000) + "\nk2hdkc:x:990:\n"
	agent, _, wrong := both(t, host(t, fstest.MapFS{"etc/group": text(long)}), yes)
	if agent != member || wrong != nil {
		t.Errorf("the agent's unit\n%s\nwrong: %v", agent, wrong)
	}
}
