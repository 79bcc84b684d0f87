package pod

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// port is K2HR3's on the machine.
const port = 18443

// world is a node, and a K2HR3 beside it that its pods reach.
type world struct {
	*Node
	K2HR3   *fakek2hr3.Server
	Cluster *fakek2hr3.Cluster
	CA      *authority
	web     *http.Server
	token   string
	chmpx   fakechmpx.Programs
}

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
  - K2HDKC_SLAVE_LOG_LEVEL=debug
`

// newWorld makes one, with the pods of the base, and of components besides.
func newWorld(t *testing.T, chmpx fakechmpx.Programs, components ...string) *world {
	t.Helper()
	m := newMachine(t)
	w := &world{K2HR3: fakek2hr3.New(), CA: newAuthority(t), chmpx: chmpx}
	w.Cluster = w.K2HR3.AddCluster("shop", "orders")
	w.token = w.Cluster.RoleToken("slave", time.Hour)

	files := filesys.MakeFsInMemory()
	copyTree(t, files, "packaging/kubernetes")
	list := ""
	for _, c := range components {
		list += "- ../packaging/kubernetes/" + c + "\n"
	}
	if list != "" {
		list = "components:\n" + list
	}
	if err := files.WriteFile("/overlay/kustomization.yaml", fmt.Appendf(nil, overlay, list, gateway, port, w.Cluster.SlaveRole())); err != nil {
		t.Fatal(err)
	}
	text, err := kustomize(files, "/overlay")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	w.Node = &Node{machine: m, manifest: manifest, secrets: map[string]map[string][]byte{
		"k2hdkc-slave-token": {"role-token": []byte(w.token)},
		"k2hdkc-slave-tls":   w.CA.secret(t, "slave"),
	}}
	m.loadImages(chmpx)
	w.serve(t)
	return w
}

// serve has K2HR3 answer.
func (w *world) serve(t *testing.T) {
	t.Helper()
	certificate, key := w.CA.issue(t, "k2hr3", gateway)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	listener := w.listen(port)
	w.web = fakek2hr3.NewHTTPServer(w.K2HR3)
	w.web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	web := w.web
	go web.ServeTLS(listener, "", "")
	t.Cleanup(func() { web.Close() })
}

// away ends K2HR3; serve has it back.
func (w *world) away() { w.web.Close() }

// members are the CUKs of the slave role's members by their addresses.
func (w *world) members() map[string][]string {
	members := map[string][]string{}
	for _, h := range w.Cluster.Slaves() {
		members[h.Addr] = append(members[h.Addr], h.CUK)
	}
	return members
}

// server joins server n of the cluster.
func (w *world) server(n int) {
	w.Cluster.Join(serverAddr(n), serverCUK(n), fmt.Sprintf("svrpod-orders-%d", n))
}

func (w *world) leave(n int) { w.Cluster.Leave(serverAddr(n), serverCUK(n)) }

func serverAddr(n int) string { return fmt.Sprintf("10.89.0.%d", 200+n) }

func serverCUK(n int) string { return fmt.Sprintf("server-%d", n) }

// ring has the chmpx of a pod see these servers as up.
func (w *world) ring(t *testing.T, p *Pod, servers ...int) {
	t.Helper()
	var list []fakechmpx.Member
	for _, n := range servers {
		list = append(list, fakechmpx.Member{
			Name: serverAddr(n), Port: fakek2hr3.ServerPort, CtlPort: fakek2hr3.ServerCtlPort, CUK: serverCUK(n),
			Seed: fmt.Sprintf("svrpod-orders-%d", n),
		})
	}
	if err := fakechmpx.StateDir(p.file("memory", "")).SetRing(list...); err != nil {
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
func fileHas(p *Pod, servers ...int) func(context.Context) error {
	return func(context.Context) error {
		text, err := readFile(p.file("antpickax", "slave.ini"))
		if err != nil {
			return err
		}
		var found []int
		for n := range 10 {
			if strings.Contains(text, serverAddr(n)+"\n") {
				found = append(found, n)
			}
		}
		if !slices.Equal(found, servers) {
			return fmt.Errorf("slave.ini lists the servers %v, want %v", found, servers)
		}
		return nil
	}
}
