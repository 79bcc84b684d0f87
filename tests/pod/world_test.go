package pod

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// world is a node with nothing but the pods of one scenario, and a K2HR3 that they reach. Worlds
// share the machine, and are at different addresses.
type world struct {
	*Node
	K2HR3   *fakek2hr3.Server
	Cluster *fakek2hr3.Cluster
	CA      *authority
	web     *http.Server
	number  int // of the world
	token   string
	sees    bool        // the agent sees chmpx
	volumes volumeNames // what pods have in common with the machine
	real    *realRing   // the servers, where chmpx is the real one; nil: the stand-in is told of some
}

// volumeNames are those of the volumes: of slave.ini, and of chmpx's memory.
type volumeNames struct{ etc, memory string }

// overlay is what an operator writes for the pods here.
const overlay = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../packaging/kubernetes/base]
%s
configMapGenerator:
- name: k2hdkc-slave
  behavior: merge
  literals:
  - K2HDKC_SLAVE_API_URI=https://%s:%d
  - K2HDKC_SLAVE_ROLE=%s
`

// newWorld makes a world, whose cluster has two servers and no slave.
func newWorld(t *testing.T, m *machine, number int, components ...string) *world {
	t.Helper()
	w := &world{K2HR3: fakek2hr3.New(), CA: newAuthority(t), number: number, volumes: volumeNames{"antpickax", "memory"}}
	w.Cluster = w.K2HR3.AddPodCluster("shop", "orders", "/etc/antpickax")
	w.token = w.Cluster.RoleToken("slave", time.Hour)
	w.Node = &Node{machine: m, secrets: map[string]map[string][]byte{
		"k2hdkc-slave-token": {"role-token": []byte(w.token)},
		"k2hdkc-slave-tls":   w.CA.secret(t, "slave"),
	}}
	w.sees = slices.Contains(components, "confirm")
	w.use(t, components...)
	w.serve(t)
	if m.chmpx.Real {
		w.real = newRealRing(t, w)
	}
	w.server(t, 1)
	w.server(t, 2)
	return w
}

// port is K2HR3's on the machine.
func (w *world) port() int { return 18400 + w.number }

// addr is the address of a pod of this world.
func (w *world) addr(n int) string { return fmt.Sprintf("10.89.%d.%d", w.number, 21+n) }

// use has the pods from now on be those of the base, and of components besides.
func (w *world) use(t *testing.T, components ...string) {
	t.Helper()
	files := filesys.MakeFsInMemory()
	copyTree(t, files, "packaging/kubernetes")
	list := ""
	for _, c := range components {
		list += "- ../packaging/kubernetes/" + c + "\n"
	}
	if list != "" {
		list = "components:\n" + list
	}
	if err := files.WriteFile("/overlay/kustomization.yaml", fmt.Appendf(nil, overlay, list, gateway, w.port(), w.Cluster.SlaveRole())); err != nil {
		t.Fatal(err)
	}
	text, err := kustomize(files, "/overlay")
	if err != nil {
		t.Fatal(err)
	}
	if w.manifest, err = Read(text); err != nil {
		t.Fatal(err)
	}
}

// useChart has the pods from now on be those of the upstream chart with the agent, at this K2HR3.
func (w *world) useChart(t *testing.T) {
	t.Helper()
	api := fmt.Sprintf("https://%s:%d", gateway, w.port())
	text := strings.ReplaceAll(string(chart(t)), "https://svc-r3api-k2hr3.shop.svc.cluster.local:443", api)
	w.manifest = read(t, []byte(text))
	w.volumes = volumeNames{"antpickax-etc-volume", "antpickax-var-lib-volume"}
	w.secrets = map[string]map[string][]byte{
		"secret-k2hr3-ca-k2hr3":     w.CA.secret(t, "slave"),
		"secret-orders-k2hr3-token": {"unscopedToken": []byte(w.K2HR3.UnscopedToken("shop"))},
	}
}

// serve has K2HR3 answer.
func (w *world) serve(t *testing.T) {
	t.Helper()
	certificate, key := w.CA.issue(t, "k2hr3", gateway)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	listener := w.listen(w.port())
	w.web = fakek2hr3.NewHTTPServer(w.K2HR3)
	w.web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	web := w.web
	go web.ServeTLS(listener, "", "")
	t.Cleanup(func() { web.Close() })
}

// away ends K2HR3; serve has it back.
func (w *world) away() { w.web.Close() }

// pod makes a pod whose chmpx sees the two servers, and ends it with the test.
func (w *world) pod(t *testing.T, n int) *Pod { return w.podAt(t, n, w.addr(n)) }

func (w *world) podAt(t *testing.T, n int, ip string) *Pod {
	t.Helper()
	p, err := w.NewPod(fmt.Sprintf("w%d-slave-%d", w.number, n), ip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			p.dump(t)
		}
		p.Lose(context.Background())
	})
	if w.real == nil {
		w.tell(t, p, 1, 2)
	}
	return p
}

// up starts a pod and waits until it is ready.
func (w *world) up(t *testing.T, p *Pod) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begin := time.Now()
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	started := time.Since(begin)
	await(t, p.Name+" is ready", limit, p.Ready)
	t.Logf("%s: all its containers had been started after %.1f s", p.Name, started.Seconds())
}

// end ends a pod as Kubernetes does.
func (w *world) end(t *testing.T, p *Pod) {
	t.Helper()
	begin := time.Now()
	if err := p.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	t.Logf("%s: ended after %.1f s, chmpx with %d", p.Name, took.Seconds(), p.exits["chmpx"])
	if grace := time.Duration(*p.spec.TerminationGracePeriodSeconds) * time.Second; took > grace {
		t.Errorf("%s ends after %v, and has %v", p.Name, took, grace)
	}
	for name, status := range p.exits {
		if status != 0 && name != "application" {
			t.Errorf("%s: %s has ended with %d", p.Name, name, status)
		}
	}
}

// deletions are the requests by which somebody has left the role.
func (w *world) deletions() (n int) {
	for _, r := range w.K2HR3.Requests() {
		if r.Method == http.MethodDelete {
			n++
		}
	}
	return n
}

// limit is what a pod may take for anything, on a machine that is busy.
const limit = 2 * time.Minute

// members are the CUKs of the slave role's members by their addresses.
func (w *world) members() map[string][]string {
	members := map[string][]string{}
	for _, h := range w.Cluster.Slaves() {
		members[h.Addr] = append(members[h.Addr], h.CUK)
	}
	return members
}

// server joins server n of the cluster, and starts it if servers are real.
func (w *world) server(t *testing.T, n int) {
	t.Helper()
	w.Cluster.Join(w.serverAddr(n), w.serverCUK(n), fmt.Sprintf("svrpod-orders-%d", n))
	if w.real != nil {
		w.real.start(t, n)
	}
}

// leave takes server n out of the cluster, and ends it.
func (w *world) leave(t *testing.T, n int) {
	t.Helper()
	w.Cluster.Leave(w.serverAddr(n), w.serverCUK(n))
	if w.real != nil {
		w.real.stop(t, n)
	}
}

func (w *world) serverAddr(n int) string { return fmt.Sprintf("10.89.%d.%d", w.number, 200+n) }

func (w *world) serverCUK(n int) string {
	return fakek2hr3.PodCUK(fmt.Sprintf("svrpod-orders-%d", n), w.serverAddr(n), "10.0.0.12", fmt.Sprintf("%032d", n))
}

// ring has the chmpx of a pod see these servers as up. A real one sees them by itself, which takes
// as long as it takes.
func (w *world) ring(t *testing.T, p *Pod, servers ...int) {
	t.Helper()
	switch {
	case w.real == nil:
		w.tell(t, p, servers...)
	case w.sees:
		w.connected(t, p, servers...)
	}
}

// tell tells a stand-in for chmpx about its ring.
func (w *world) tell(t *testing.T, p *Pod, servers ...int) {
	t.Helper()
	var list []fakechmpx.Member
	for _, n := range servers {
		list = append(list, fakechmpx.Member{
			Name: w.serverAddr(n), Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort, CUK: w.serverCUK(n),
			Seed: fmt.Sprintf("svrpod-orders-%d", n),
		})
	}
	if err := fakechmpx.StateDir(p.file(w.volumes.memory, "")).SetRing(list...); err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so.
func await(t *testing.T, what string, limit time.Duration, so func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begin := time.Now()
	for {
		err := so(ctx)
		if err == nil {
			t.Logf("%s: after %.1f s", what, time.Since(begin).Seconds())
			return
		}
		if sleep(ctx, 200*time.Millisecond) != nil {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
	}
}

// fileHas says whether a pod's slave.ini lists exactly these servers.
func (w *world) fileHas(p *Pod, servers ...int) func(context.Context) error {
	return func(context.Context) error {
		text, err := os.ReadFile(p.file(w.volumes.etc, "slave.ini"))
		if err != nil {
			return err
		}
		var found []int
		for n := range 10 {
			if strings.Contains(string(text), w.serverAddr(n)+"\n") {
				found = append(found, n)
			}
		}
		if !slices.Equal(found, servers) {
			return fmt.Errorf("slave.ini lists the servers %v, want %v", found, servers)
		}
		return nil
	}
}
