package pod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// realRing is the servers of a world whose chmpx is the real one, each with an address of its own.
type realRing struct {
	*world

	mu      sync.Mutex
	servers map[int]string // folders by their numbers
	text    string         // K2HR3's, as the servers have it
}

// newRealRing makes a ring without servers. Those that come look at K2HR3 for the rest of the test.
func newRealRing(t *testing.T, w *world) *realRing {
	t.Helper()
	r := &realRing{world: w, servers: map[int]string{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, 300*time.Millisecond) == nil {
			if err := r.follow(false); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func (r *realRing) name(n int) string { return fmt.Sprintf("w%d-server-%d", r.number, n) }

// start starts a server's chmpx.
func (r *realRing) start(t *testing.T, n int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := r.CA.secret(t, r.name(n))
	for name, key := range map[string]string{"ca.crt": "ca.crt", "server.crt": "tls.crt", "server.key": "tls.key", "client.crt": "tls.crt", "client.key": "tls.key"} {
		r.write(filepath.Join(dir, name), string(secret[key]))
	}
	r.have(t, n, dir)
	r.run("run", "--detach", "--name", r.name(n), "--network", network, "--ip", r.serverAddr(n),
		"--volume", dir+":/etc/antpickax", "--tmpfs", "/var/lib/antpickax", local(imageChmpx),
		"chmpx", "-conf", "/etc/antpickax/server.ini", "-d", "err")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := r.podman(context.Background(), "logs", "--tail", "30", r.name(n)).CombinedOutput()
			t.Logf("server %d:\n%s", n, out)
		}
		r.try(context.Background(), "rm", "--force", "--ignore", "--time", "0", r.name(n))
	})
}

// stop ends a server, which the others do not list any more.
func (r *realRing) stop(t *testing.T, n int) {
	t.Helper()
	r.have(t, n, "")
	r.run("kill", "--signal", "HUP", r.name(n))
	r.run("wait", r.name(n))
	r.run("rm", r.name(n))
}

// have says in which folder a server has its files, empty: it is gone, and gives all their files.
func (r *realRing) have(t *testing.T, n int, dir string) {
	t.Helper()
	r.mu.Lock()
	r.servers[n] = dir
	if dir == "" {
		delete(r.servers, n)
	}
	r.mu.Unlock()
	if err := r.follow(true); err != nil {
		t.Fatal(err)
	}
}

// follow gives each server its file, as the tools of the cluster do, if K2HR3 has another text.
func (r *realRing) follow(anyway bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.Cluster.Text()
	if text == r.text && !anyway {
		return nil
	}
	r.text = text
	for n, dir := range r.servers {
		own := strings.NewReplacer("%%SELF_CONTAINER_CUK%%", r.serverCUK(n), "%%FILE_DOWNLOAD_DATE%%", time.Now().Format(time.RFC1123Z),
			"MODE                = SLAVE", "MODE                = SERVER",
			fmt.Sprintf("SELFCTLPORT         = %d", fakek2hr3.PodSlaveCtlPort), fmt.Sprintf("SELFCTLPORT         = %d", fakek2hr3.ServerCtlPort)).
			Replace(text)
		path := filepath.Join(dir, "server.ini")
		if err := os.WriteFile(path+".next", []byte(own), 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".next", path); err != nil {
			return err
		}
	}
	return nil
}

// connected waits until a pod's chmpx is connected to servers, as its agent shows them.
func (w *world) connected(t *testing.T, p *Pod, servers ...int) {
	t.Helper()
	await(t, fmt.Sprintf("connected to %v", servers), limit, func(ctx context.Context) error {
		out, err := p.Exec(ctx, "agent", "/usr/bin/k2hdkc-slave-agent", "status")
		for _, n := range servers {
			found := false
			for l := range strings.Lines(out) {
				found = found || strings.Contains(l, w.serverAddr(n)) && strings.Contains(l, "up")
			}
			if !found {
				return fmt.Errorf("%v: server %d: %s", err, n, out)
			}
		}
		return nil
	})
}
