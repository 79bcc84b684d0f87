package doctor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/watcher/k2hr3"
	"k2hdkc-slave-agent/watcher/member"
)

const (
	ownCUK  = "vm-3-of-shop"
	ownAddr = "127.0.0.1"
	ownPID  = 4711
)

// patient is a slave VM in good health: a K2HR3 on the loopback, files in a folder, and models of
// chmpx, its unit and the agent. A test makes it ill before it is examined.
type patient struct {
	t       *testing.T
	dir     string
	api     *fakek2hr3.Server
	cluster *fakek2hr3.Cluster
	url     string
	more    []string // options for it
	token   string
	front   func(http.ResponseWriter, *http.Request) bool // answers in K2HR3's place; nil, or false: it does not
	cert    *x509.Certificate                             // K2HR3's, made from this; nil: plain http
	trusted bool                                          // by ca-file
	args    []string                                      // options besides
	noToken bool

	known   member.Identity
	agent   status.AgentState
	units   map[string]daemon.UnitState
	noUnits error
	slave   *fakechmpx.Slave
	chmpx   func(context.Context) (daemon.Status, error) // in place of the slave's
	ring    []fakechmpx.Member
	memory  os.FileMode
	write   bool
	tool    string
	secrets []string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{t: t, dir: t.TempDir(), api: fakek2hr3.New(), agent: status.Running, memory: 0o666, tool: "/nowhere/k2hdkclinetool", trusted: true}
	p.cluster = p.api.AddCluster("shop", "orders")
	p.token = p.cluster.RoleToken("slave", 0)
	for i := 1; i <= 3; i++ {
		p.cluster.Join(fmt.Sprintf("127.0.0.%d", 10+i), fmt.Sprintf("kv-%d", i), fmt.Sprintf("127.0.0.%d", 10+i))
	}
	p.cluster.AddSlave(ownAddr, ownCUK, ownAddr)
	p.known = member.Identity{Role: p.cluster.SlaveRole(), CUK: ownCUK, Tag: ownAddr, Address: ownAddr}
	p.put("role-token", p.token+"\n", 0o600)
	p.put("instance-id", ownCUK+"\n", 0o644)
	p.put("slave-agent.ini", "", 0o644)
	fatal.If(p.t, os.MkdirAll(p.path("run"), 0o755))
	fatal.If(p.t, os.MkdirAll(p.path("out"), 0o755))
	p.writeFile(p.cluster.Text(), 7)
	p.units = map[string]daemon.UnitState{"chmpx.service": {
		LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled", Result: "success",
		Command: "/usr/bin/chmpx", Args: []string{"/usr/bin/chmpx", "-conf", p.file(), "-d", "err"},
		DropIns: []string{"/usr/lib/systemd/system/chmpx.service.d/" + ownDropIn},
	}}
	p.put("proc/sys/fs/mqueue/msg_max", "1025\n", 0o644)
	p.put(fmt.Sprintf("proc/%d/status", ownPID), "Name:\tchmpx\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n", 0o644)
	p.put("proc/net/tcp", "  sl  local_address rem_address   st\n   0: 00000000:1F5F 00000000:0000 0A 00000000:00000000\n", 0o644)
	for _, pid := range []string{"self", strconv.Itoa(ownPID)} {
		fatal.If(p.t, os.MkdirAll(p.path("proc/"+pid+"/ns"), 0o755))
		fatal.If(p.t, os.Symlink("net:[4026531840]", p.path("proc/"+pid+"/ns/net")))
	}
	p.start()
	return p
}

func (p *patient) path(name string) string { return filepath.Join(p.dir, name) }
func (p *patient) file() string            { return p.path("out/slave.ini") }

func (p *patient) put(name, text string, mode os.FileMode) {
	p.t.Helper()
	fatal.If(p.t, os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	fatal.If(p.t, os.WriteFile(p.path(name), []byte(text), mode))
	fatal.If(p.t, os.Chmod(p.path(name), mode))
}

// writeFile puts a text in place as the agent does.
func (p *patient) writeFile(text string, revision int) {
	p.t.Helper()
	p.put("out/next", string(render.Bytes(text, render.Values{InstanceID: ownCUK, Revision: revision})), 0o644)
	fatal.If(p.t, os.Rename(p.path("out/next"), p.file()))
}

// start starts chmpx on the file in place, with all its servers in the ring.
func (p *patient) start() {
	p.t.Helper()
	b, err := os.ReadFile(p.file())
	fatal.If(p.t, err)
	host := fakechmpx.Host{Names: []string{ownAddr}}
	c, err := fakechmpx.Load(b, host)
	fatal.If(p.t, err)
	p.slave, p.ring = fakechmpx.NewSlave(c, host), nil
	for _, n := range c.Servers {
		p.ring = append(p.ring, fakechmpx.Member{Name: n.Name, Port: n.Port, CtlPort: n.CtlPort, CUK: n.CUK, Seed: n.Seed})
	}
	p.slave.SetRing(p.ring)
}

func (p *patient) look(ctx context.Context, group string, ctlPort int) (daemon.Status, error) {
	if p.chmpx != nil {
		return p.chmpx(ctx)
	}
	shot := p.slave.Snapshot()
	if shot.Group != group || shot.CtlPort != ctlPort {
		return daemon.Status{}, daemon.ErrNotRunning
	}
	shot.PID, shot.Start = ownPID, time.Now().Add(-time.Hour).Unix()
	var printed bytes.Buffer
	fakechmpx.WriteStatus(&printed, shot, "/nowhere")
	return daemon.ParseStatus(printed.Bytes())
}

// serve starts K2HR3, and returns more options for it.
func (p *patient) serve() (more []string) {
	if p.url != "" {
		return p.more
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	fatal.If(p.t, err)
	srv := fakek2hr3.NewHTTPServer(p.api)
	inner := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.front == nil || !p.front(w, r) {
			inner.ServeHTTP(w, r)
		}
	})
	p.t.Cleanup(func() { srv.Close() })
	if p.cert == nil {
		go srv.Serve(l)
		p.url = "http://" + l.Addr().String()
		return nil
	}
	pair, ca := p.issue(p.cert)
	p.put("ca.pem", ca, 0o644)
	go srv.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
	p.url = "https://" + l.Addr().String()
	if !p.trusted {
		_, other := p.issue(goodCertificate())
		p.put("ca.pem", other, 0o644)
	}
	p.more = []string{"--ca-file", p.path("ca.pem")}
	return p.more
}

func goodCertificate() *x509.Certificate {
	return &x509.Certificate{
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// issue makes a certificate, and the authority that has signed it, in PEM.
func (p *patient) issue(template *x509.Certificate) (tls.Certificate, string) {
	p.t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal.If(p.t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-100 * 24 * time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	fatal.If(p.t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal.If(p.t, err)
	template.SerialNumber, template.Subject = big.NewInt(2), pkix.Name{CommonName: "k2hr3"}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	fatal.If(p.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
}

// certificate puts a certificate for chmpx into a file, good until then.
func (p *patient) certificate(name string, until time.Time) string {
	p.t.Helper()
	c := goodCertificate()
	c.NotBefore, c.NotAfter = until.Add(-24*time.Hour), until
	pair, _ := p.issue(c)
	p.put(name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})), 0o644)
	return p.path(name)
}

// subject is the patient as the doctor sees it.
func (p *patient) subject() Subject {
	p.t.Helper()
	args := p.serve()
	fatal.If(p.t, os.MkdirAll(p.path("memory"), 0o755))
	p.put("memory/state.chmpx", "", p.memory)
	verb, err := options.LookupVerb("doctor")
	fatal.If(p.t, err)
	args = append(args, "--config", p.path("slave-agent.ini"), "--api-uri", p.url, "--role", p.cluster.SlaveRole(),
		"--instance-id-file", p.path("instance-id"), "--antpickax-dir", p.path("antpickax"), "--output", p.file(),
		"--state-dir", p.path("state"), "--run-dir", p.path("run"))
	if !p.noToken {
		args = append(args, "--role-token-file", p.path("role-token"))
	}
	o, err := options.Load(verb, append(args, p.args...), options.System{Files: regularfile.Dir("/"), Dir: "/"})
	s := Subject{Options: o, Wrong: err}
	if err != nil {
		s.Options, _ = options.LoadLenient(verb, append(args, p.args...), options.System{Files: regularfile.Dir("/"), Dir: "/"})
		return s
	}
	if s.CUK, s.Wrong = o.ResolveCUK(); s.Wrong != nil {
		return s
	}
	s.File = render.File{Path: o.Output, Mode: o.Mode}
	s.Client, err = k2hr3.New(k2hr3.Config{API: o.APIURI, CAFile: o.CAFile, Timeout: Limit, Tries: 1})
	fatal.If(p.t, err)
	s.Known = p.known
	s.Judge = func(ctx context.Context, b []byte, running *chmpx.Running) chmpx.Report {
		return chmpx.Judge(ctx, b, chmpx.Host{Name: "vm-3", Addrs: []string{ownAddr, "10.20.0.21"}}, running)
	}
	s.Agent = func() (status.Document, error) {
		return status.Document{Agent: status.Agent{State: p.agent, StartedAt: time.Now().Add(-time.Hour)}}, nil
	}
	s.Chmpx = p.look
	s.Unit = func(_ context.Context, name string) (daemon.UnitState, error) {
		if st, ok := p.units[name]; ok && p.noUnits == nil {
			return st, nil
		}
		return daemon.UnitState{LoadState: "not-found", ActiveState: "inactive"}, p.noUnits
	}
	s.Memory = func(string, int) string { return p.path("memory/state.chmpx") }
	s.Proc, s.WriteTest, s.LineTool = p.path("proc"), p.write, p.tool
	return s
}

// examine runs all checks.
func (p *patient) examine(only string) Report {
	p.t.Helper()
	ids, err := Select(only)
	fatal.If(p.t, err)
	var told []Result
	r := Run(p.t.Context(), p.subject(), ids, func(r Result) { told = append(told, r) })
	if len(told) != len(r.Checks) || len(told) != len(ids) {
		p.t.Errorf("told %d results of %d", len(told), len(r.Checks))
	}
	for _, secret := range append(p.secrets, p.token) {
		if text := show(r); strings.Contains(text, secret[:12]) {
			p.t.Errorf("shows a part of a token:\n%s", text)
		}
	}
	return r
}

// inTime examines all, and fails if wrong says of the report what is. On a busy machine a check may
// find no more than that its own limit has passed; then the host is examined again.
func (p *patient) inTime(wrong func(Report) []string) {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; {
		r := p.examine("")
		list := wrong(r)
		if len(list) == 0 {
			return
		}
		if !limited.MatchString(show(r)) || time.Now().After(end) {
			p.t.Fatalf("%s\n%s", strings.Join(list, "\n"), show(r))
		}
	}
}

// limited is what a check says whose limit has passed.
var limited = regexp.MustCompile(`(within|more than) [0-9.]+m?s|in time|took [0-9.]+m?s to say no|i/o timeout|deadline exceeded`)

func show(r Report) string {
	var b strings.Builder
	for _, c := range r.Checks {
		c.Write(&b, 0)
	}
	return b.String() + r.Summary()
}
