package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

const (
	podName = "slvpod-orders-0"
	nodeIP  = "10.9.0.1"
)

// podHost is a pod: a folder that its containers share, and what Kubernetes tells them. Its address
// is this machine's loopback, since that is where K2HR3 sees it.
type podHost struct {
	*host
	site *podSite
	uid  string
}

// podSite is a K2HR3 with a cluster of pods, whose certificates are in a folder.
type podSite struct {
	*site
	certs string
}

func newPodSite(t *testing.T) *podSite {
	t.Helper()
	s := newSite(t, 0)
	p := &podSite{site: s, certs: t.TempDir()}
	s.Cluster = s.server.AddPodCluster("shop", "orders", p.certs)
	s.Join("10.9.1.7", fakek2hr3.PodCUK("svrpod-orders-0", "10.9.1.7", nodeIP, "7"), "svrpod-orders-0")
	return p
}

// certNames are those that chmpx wants to be there, those of a server too.
var certNames = []string{"ca.crt", "server.crt", "server.key", "client.crt", "client.key"}

func (s *podSite) certify(t *testing.T) {
	t.Helper()
	for _, name := range certNames {
		write(t, filepath.Join(s.certs, name), "not looked into\n")
	}
}

func newPodHost(t *testing.T, s *podSite) *podHost {
	t.Helper()
	id := make([]byte, 8)
	rand.Read(id)
	p := &podHost{host: newHost(t), site: s, uid: hex.EncodeToString(id)}
	must(t, os.Remove(p.path("instance-id")))
	must(t, os.Mkdir(p.path("antpickax"), 0o755))
	write(t, p.path("user-token"), s.server.UnscopedToken("shop"))
	return p
}

// container runs the agent as a container that Kubernetes tells who the pod is.
func (p *podHost) container(ctx context.Context, args ...string) *exec.Cmd {
	cmd := p.beside(ctx, args...)
	cmd.Env = append(cmd.Env,
		"K2HDKC_POD_NAME="+podName, "K2HDKC_POD_IP="+hostAddr, "K2HDKC_POD_ID="+p.uid, "K2HDKC_NAMESPACE=shop",
		"K2HDKC_NODE_IP="+nodeIP, "K2HDKC_NODE_NAME=n1", "K2HDKC_POD_SERVICE_ACCOUNT=default",
		"K2HR3_API_URL="+p.site.uri, "K2HKDC_CLUSTER_NAME=orders", "K2HDKC_SLAVE_USER_TOKEN_FILE="+p.path("user-token"))
	return cmd
}

// beside runs the agent as a container that knows what is in the shared folder alone.
func (p *podHost) beside(ctx context.Context, args ...string) *exec.Cmd {
	cmd := p.command(ctx, args...)
	cmd.Env = p.without("K2HDKC_SLAVE_TAG")
	return cmd
}

// runs runs a container to its end.
func (p *podHost) runs(cmd *exec.Cmd) result {
	p.tb.Helper()
	return finish(p.tb, cmd, cmd.Start)
}

func (p *podHost) cuk() string { return read(p.tb, p.path("antpickax/k2hr3-cuk")) }

// isMember fails unless the pod is the one member of the role, as a pod.
func (p *podHost) isMember() {
	p.tb.Helper()
	slaves := p.site.Slaves()
	if len(slaves) != 1 || slaves[0].Extra != "k8s-auto-v1" || slaves[0].CUK != p.cuk() || slaves[0].Tag != podName {
		p.tb.Errorf("members %+v, want the pod with the CUK %s", slaves, p.cuk())
	}
}

// A pod of K2HDKC's chart from its start to its end.
func TestAPod(t *testing.T) {
	t.Parallel()
	s := newPodSite(t)
	p := newPodHost(t, s)
	user := read(t, p.path("user-token"))
	back := s.server.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut})

	// Its init container waits for K2HR3, and for the certificates.
	cmd := p.container(t.Context(), "once", "--register", "--log-format=json")
	init, err := realagent.Start(t.Context(), cmd, nil)
	must(t, err)
	d := &daemon{Process: init, tb: t}
	d.says("this pod has a new CUK", "")
	until(t, "a request", func() bool { return len(s.server.Requests()) > 1 })
	back()
	d.says(realagent.NotApplied, "is not a file on this host")
	if _, err := os.Stat(p.output()); err == nil {
		t.Error("a slave.ini without the certificates that chmpx needs to load it")
	}
	s.certify(t)
	d.says(realagent.Replaced, "")
	select {
	case <-d.Done():
	case <-deadline(t).Done():
		t.Fatalf("the init container does not end\n%s", d)
	}
	if status := d.State().ExitCode(); status != 0 {
		t.Fatalf("the init container ended with %d\n%s", status, d)
	}
	p.isMember()
	ini := read(t, p.output())
	if !strings.Contains(ini, "SELFCUK             = "+p.cuk()+"\n") || strings.Contains(ini, "%%") || !strings.Contains(ini, "SSL                 = no\n") {
		t.Errorf("slave.ini:\n%s", ini)
	}
	url := strings.ReplaceAll(p.cuk(), "=", "%3d")
	for name, want := range map[string]string{
		"k2hr3-api-url": s.uri, "k2hr3-register-url": s.uri + "/v1/role", "k2hr3-role": s.SlaveRole(), "k2hr3-resource": s.SlaveResource(),
		"k2hr3-cukencode": url, "k2hr3-apiarg": "extra=k8s-auto-v1&cuk=" + url + "&tag=" + podName,
	} {
		if got := read(t, p.path("antpickax/"+name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, r := range s.server.Requests() {
		if r.Op == fakek2hr3.OpToken && r.Query != "expire=3600" {
			t.Errorf("asked for a role token with %q, want one of an hour", r.Query)
		}
		silent(t, r.Path+r.Query, user)
	}
	for _, name := range names(t, p.path("antpickax")) {
		silent(t, read(t, p.path("antpickax/"+name)), user)
	}

	// The tokens of the user end. What the pod is known by is enough for its sidecar, which knows
	// the folder alone.
	s.server.ExpireUsers()
	puts := s.count(fakek2hr3.OpRegister)
	cmd = p.beside(t.Context(), "run", "--log-format=json", "--interval=1s")
	side := p.startCommand(cmd)
	side.says(realagent.Started, "")
	s.Join("10.9.1.8", fakek2hr3.PodCUK("svrpod-orders-1", "10.9.1.8", nodeIP, "8"), "svrpod-orders-1")
	side.says(realagent.Replaced, "")
	s.Leave("10.9.1.8", fakek2hr3.PodCUK("svrpod-orders-1", "10.9.1.8", nodeIP, "8"))
	side.says(realagent.Replaced, "")
	before := inode(t, p.output())
	if got := p.runs(p.beside(deadline(t), "status", "--ready")); got.status != 0 {
		t.Errorf("not ready where chmpx cannot be seen: %v", got)
	}
	var doc struct {
		Identity struct{ Flavour, Tag, CUK string }
	}
	got := p.runs(p.beside(deadline(t), "status", "--json"))
	if err := json.Unmarshal([]byte(got.stdout), &doc); err != nil || doc.Identity.Flavour != "k8s" || doc.Identity.Tag != podName || doc.Identity.CUK != p.cuk() {
		t.Errorf("status %+v (%v) of %v", doc, err, got)
	}
	// The time of the download makes no answer a new text.
	s.SetText(s.Text() + "\n# nothing that chmpx reads\n")
	s.next(t)
	s.next(t)
	s.next(t)
	if inode(t, p.output()) != before {
		t.Error("slave.ini was replaced, though nothing that chmpx compares has changed")
	}
	s.ClearText()

	// The sidecar ends and starts again, also while K2HR3 is away: the pod stays what it is.
	side.end()
	p.isMember()
	back = s.server.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut})
	side = p.startCommand(p.beside(t.Context(), "run", "--log-format=json", "--interval=1s"))
	side.says("cannot read the RESOURCE", "")
	if got := p.runs(p.beside(deadline(t), "status", "--ready")); got.status != 0 {
		t.Errorf("K2HR3 away makes the pod unready: %v", got)
	}
	back()
	side.end()
	p.isMember()
	if n := s.count(fakek2hr3.OpRegister); n != puts {
		t.Errorf("registered %d times more than once", n-puts)
	}

	// Its preStop hook takes it out, as soon as K2HR3 is there for it.
	undo := s.server.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut, Next: 6})
	defer undo()
	if got := p.runs(p.beside(deadline(t), "unregister")); got.status != 0 || !strings.Contains(got.stdout, "has left") {
		t.Error(got)
	}
	if slaves := s.Slaves(); len(slaves) != 0 {
		t.Errorf("members %+v after the pod's end", slaves)
	}
	if got := p.runs(p.beside(deadline(t), "unregister")); got.status != 0 || !strings.Contains(got.stdout, "was no member") {
		t.Errorf("a second time: %v", got)
	}
}

// Kubernetes may end the application before the sidecar, long after the sidecar's preStop hook.
func TestAPodThatHasLeftStaysOut(t *testing.T) {
	t.Parallel()
	s := newPodSite(t)
	s.certify(t)
	p := newPodHost(t, s)
	if got := p.runs(p.container(deadline(t), "once", "--register")); got.status != 0 {
		t.Fatal(got)
	}
	probes, requests := s.count(fakek2hr3.OpProbe), s.count(fakek2hr3.OpResource)
	side := p.startCommand(p.container(t.Context(), "run", "--log-format=json", "--interval=1s"))
	side.says(realagent.Started, "")
	until(t, "the pod to be known as a member", func() bool {
		return s.count(fakek2hr3.OpProbe) > probes && s.count(fakek2hr3.OpResource) > requests
	})
	if got := p.runs(p.beside(deadline(t), "unregister")); got.status != 0 {
		t.Fatal(got)
	}
	side.says(realagent.NotMember, "no longer a member")
	side.Signal(syscall.SIGHUP) // which lets it look again at once
	side.says(realagent.NotMember, "has left the role")
	if slaves := s.Slaves(); len(slaves) != 0 {
		t.Errorf("members %+v", slaves)
	}
	if got := p.runs(p.container(deadline(t), "register")); got.status != 0 {
		t.Error(got)
	}
	p.isMember()
}

// Pods that are killed and made anew under the same name and address, without having left: each
// one starts, whatever the order of the two entries, and none stays listed.
func TestPodsReplacedAtOneAddress(t *testing.T) {
	t.Parallel()
	s := newPodSite(t)
	s.certify(t)
	removed := 0
	for range 6 {
		p := newPodHost(t, s)
		got := p.runs(p.container(deadline(t), "once", "--register"))
		if got.status != 0 || !strings.Contains(read(t, p.output()), "SELFCUK             = "+p.cuk()+"\n") {
			t.Fatal(got)
		}
		if got := p.runs(p.container(deadline(t), "check")); got.status != 0 {
			t.Errorf("chmpx would not start: %v", got)
		}
		removed += strings.Count(got.stderr, "a pod that ended without leaving is taken out")
		p.isMember()
	}
	if removed != 5 {
		t.Errorf("%d of 5 pods that did not leave were taken out", removed)
	}
}

// A member that another host is, or that comes back, is nobody's to remove.
func TestAPodRemovesNoOther(t *testing.T) {
	t.Parallel()
	s := newPodSite(t)
	s.certify(t)
	s.AddSlave("10.9.1.9", fakek2hr3.PodCUK("slvpod-orders-9", "10.9.1.9", nodeIP, "9"), "slvpod-orders-9")
	s.AddSlave(hostAddr, fakek2hr3.PodCUK("slvpod-orders-5", "10.9.1.5", hostAddr, "5"), "slvpod-orders-5") // of this node, behind its address
	p := newPodHost(t, s)
	d := p.startCommand(p.container(t.Context(), "run", "--log-format=json", "--interval=1s"))
	for range 3 { // it would be taken out after the first
		s.next(t)
	}
	if strings.Contains(d.String(), "a pod that ended without leaving is taken out") || len(s.Slaves()) != 3 {
		t.Errorf("members %+v\n%s", s.Slaves(), d)
	}
}

// A pod whose end comes while K2HR3 is away, or a gateway says no in its place, tries for as long
// as Kubernetes lets it, and gives up before Kubernetes kills it.
func TestAPodThatCannotLeave(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakek2hr3.Fault{
		"hang":         {Name: fakek2hr3.Hang},
		"gateway's no": {Name: fakek2hr3.WrongJSON, Status: 403, Body: `{"message":"forbidden by gateway"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cannotLeave(t, fault)
		})
	}
}

func cannotLeave(t *testing.T, fault fakek2hr3.Fault) {
	s := newPodSite(t)
	s.certify(t)
	p := newPodHost(t, s)
	if got := p.runs(p.container(deadline(t), "once", "--register")); got.status != 0 {
		t.Fatal(got)
	}
	defer s.server.Fault(fault)()
	start := time.Now()
	got := p.runs(p.beside(deadline(t), "unregister"))
	if took := time.Since(start); got.status != 1 || took > 29*time.Second || took < 20*time.Second || !strings.Contains(got.stderr, "may still be listed") {
		t.Errorf("after %v: %v", took, got)
	}
}

// What K2HR3 and the operator get wrong.
func TestPodsThatCannotStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(*podSite, *podHost)
		args []string
		env  string
		says []string
	}{
		{"a user token that has expired", func(s *podSite, _ *podHost) { s.server.ExpireUsers() }, nil, "",
			[]string{"user token refused", "user-token-file"}},
		{"another address than that of the pod", nil, nil, "K2HDKC_POD_IP=10.9.3.3", []string{"10.9.3.3", nodeIP, "K2HR3 takes a pod from the address"}},
		{"a role that is not there", nil, []string{"--role=yrn:yahoo:::shop:role:nosuch/slave"}, "", []string{"there is no such role"}},
		{"no token at all", func(_ *podSite, p *podHost) { must(t, os.Remove(p.path("user-token"))) }, nil, "", []string{"no role token", "user-token"}},
		{"the text of a VM", func(s *podSite, _ *podHost) {
			s.SetText(strings.ReplaceAll(s.Text(), "%%SELF_CONTAINER_CUK%%", "__SELF_CONTAINER_ID__"))
		}, nil, "", []string{"__SELF_CONTAINER_ID__", "flavour = openstack"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newPodSite(t)
			s.certify(t)
			p := newPodHost(t, s)
			if tt.make != nil {
				tt.make(s, p)
			}
			cmd := p.container(deadline(t), append([]string{"once"}, tt.args...)...)
			if tt.env != "" {
				cmd.Env = append(cmd.Env, tt.env)
			}
			refused(t, "once", p.runs(cmd), 1, tt.says...)
		})
	}
}
