package pod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/need"
)

// TestRealChmpx runs pods whose chmpx is the real one, on a ring of real servers, with TLS: servers
// join and leave, and no chmpx ends; then a pod is replaced at its address, by turns with and
// without its preStop.
func TestRealChmpx(t *testing.T) {
	programs, ok := fakechmpx.Installed()
	if !ok {
		t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
	}
	need.Long(t, "runs pods")
	m := newMachine(t)
	m.loadImages(programs)
	w := newWorld(t, m, 1, "confirm")
	r := &realRing{world: w, servers: map[int]string{}}
	r.server(t, 1)
	r.server(t, 2)
	r.follow(t)

	p := w.real(t, 0)
	w.up(t, p)
	connected(t, p, 1, 2)
	r.server(t, 3)
	connected(t, p, 1, 2, 3)
	await(t, "slave.ini has three servers", limit, fileHas(p, 1, 2, 3))
	await(t, "ready", limit, p.Ready)
	r.stop(t, 2)
	await(t, "slave.ini has two servers", limit, fileHas(p, 1, 3))
	await(t, "ready", limit, p.Ready)
	for _, c := range []string{"register", "agent", "chmpx", "application"} {
		if n := p.Restarts(c); n > 0 {
			t.Errorf("%s was restarted %d times", c, n)
		}
	}
	// New certificates, for which chmpx is restarted by hand; and a chmpx that is killed.
	w.secrets["k2hdkc-slave-tls"] = w.CA.secret(t, "slave")
	if err := p.Renew("tls"); err != nil {
		t.Fatal(err)
	}
	for i, signal := range []string{"HUP", "KILL"} {
		if _, err := p.Exec(t.Context(), "chmpx", "/bin/sh", "-c", "kill -"+signal+" $(pidof chmpx)"); err != nil {
			t.Fatal(err)
		}
		await(t, "the kubelet has started chmpx again after "+signal, limit, restarted(p, "chmpx", i+1))
		await(t, "ready", limit, p.Ready)
		connected(t, p, 1, 3)
	}
	w.end(t, p)
	if left := w.members(); len(left) > 0 {
		t.Errorf("members after the end: %v", left)
	}
	times := 2
	if need.Full() {
		times = 20
	}
	for i := range times {
		p := w.real(t, 0)
		w.up(t, p)
		w.one(t)
		if i%2 == 0 {
			if err := p.Lose(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		w.end(t, p)
	}
	if times%2 == 0 && len(w.members()) > 0 {
		t.Errorf("members after the end: %v", w.members())
	}
	t.Logf("a pod replaced at its address started %d times of %d", times, times)
}

// real makes a pod; nobody tells its chmpx about the ring.
func (w *world) real(t *testing.T, n int) *Pod {
	t.Helper()
	p, err := w.NewPod(fmt.Sprintf("w%d-slave-%d", w.number, n), w.addr(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			p.dump(t)
			out, err := p.Exec(context.Background(), "chmpx", "chmpxstatus", "-conf", "/etc/antpickax/slave.ini")
			t.Logf("chmpxstatus: %v\n%s", err, out)
		}
		p.Lose(context.Background())
	})
	return p
}

// connected waits until a pod's chmpx is connected to servers.
func connected(t *testing.T, p *Pod, servers ...int) {
	t.Helper()
	await(t, fmt.Sprintf("connected to %v", servers), limit, func(ctx context.Context) error {
		out, err := p.Exec(ctx, "agent", "/usr/bin/k2hdkc-slave-agent", "status")
		for _, n := range servers {
			found := false
			for l := range strings.Lines(out) {
				found = found || strings.Contains(l, serverAddr(n)) && strings.Contains(l, "up")
			}
			if !found {
				return fmt.Errorf("%v: server %d: %s", err, n, out)
			}
		}
		return nil
	})
}

// realRing is the servers of a cluster, each with an address of its own.
type realRing struct {
	*world
	servers map[int]string // folders by their numbers
	text    string         // K2HR3's, as the servers have it
}

// server starts a server's chmpx and has it join the cluster.
func (r *realRing) server(t *testing.T, n int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := r.CA.secret(t, fmt.Sprintf("server-%d", n))
	for name, key := range map[string]string{"ca.crt": "ca.crt", "server.crt": "tls.crt", "server.key": "tls.key", "client.crt": "tls.crt", "client.key": "tls.key"} {
		r.write(filepath.Join(dir, name), string(secret[key]))
	}
	r.world.server(n)
	r.servers[n] = dir
	r.files(t)
	r.run("run", "--detach", "--name", fmt.Sprintf("server-%d", n), "--network", network, "--ip", serverAddr(n),
		"--volume", dir+":/etc/antpickax", "--tmpfs", "/var/lib/antpickax", local(imageChmpx),
		"chmpx", "-conf", "/etc/antpickax/server.ini", "-d", "err")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := r.podman(context.Background(), "logs", "--tail", "30", fmt.Sprintf("server-%d", n)).CombinedOutput()
			t.Logf("server %d:\n%s", n, out)
		}
	})
}

// stop has a server leave the cluster, and ends it.
func (r *realRing) stop(t *testing.T, n int) {
	t.Helper()
	r.leave(n)
	delete(r.servers, n)
	r.files(t)
	r.run("kill", "--signal", "HUP", fmt.Sprintf("server-%d", n))
}

// files gives each server its file, as the tools of the cluster do.
func (r *realRing) files(t *testing.T) {
	t.Helper()
	for n, dir := range r.servers {
		text := strings.NewReplacer("%%SELF_CONTAINER_CUK%%", serverCUK(n), "%%FILE_DOWNLOAD_DATE%%", time.Now().Format(time.RFC1123Z),
			"MODE                = SLAVE", "MODE                = SERVER",
			fmt.Sprintf("SELFCTLPORT         = %d", fakek2hr3.PodSlaveCtlPort), fmt.Sprintf("SELFCTLPORT         = %d", fakek2hr3.ServerCtlPort)).
			Replace(r.Cluster.Text())
		path := filepath.Join(dir, "server.ini")
		r.write(path+".next", text)
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
}

// follow has the servers look at K2HR3 for the rest of the test.
func (r *realRing) follow(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, 300*time.Millisecond) == nil {
			if text := r.Cluster.Text(); text != r.text {
				r.text = text
				r.files(t)
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}
