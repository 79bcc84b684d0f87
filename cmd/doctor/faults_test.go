package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/watcher/member"
)

// fault is one thing that is wrong with a host, and the check that has to name it.
type fault struct {
	name  string
	seed  func(p *patient)
	cause string // the check that fails, or warns
	warns bool   // it warns, and nothing fails
	says  string // within its message or remedy
	root  bool   // it takes root
}

func api(name fakek2hr3.FaultName) func(*patient) {
	return func(p *patient) { p.api.Fault(fakek2hr3.Fault{Name: name}) }
}

func reads(name fakek2hr3.FaultName) func(*patient) {
	return func(p *patient) {
		p.api.Fault(fakek2hr3.Fault{Name: name, On: []fakek2hr3.Op{fakek2hr3.OpResource}, Body: `{"result":true,"resource":1}`})
	}
}

func text(old, new string) func(*patient) {
	return func(p *patient) { p.cluster.SetText(strings.ReplaceAll(p.cluster.Text(), old, new)) }
}

func secure(change func(*patient)) func(*patient) {
	return func(p *patient) {
		p.cert = goodCertificate()
		change(p)
	}
}

func unitIs(change func(*daemon.UnitState)) func(*patient) {
	return func(p *patient) {
		st := p.units["chmpx.service"]
		change(&st)
		p.units["chmpx.service"] = st
	}
}

func chmpxIs(err error) func(*patient) {
	return func(p *patient) {
		p.chmpx = func(context.Context) (daemon.Status, error) { return daemon.Status{}, err }
	}
}

// down is a chmpx that does not run, and its unit.
func down(change func(*daemon.UnitState)) func(*patient) {
	return func(p *patient) {
		unitIs(change)(p)
		chmpxIs(daemon.ErrNotRunning)(p)
	}
}

func token(text string) func(*patient) {
	return func(p *patient) { p.put("role-token", text, 0o600) }
}

// notKnown is a host that K2HR3 does not know by its address and CUK.
func (p *patient) notKnown() { p.cluster.DropSlave(ownAddr, ownCUK) }

func configurationFaults() []fault {
	return []fault{
		{name: "a misspelt key", seed: func(p *patient) { p.put("slave-agent.ini", "[slave]\nouput = /x.ini\n", 0o644) }, cause: "config", says: "did you mean output?"},
		{name: "no instance id", seed: func(p *patient) { os.Remove(p.path("instance-id")) }, cause: "config", says: "set cuk"},
		{name: "an id that cloud-init makes up", seed: func(p *patient) { p.put("instance-id", "nocloud\n", 0o644) }, cause: "config", says: "set cuk"},
		{name: "a token that is garbage", seed: token("not a token"), cause: "token", says: "blank"},
		{name: "an empty token file", seed: token("\n"), cause: "token", says: "is empty"},
		{name: "a user token", seed: token("U=" + strings.Repeat("a", 64)), cause: "token", says: "user token"},
		{name: "a digit of the token is missing", seed: token(strings.Repeat("a", 63)), cause: "token", says: "63 digits"},
		{name: "a token that everybody can read", seed: func(p *patient) { fatal.If(p.t, os.Chmod(p.path("role-token"), 0o644)) }, cause: "token", warns: true, says: "chmod 0600"},
		{name: "a clock a day ahead", seed: func(p *patient) { p.dated(-24*time.Hour - 20*time.Second) }, cause: "clock", says: "24h0m"},
		{name: "a clock a day back", seed: func(p *patient) { p.dated(24 * time.Hour) }, cause: "clock", says: "behind"},
		{name: "a clock that is a minute off", seed: func(p *patient) { p.dated(time.Minute) }, cause: "clock", warns: true},
	}
}

// dated has K2HR3 date its answers by another clock.
func (p *patient) dated(off time.Duration) {
	p.front = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		return false
	}
}

func wayFaults() []fault {
	return []fault{
		{name: "the name does not resolve", seed: func(p *patient) { p.url = "http://k2hr3.invalid:8080" }, cause: "name"},
		{name: "nothing listens", seed: func(p *patient) { p.url = "http://127.0.0.1:1" }, cause: "tcp", says: "connection refused"},
		{name: "a black hole", seed: func(p *patient) { p.url = "http://" + blackHole(p) }, cause: "tcp", says: "firewall"},
		{name: "https that is spoken nowhere", seed: func(p *patient) { p.serve(); p.url = strings.Replace(p.url, "http:", "https:", 1) }, cause: "tls", says: "does not speak it"},
		{name: "http where https is spoken", seed: secure(func(p *patient) { p.serve(); p.url = strings.Replace(p.url, "https:", "http:", 1) }), cause: "k2hr3", says: "speaks https"},
		{name: "a certificate of another authority", seed: secure(func(p *patient) { p.trusted = false }), cause: "tls", says: "ca-file has to name"},
		{name: "an expired certificate", seed: secure(func(p *patient) {
			p.cert.NotBefore, p.cert.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
		}), cause: "tls", says: "renewed"},
		{name: "a certificate that is not valid yet, as the clock is behind", seed: secure(func(p *patient) {
			p.cert.NotBefore = time.Now().Add(time.Hour)
			p.dated(2 * time.Hour)
		}), cause: "clock", says: "behind"},
		{name: "a certificate that ends soon", seed: secure(func(p *patient) { p.cert.NotAfter = time.Now().Add(100 * time.Hour) }), cause: "tls", warns: true, says: "4 days"},
		{name: "a certificate of another name", seed: secure(func(p *patient) { p.cert.IPAddresses, p.cert.DNSNames = nil, []string{"k2hr3.example"} }), cause: "tls", says: "k2hr3.example"},
	}
}

// blackHole is an address that takes no more connections, and refuses none.
func blackHole(p *patient) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	fatal.If(p.t, err)
	p.t.Cleanup(func() { unix.Close(fd) })
	port := 20000 // chmpx knows none above 32767
	for unix.Bind(fd, &unix.SockaddrInet4{Port: port}) != nil {
		port++
	}
	fatal.If(p.t, unix.Listen(fd, 0))
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	for range 4 { // fill its queue
		c, err := net.DialTimeout("tcp", at.String(), 100*time.Millisecond)
		if err == nil {
			p.t.Cleanup(func() { c.Close() })
		}
	}
	return at.String()
}

func k2hr3Faults() []fault {
	return []fault{
		{name: "500", seed: api(fakek2hr3.InternalError), cause: "k2hr3", says: "its log says why"},
		{name: "404 to everything", seed: api(fakek2hr3.NotFound), cause: "k2hr3", says: "check api-uri"},
		{name: "502", seed: api(fakek2hr3.BadGateway), cause: "k2hr3", says: "502"},
		{name: "503", seed: api(fakek2hr3.Unavailable), cause: "k2hr3", says: "503"},
		{name: "a web page", seed: api(fakek2hr3.HTMLPage), cause: "k2hr3", says: "web page"},
		{name: "a redirect", seed: func(p *patient) {
			p.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Redirect, Location: "http://portal.example/"})
		}, cause: "k2hr3", says: "portal.example"},
		{name: "connections are cut", seed: api(fakek2hr3.Cut), cause: "k2hr3", says: "ended the connection"},
		{name: "nothing answers", seed: api(fakek2hr3.Hang), cause: "k2hr3", says: "in time"},
		{name: "gzip", seed: api(fakek2hr3.Gzipped), cause: "k2hr3", says: "gzip"},
		{name: "the store is down", seed: api(fakek2hr3.BackendDown), cause: "store", says: "store"},
		{name: "the store is down, and slow", seed: func(p *patient) {
			p.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.BackendDown, Delay: 14 * time.Second, On: []fakek2hr3.Op{fakek2hr3.OpResource, fakek2hr3.OpProbe}})
		}, cause: "store", says: "store"},
		{name: "looks for membership are cut", seed: func(p *patient) {
			p.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut, On: []fakek2hr3.Op{fakek2hr3.OpProbe}})
		}, cause: "store"},
		{name: "forgotten by K2HR3", seed: (*patient).notKnown, cause: "membership", says: "registers it"},
		{name: "forgotten without a token", seed: func(p *patient) { p.notKnown(); os.Remove(p.path("role-token")); p.noToken = true }, cause: "membership", says: "/etc/k2hdkc/role-token"},
		{name: "a new host with a revoked token", seed: func(p *patient) { p.notKnown(); p.known = member.Identity{}; p.cluster.Revoke(p.token) }, cause: "membership", says: "issue a new role token"},
		{name: "the role is made anew", seed: func(p *patient) { p.cluster.SetRole(false); p.cluster.SetRole(true) }, cause: "store", says: "made anew"},
		{name: "registered from another address", seed: func(p *patient) {
			p.notKnown()
			p.cluster.AddSlave("127.0.0.77", ownCUK, ownAddr)
			p.known.Address = "127.0.0.77"
		}, cause: "membership", says: "127.0.0.77"},
		{name: "the policy is removed", seed: func(p *patient) { p.cluster.SetPolicy(false) }, cause: "resource", says: "policy"},
		{name: "the RESOURCE is removed", seed: func(p *patient) { p.cluster.SetResource(false) }, cause: "resource", says: "missing in K2HR3"},
		{name: "a broken template", seed: api(fakek2hr3.BrokenTemplate), cause: "resource", says: "owner has to correct"},
		{name: "an empty text", seed: api(fakek2hr3.EmptyText), cause: "resource", says: "is empty"},
		{name: "an answer that breaks off", seed: reads(fakek2hr3.Truncated), cause: "resource", says: "broke off"},
		{name: "an answer that is too large", seed: reads(fakek2hr3.Oversized), cause: "resource", says: "larger"},
		{name: "an answer that is not K2HR3's", seed: reads(fakek2hr3.WrongJSON), cause: "resource", says: "not a text"},
		{name: "reads are refused", seed: reads(fakek2hr3.NotFound), cause: "resource", says: "404"},
		{name: "reads hang", seed: reads(fakek2hr3.Hang), cause: "resource", says: "within"},
		{name: "no server node", seed: func(p *patient) {
			for _, s := range p.cluster.Servers() {
				p.cluster.Leave(s.Addr, s.CUK)
			}
		}, cause: "text", says: "no server nodes"},
		{name: "fewer servers than min-servers", seed: func(p *patient) { p.args = []string{"--min-servers", "4"} }, cause: "text", says: "min-servers"},
		{name: "a text that kills chmpx", seed: text("GROUP ", "GRUPPE "), cause: "text", says: "GROUP"},
		{name: "a text with a byte order mark", seed: func(p *patient) {
			_, after, _ := strings.Cut(p.cluster.Text(), "[GLOBAL]")
			p.cluster.SetText("\ufeff[GLOBAL]" + after)
		}, cause: "text", says: "reject: line 1: the text begins with a UTF-8 byte order mark"},
		{name: "a text with a NUL", seed: text("= hash", "= ha\x00sh"), cause: "text", says: "this line has a NUL byte"},
		{name: "a text whose [SVRNODE] is misspelt", seed: text("[SVRNODE]", "[SvrNode]"), cause: "text", says: "you probably mean [SVRNODE]"},
		{name: "a text that overruns chmpx's tables", seed: text("MAXCHMPX            = 256", "MAXCHMPX            = 2"), cause: "text", says: "MAXCHMPX"},
		{name: "half a text", seed: func(p *patient) { p.cluster.SetText(p.cluster.Text()[:len(p.cluster.Text())/2]) }, cause: "text"},
		{name: "a placeholder that nobody replaces", seed: text("= orders", "= __K2HDKC_GROUP__"), cause: "text", says: "flavour = openstack"},
		{name: "another node that was registered with a placeholder", seed: func(p *patient) {
			p.cluster.AddSlave("10.20.0.77", "%%SELF_CONTAINER_CUK%%", "slv-77")
		}, cause: "text", says: "register it anew"},
		{name: "another GROUP, and nobody sees chmpx", seed: func(p *patient) {
			text("= orders", "= invoices")(p)
			p.chmpx = func(context.Context) (daemon.Status, error) { return daemon.Status{}, daemon.ErrNotInstalled }
			p.args = append(p.args, "--unit=")
			p.put("proc/net/tcp", "", 0o644)
		}, cause: "text", says: "the agent sees no sign of chmpx here"},
		{name: "another GROUP, and of chmpx there is no more than its port", seed: func(p *patient) {
			text("= orders", "= invoices")(p)
			p.chmpx = func(context.Context) (daemon.Status, error) { return daemon.Status{}, daemon.ErrNotInstalled }
			p.args = append(p.args, "--unit=")
		}, cause: "text", says: "leave a second between stop and start"},
		{name: "another GROUP", seed: text("= orders", "= invoices"), cause: "text", says: "restart chmpx"},
		{name: "this host is not in the text", seed: func(p *patient) {
			p.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.RejoinGap, CUK: ownCUK})
		}, cause: "text"},
	}
}

func fileFaults() []fault {
	return []fault{
		{name: "the agent has stopped", seed: func(p *patient) { p.agent = status.Stopped }, cause: "agent", says: "systemctl start"},
		{name: "the agent hangs", seed: func(p *patient) { p.agent = status.Hung }, cause: "agent", says: "no sign of life"},
		{name: "the agent has stopped, and there is no file", seed: func(p *patient) { p.agent = status.Stopped; os.Remove(p.file()) }, cause: "agent"},
		{name: "the file may not be replaced", root: true, seed: func(p *patient) { p.freeze(p.file()) }, cause: "folder", says: "chattr -i"},
		{name: "the folder is gone", seed: func(p *patient) { fatal.If(p.t, os.Rename(p.path("out"), p.path("elsewhere"))) }, cause: "folder", says: "directory is not there"},
		{name: "the file is a link", seed: func(p *patient) {
			fatal.If(p.t, os.Rename(p.file(), p.path("real.ini")))
			fatal.If(p.t, os.Symlink(p.path("real.ini"), p.file()))
		}, cause: "folder", says: "symbolic link"},
		{name: "the file is a directory", seed: func(p *patient) { os.Remove(p.file()); fatal.If(p.t, os.Mkdir(p.file(), 0o755)) }, cause: "folder", says: "directory"},
		{name: "the file is a FIFO", seed: func(p *patient) { os.Remove(p.file()); fatal.If(p.t, syscall.Mkfifo(p.file(), 0o644)) }, cause: "folder", says: "FIFO"},
		{name: "the file is deleted", seed: func(p *patient) { fatal.If(p.t, os.Remove(p.file())) }, cause: "file", says: "there is no"},
		{name: "the file is truncated", seed: func(p *patient) { fatal.If(p.t, os.Truncate(p.file(), 0)) }, cause: "file", says: "is not what the agent put there"},
		{name: "the file is edited", seed: func(p *patient) {
			p.put("out/slave.ini", strings.Replace(p.cluster.Text(), "GROUP ", "GRUPPE ", 1), 0o644)
		}, cause: "file"},
		{name: "the file is out of date", seed: func(p *patient) { p.cluster.Join("127.0.0.19", "kv-9", "127.0.0.19") }, cause: "file", warns: true, says: "newer text"},
		{name: "a hard link", seed: func(p *patient) { fatal.If(p.t, os.Link(p.file(), p.path("out/backup.ini"))) }, cause: "links", says: "hard link"},
		{name: "chmpx's user cannot read the file", seed: func(p *patient) {
			fatal.If(p.t, os.Chmod(p.file(), 0o600))
			p.runsAs("901")
		}, cause: "looks", says: "the agent keeps mode and owner"},
		{name: "chmpx's user cannot read the file that has its mode from the configuration", seed: func(p *patient) {
			fatal.If(p.t, os.Chmod(p.file(), 0o600))
			p.runsAs("901")
			p.put("slave-agent.ini", "[slave]\nmode = 0600\n", 0o644)
		}, cause: "looks", says: "the agent gives them to each new file"},
		{name: "chmpx's user could not read a file with the mode of the configuration", seed: func(p *patient) {
			p.runsAs("901")
			p.put("slave-agent.ini", "[slave]\nmode = 0600\n", 0o644)
		}, cause: "looks", says: "(mode 0600, owner"},
		{name: "chmpx's user cannot enter the folder", seed: func(p *patient) {
			fatal.If(p.t, os.Chmod(p.path("out"), 0o700))
			p.runsAs("901")
		}, cause: "looks", says: "cannot enter"},
		{name: "a certificate of the RESOURCE is not there", seed: func(p *patient) { p.tls("/nowhere/server.crt", p.path("server.key")) }, cause: "certificates", says: "/nowhere/server.crt"},
		{name: "a certificate of the RESOURCE has ended", seed: func(p *patient) {
			p.tls(p.certificate("server.crt", time.Now().Add(-time.Hour)), p.path("server.key"))
			p.writeFile(p.cluster.Text(), 8)
			p.start()
		}, cause: "certificates", says: "ended"},
		{name: "a certificate of the RESOURCE ends soon", seed: func(p *patient) {
			p.tls(p.certificate("server.crt", time.Now().Add(50*time.Hour)), p.path("server.key"))
			p.writeFile(p.cluster.Text(), 8)
			p.start()
		}, cause: "certificates", warns: true, says: "2 days"},
	}
}

// freeze keeps everybody from replacing a file.
func (p *patient) freeze(file string) {
	if out, err := exec.Command("chattr", "+i", file).CombinedOutput(); err != nil {
		p.t.Skipf("chattr: %v: %s", err, out)
	}
	p.t.Cleanup(func() { exec.Command("chattr", "-i", file).Run() })
}

// lets other users in, as far as the folders above do.
func (p *patient) lets() {
	fatal.If(p.t, os.Chmod(filepath.Dir(p.dir), 0o755))
	if bar := (render.Reader{UID: 901}).Bar(p.path("slave-agent.ini")); bar != nil {
		p.t.Skipf("other users cannot enter %s", bar.Path)
	}
}

// runsAs has chmpx run as another user.
func (p *patient) runsAs(uid string) {
	p.lets()
	p.put("proc/4711/status", "Uid:\t"+uid+"\t"+uid+"\t"+uid+"\nGid:\t"+uid+"\t"+uid+"\t"+uid+"\nGroups:\t\n", 0o644)
}

// tls has the RESOURCE name a certificate and key.
func (p *patient) tls(cert, key string) {
	p.put("server.key", "", 0o600)
	text := strings.Replace(p.cluster.Text(), "SSL                 = no", "SSL = on\nSERVER_CERT = "+cert+"\nSERVER_PRIKEY = "+key, 1)
	p.cluster.SetText(strings.ReplaceAll(text, "SSL                 = no", "SSL = on"))
}

func chmpxFaults() []fault {
	return []fault{
		{name: "the unit is masked", seed: down(func(s *daemon.UnitState) {
			s.LoadState, s.ActiveState, s.UnitFileState = "masked", "inactive", "masked"
		}), cause: "unit", says: "unmask"},
		{name: "the unit has failed", seed: down(func(s *daemon.UnitState) { s.ActiveState, s.Result = "failed", "exit-code" }), cause: "unit", says: "journalctl -u chmpx.service"},
		{name: "the unit is stopped", seed: down(func(s *daemon.UnitState) { s.ActiveState = "inactive" }), cause: "unit", says: "systemctl start"},
		{name: "the unit is disabled", seed: down(func(s *daemon.UnitState) { s.ActiveState, s.UnitFileState = "inactive", "disabled" }), cause: "unit", says: "enable --now"},
		{name: "there is no chmpx", seed: func(p *patient) { p.units = nil; chmpxIs(daemon.ErrNotInstalled)(p) }, cause: "unit", says: "install chmpx"},
		{name: "systemd does not answer", seed: func(p *patient) { p.noUnits = errors.New("systemd does not answer") }, cause: "unit", warns: true, root: true},
		{name: "the unit's files have changed", seed: unitIs(func(s *daemon.UnitState) { s.Stale = true }), cause: "unit", warns: true, says: "daemon-reload"},
		{name: "the drop-in is masked", seed: unitIs(func(s *daemon.UnitState) {
			s.DropIns, s.Command, s.Args = nil, "/usr/libexec/chmpx-service-helper", []string{"/usr/libexec/chmpx-service-helper", "start"}
		}), cause: "drop-in", says: "chmpx.ini"},
		{name: "override.conf names another file", seed: func(p *patient) {
			unitIs(func(s *daemon.UnitState) { s.Command, s.Args = "/usr/libexec/chmpx-service-helper", nil })(p)
			p.put("antpickax/override.conf", "chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = k2hdkc.ini\n", 0o644)
		}, cause: "drop-in", says: "override.conf"},
		{name: "the unit runs another file", seed: unitIs(func(s *daemon.UnitState) { s.Args = []string{"chmpx", "-conf", "/etc/k2hdkc/other.ini"} }), cause: "drop-in", says: "/etc/k2hdkc/other.ini"},
		{name: "k2hr3-get-resource writes the file", seed: func(p *patient) {
			p.units["k2hr3-get-resource.timer"] = daemon.UnitState{LoadState: "loaded", ActiveState: "active"}
			p.put("antpickax/k2hr3-get-resource-helper.conf", "OUTPUT_DIR = "+p.path("out")+"\nOUTPUT_FILE = slave.ini\n", 0o644)
		}, cause: "rivals", says: "disable --now"},
		{name: "k2hr3-get-resource's helper lives on", seed: func(p *patient) {
			p.put("proc/99/cmdline", "/bin/sh\x00/usr/libexec/k2hr3-get-resource-helper\x00-daemon\x00", 0o644)
			p.put("antpickax/override.conf", "k2hr3-get-resource-helper.conf:OUTPUT_DIR = "+p.path("out")+"\nk2hr3-get-resource-helper.conf:OUTPUT_FILE = slave.ini\n", 0o644)
		}, cause: "rivals", says: "process 99"},
		{name: "k2hr3-get-resource writes another file", seed: func(p *patient) {
			p.units["k2hr3-get-resource.timer"] = daemon.UnitState{LoadState: "loaded", ActiveState: "active"}
		}, cause: "rivals", warns: true, says: "/etc/antpickax/slave"},
		{name: "too few messages for a chmpx that is not root's", seed: func(p *patient) {
			p.put("proc/sys/fs/mqueue/msg_max", "10\n", 0o644)
			p.lets()
			unitIs(func(s *daemon.UnitState) { s.User = "nobody" })(p)
			chmpxIs(daemon.ErrNotRunning)(p)
		}, cause: "limits", says: "fs.mqueue.msg_max"},
		{name: "too few messages for programs", seed: func(p *patient) { p.put("proc/sys/fs/mqueue/msg_max", "10\n", 0o644) }, cause: "limits", warns: true, says: "needs 24"},
		{name: "chmpx is down", seed: chmpxIs(daemon.ErrNotRunning), cause: "chmpx", says: "systemctl start"},
		{name: "chmpxstatus cannot be run", seed: chmpxIs(daemon.ErrCannotRun), cause: "chmpx", says: "library"},
		{name: "chmpxstatus hangs", seed: chmpxIs(daemon.ErrTimeout), cause: "chmpx", says: "hangs"},
		{name: "chmpxstatus hangs in the kernel", seed: func(p *patient) {
			stuck := make(chan struct{})
			p.t.Cleanup(func() { close(stuck) })
			p.chmpx = func(context.Context) (daemon.Status, error) { <-stuck; return daemon.Status{}, nil }
		}, cause: "chmpx", says: "hangs"},
		{name: "chmpx has lost its watch", seed: func(p *patient) { p.writeFile(p.cluster.Text(), 8) }, cause: "revision", says: "revision 8"},
		{name: "chmpx has lost its watch, and a server has joined", seed: func(p *patient) {
			p.cluster.Join("127.0.0.99", "kv-99", "127.0.0.99")
			p.writeFile(p.cluster.Text(), 8)
		}, cause: "revision", says: "revision 8"},
		{name: "chmpx is stopped by a signal", seed: func(p *patient) {
			p.writeFile(p.cluster.Text(), 8)
			p.put(fmt.Sprintf("proc/%d/stat", ownPID), fmt.Sprintf("%d (chmpx) T 1", ownPID), 0o644)
		}, cause: "revision", says: fmt.Sprintf("kill -CONT %d", ownPID)},
		{name: "a hard link keeps chmpx from the new file", seed: func(p *patient) {
			p.writeFile(p.cluster.Text(), 8)
			fatal.If(p.t, os.Link(p.file(), p.path("out/backup.ini")))
		}, cause: "links"},
		{name: "nothing listens on the control port", seed: func(p *patient) { p.put("proc/net/tcp", "", 0o644) }, cause: "control-port", says: "8031"},
		{name: "all servers are down", seed: func(p *patient) { p.slave.SetRing(nil) }, cause: "servers", says: "connection refused"},
		{name: "one server is down", seed: func(p *patient) { p.slave.SetRing(p.ring[1:]) }, cause: "servers", warns: true, says: "2 of 3"},
		{name: "the ring has a server that the file does not list", seed: func(p *patient) {
			m := p.ring[0]
			m.Name, m.CUK, m.Seed = "127.0.0.99", "kv-99", "127.0.0.99"
			p.slave.SetRing(append(p.ring, m))
		}, cause: "servers", warns: true, says: "not registered"},
		{name: "only root's programs can join", seed: func(p *patient) { p.memory = 0o600 }, cause: "application", warns: true, root: true, says: "Group=k2hdkc"},
		{name: "a key cannot be read", seed: func(p *patient) { p.write = true; p.script("exit 0") }, cause: "write-test", says: "cannot be read"},
		{name: "a key is not deleted", seed: func(p *patient) {
			p.write = true
			p.script(`sed -n 's/^set \([^ ]*\) \(.*\)/"\1" => "\2"/p' "$4"`)
		}, cause: "write-test", says: "still there"},
		{name: "a key takes for ever", seed: func(p *patient) { p.write = true; p.script("exec sleep 60") }, cause: "write-test", says: "more than"},
	}
}

// script is a program in k2hdkclinetool's place.
func (p *patient) script(body string) {
	p.put("k2hdkclinetool", "#!/bin/sh\n"+body+"\n", 0o755)
	p.tool = p.path("k2hdkclinetool")
}

// Each fault is named by the check that it belongs to, and nothing else is.
func TestTheFirstCauseIsNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time, which the race detector makes too short")
	}
	groups := map[string][]fault{
		"configuration": configurationFaults(), "way": wayFaults(), "k2hr3": k2hr3Faults(), "file": fileFaults(),
		"chmpx": chmpxFaults(),
	}
	for name, faults := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range faults {
				t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
					t.Parallel()
					if f.root && os.Geteuid() != 0 {
						t.Skip("takes root")
					}
					p := newPatient(t)
					f.seed(p)
					p.inTime(f.wrong)
				})
			}
		})
	}
}

// wrong says what a report has wrong.
func (f fault) wrong(r Report) (list []string) {
	wrong := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	want := Failed
	if f.warns {
		want = Warning
	}
	if r.OK == (want == Failed) {
		wrong("ok is %v", r.OK)
	}
	for _, c := range r.Checks {
		switch {
		case c.ID == f.cause:
			if c.Status != want || c.Remedy == "" || !strings.Contains(c.Message+" "+c.Remedy, f.says) {
				wrong("%s is %s: %q, %q; want %s, %q, and a remedy", c.ID, c.Status, c.Message, c.Remedy, want, f.says)
			}
		case c.Status == Failed || c.Status == Warning:
			wrong("%s is %s besides: %s", c.ID, c.Status, c.Message)
		}
	}
	return list
}
