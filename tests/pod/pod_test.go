package pod

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/need"
)

// scenarios are what pods go through, and what their manifests are of besides the base.
var scenarios = []struct {
	name       string
	components []string
	run        func(*testing.T, *world)
}{
	{"many at once, and a node that is drained", nil, manyAtOnce},
	{"a life", nil, life},
	{"a life, with a look at chmpx", []string{"confirm"}, life},
	{"chmpx is killed", []string{"confirm"}, chmpxKilled},
	{"K2HR3 is away at the start", []string{"confirm"}, awayAtStart},
	{"K2HR3 is away at the end", []string{"confirm"}, awayAtEnd},
	{"the certificates are renewed", []string{"confirm"}, renewed},
	{"the certificates are renewed, and the agent may restart chmpx", []string{"confirm"}, renewedByTheAgent},
	{"replaced at the same address", []string{"confirm"}, replaced},
	{"the role token has expired", []string{"confirm"}, tokenExpired},
	{"a user's token", nil, userToken},
	{"the chart's pods", nil, chartsPod},
}

// TestPods runs pods of the manifests as they are, with a stand-in for chmpx.
func TestPods(t *testing.T) {
	need.Long(t, "runs pods")
	goThrough(t, fakechmpx.BuildT(t))
}

// TestRealChmpx runs the same with the real chmpx, each on a ring of real servers, with TLS.
func TestRealChmpx(t *testing.T) {
	programs, ok := fakechmpx.Installed()
	if !ok {
		t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
	}
	need.Long(t, "runs pods")
	goThrough(t, programs)
}

func goThrough(t *testing.T, chmpx fakechmpx.Programs) {
	m := newMachine(t)
	m.loadImages(chmpx)
	for i, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m.turn <- struct{}{}
			defer func() { <-m.turn }()
			s.run(t, newWorld(t, m, i+1, s.components...))
		})
	}
}

// one checks that there is one member, the first pod, and returns its CUK.
func (w *world) one(t *testing.T) string {
	t.Helper()
	m, addr := w.members(), w.addr(0)
	if len(m) != 1 || len(m[addr]) != 1 {
		t.Fatalf("members: %v, want one, at %s", m, addr)
	}
	return m[addr][0]
}

// life: a pod starts, servers join and leave, the agent's container is restarted and killed, and
// the pod ends.
func life(t *testing.T, w *world) {
	p := w.pod(t, 0)
	w.up(t, p)
	quiet(t, p)
	cuk := w.one(t)
	await(t, "slave.ini has two servers", limit, w.fileHas(p, 1, 2))
	text := string(mustRead(t, p.file("antpickax", "slave.ini")))
	if strings.Contains(text, "%%") || !strings.Contains(text, "CAPATH") {
		t.Errorf("slave.ini is not that of this pod:\n%s", text)
	}
	w.K2HR3.ForgetRequests()
	w.server(t, 3)
	w.ring(t, p, 1, 2, 3)
	w.ask(t, p)
	await(t, "a server has joined", limit, w.fileHas(p, 1, 2, 3))
	for i, signal := range []string{"TERM", "KILL"} {
		if _, err := w.try(t.Context(), "kill", "--signal", signal, p.container("agent")); err != nil {
			t.Fatal(err)
		}
		await(t, "the kubelet has started the agent again after "+signal, limit, restarted(p, "agent", i+1))
		want := [][]int{{1, 3}, {1, 2, 3}}[i]
		if i == 0 {
			w.leave(t, 2)
		} else {
			w.server(t, 2)
		}
		w.ring(t, p, want...)
		await(t, "it goes on", limit, w.fileHas(p, want...))
	}
	await(t, "ready as before", limit, p.Ready)
	if _, err := p.Exec(t.Context(), "agent", "/usr/bin/k2hdkc-slave-agent", "doctor", "--only", "membership"); err != nil {
		t.Errorf("doctor in the agent's container: %v", err)
	}
	if now := w.one(t); now != cuk {
		t.Error("the pod has another CUK")
	}
	for _, r := range w.K2HR3.Requests() {
		if r.Method == http.MethodPut || r.Method == http.MethodDelete {
			t.Errorf("the membership was touched: %v", r)
		}
	}
	for _, c := range []string{"register", "chmpx", "application"} {
		if n := p.Restarts(c); n > 0 {
			t.Errorf("%s was restarted %d times", c, n)
		}
	}
	w.end(t, p)
	if m := w.members(); len(m) > 0 {
		t.Errorf("members after the end: %v", m)
	}
}

// quiet checks that the agent of a pod warns of no token that others could read.
func quiet(t *testing.T, p *Pod) {
	t.Helper()
	for _, c := range []string{"register", "agent"} {
		if log := p.Log(c); strings.Contains(log, "others may read") || strings.Contains(log, "everybody could read") {
			t.Errorf("%s:\n%s", c, log)
		}
	}
}

// ask has the agent ask K2HR3 now, where it does not see the ring. Its interval is a minute.
func (w *world) ask(t *testing.T, p *Pod) {
	t.Helper()
	if _, err := w.try(t.Context(), "kill", "--signal", "HUP", p.container("agent")); err != nil {
		t.Fatal(err)
	}
}

func restarted(p *Pod, container string, n int) func(context.Context) error {
	return func(context.Context) error {
		if p.Restarts(container) < n {
			return fmt.Errorf("%s was restarted %d times", container, p.Restarts(container))
		}
		return nil
	}
}

func chmpxKilled(t *testing.T, w *world) {
	p := w.pod(t, 0)
	w.up(t, p)
	if _, err := p.Exec(t.Context(), "chmpx", "/bin/sh", "-c", "kill -KILL $(pidof chmpx)"); err != nil {
		t.Fatal(err)
	}
	await(t, "the kubelet has started it again", limit, restarted(p, "chmpx", 1))
	await(t, "the pod is ready", limit, p.Ready)
	if p.Restarts("agent")+p.Restarts("application") > 0 || w.deletions() > 0 {
		t.Error("it was not chmpx alone")
	}
}

func awayAtStart(t *testing.T, w *world) {
	w.away()
	p := w.pod(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Start(ctx) }()
	await(t, "the agent says what it waits for", limit, says(p, "register", "cannot reach", "refused"))
	w.serve(t)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p.Restarts("register") > 0 {
		t.Error("the init container has failed; it was to wait")
	}
	await(t, "ready", limit, p.Ready)
	w.end(t, p)
}

// says says whether the log of a container has one of these words.
func says(p *Pod, container string, words ...string) func(context.Context) error {
	return func(context.Context) error {
		log := p.Log(container)
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(log, w) }) {
			return fmt.Errorf("no %q in\n%s", words, log)
		}
		return nil
	}
}

// awayAtEnd: K2HR3 comes back while preStop still tries.
func awayAtEnd(t *testing.T, w *world) {
	p := w.pod(t, 0)
	w.up(t, p)
	w.away()
	back := make(chan struct{})
	go func() {
		defer close(back)
		time.Sleep(5 * time.Second)
		w.serve(t)
	}()
	w.end(t, p)
	<-back
	if m := w.members(); len(m) > 0 {
		t.Errorf("members after the end: %v", m)
	}
}

// renew replaces the certificates of a pod, and has its agent look at them now.
func (w *world) renew(t *testing.T, p *Pod) {
	t.Helper()
	w.secrets["k2hdkc-slave-tls"] = w.CA.secret(t, "slave")
	if err := p.Renew("tls"); err != nil {
		t.Fatal(err)
	}
	w.ask(t, p)
}

// renewed: the agent says that chmpx has to be restarted, and leaves that to who may.
func renewed(t *testing.T, w *world) {
	p := w.pod(t, 0)
	w.up(t, p)
	w.renew(t, p)
	want := string(mustRead(t, p.file("tls", "client.crt")))
	if got, err := p.Exec(t.Context(), "chmpx", "cat", "/etc/antpickax/client.crt"); err != nil || got != want {
		t.Errorf("chmpx would load another certificate: %v", err)
	}
	await(t, "the agent says so", limit, says(p, "agent", "certificates have changed; chmpx goes on with the previous ones"))
	if n := p.Restarts("chmpx"); n > 0 {
		t.Errorf("chmpx was restarted %d times", n)
	}
	if _, err := p.Exec(t.Context(), "chmpx", "/bin/sh", "-c", "kill -HUP $(pidof chmpx)"); err != nil {
		t.Fatal(err)
	}
	await(t, "the kubelet has started it again", limit, restarted(p, "chmpx", 1))
	await(t, "ready", limit, p.Ready)
	w.end(t, p)
}

// renewedByTheAgent: it ends chmpx, for the kubelet to start it again, and nothing else ends.
func renewedByTheAgent(t *testing.T, w *world) {
	for _, data := range w.manifest.Configs {
		data["K2HDKC_SLAVE_RESTART_UNCONFIRMED"] = "yes"
	}
	p := w.pod(t, 0)
	w.up(t, p)
	before := p.Restarts("chmpx")
	w.ask(t, p)
	w.renew(t, p)
	await(t, "the agent has chmpx restarted", limit, says(p, "agent", "restarting chmpx, as its certificates have changed"))
	await(t, "the kubelet has started it again", limit, restarted(p, "chmpx", before+1))
	await(t, "ready", limit, p.Ready)
	if n := p.Restarts("agent") + p.Restarts("application"); n > 0 || w.deletions() > 0 {
		t.Error("it was not chmpx alone")
	}
	w.end(t, p)
}

// replaced: the pod of a StatefulSet comes back under its name, and here at its address too, after
// an end as it should be, and after none.
func replaced(t *testing.T, w *world) {
	times := 1
	if need.Full() {
		times = 20
	}
	cuks := map[string]bool{}
	for i := range times {
		p := w.pod(t, 0)
		w.up(t, p)
		cuks[w.one(t)] = true
		if i%2 == 0 {
			w.end(t, p)
			if len(w.members()) > 0 {
				t.Errorf("members after the end: %v", w.members())
			}
			p = w.pod(t, 0)
			w.up(t, p)
			cuks[w.one(t)] = true
		}
		if err := p.Lose(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.one(t) // who could have removed it
	}
	p := w.pod(t, 0)
	w.up(t, p)
	cuks[w.one(t)] = true
	if len(cuks) < times+2 {
		t.Errorf("%d CUKs of as many pods as that", len(cuks))
	}
	w.end(t, p)
}

// tokenExpired: who is a member needs none; a new pod waits for another one.
func tokenExpired(t *testing.T, w *world) {
	first := w.pod(t, 0)
	w.up(t, first)
	w.Cluster.Revoke(w.token)
	w.server(t, 3)
	w.ring(t, first, 1, 2, 3)
	w.ask(t, first)
	await(t, "a member goes on", limit, w.fileHas(first, 1, 2, 3))

	second := w.pod(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- second.Start(ctx) }()
	await(t, "a new pod says what is wrong", limit, says(second, "register", "token"))
	w.token = w.Cluster.RoleToken("slave", time.Hour)
	w.secrets["k2hdkc-slave-token"] = map[string][]byte{"role-token": []byte(w.token)}
	if err := second.Renew("token"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.end(t, second)
	w.end(t, first)
	if m := w.members(); len(m) > 0 {
		t.Errorf("members after the end: %v", m)
	}
}

// userToken: a pod gets its role token by a user's, as with the chart.
func userToken(t *testing.T, w *world) {
	w.secrets["k2hdkc-slave-token"] = map[string][]byte{"user-token": []byte(w.K2HR3.UnscopedToken("shop"))}
	for _, data := range w.manifest.Configs {
		data["K2HDKC_SLAVE_USER_TOKEN_FILE"] = "/etc/k2hdkc/user-token"
	}
	p := w.pod(t, 0)
	w.up(t, p)
	w.one(t)
	w.K2HR3.ExpireUsers()
	w.end(t, p)
	if m := w.members(); len(m) > 0 {
		t.Errorf("members after the end: %v", m)
	}
}

// chartsPod: a pod of the upstream chart with the agent in place of its scripts. It starts, follows
// the servers, leaves, and has no role token in a file.
func chartsPod(t *testing.T, w *world) {
	w.useChart(t)
	p := w.pod(t, 0)
	w.up(t, p)
	quiet(t, p)
	w.one(t)
	await(t, "slave.ini has two servers", limit, w.fileHas(p, 1, 2))
	w.server(t, 3)
	w.ask(t, p)
	await(t, "a server has joined", limit, w.fileHas(p, 1, 2, 3))
	if _, err := os.Stat(p.file(w.volumes.etc, "k2hr3-role-token")); err == nil {
		t.Error("a file has a role token")
	}
	for _, c := range []string{"register", "agent", "slvchmpx-orders", "slvk2hdkc-orders"} {
		if n := p.Restarts(c); n > 0 {
			t.Errorf("%s was restarted %d times", c, n)
		}
	}
	w.end(t, p)
	if m := w.members(); len(m) > 0 {
		t.Errorf("members after the end: %v", m)
	}
}

// manyAtOnce: twenty pods start together; then they end together, and come back at other addresses.
func manyAtOnce(t *testing.T, w *world) {
	const count = 20
	all := w.start(t, count, 0)
	if n := len(w.members()); n != count {
		t.Errorf("%d members", n)
	}
	begin := time.Now()
	w.each(t, all, func(p *Pod) error { return p.End(t.Context()) })
	t.Logf("the node of %d pods was drained after %.1f s", count, time.Since(begin).Seconds())
	if m := w.members(); len(m) > 0 {
		t.Errorf("members after the drain: %v", m)
	}
	w.start(t, 2, 100)
	if n := len(w.members()); n != 2 {
		t.Errorf("%d members on the other node", n)
	}
}

// start starts pods at the same time, at addresses from one on.
func (w *world) start(t *testing.T, count, from int) (all []*Pod) {
	t.Helper()
	for n := range count {
		all = append(all, w.podAt(t, n, w.addr(from+n)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	begin := time.Now()
	w.each(t, all, func(p *Pod) error { return p.Start(ctx) })
	t.Logf("%d pods: all containers were started after %.1f s", count, time.Since(begin).Seconds())
	w.each(t, all, func(p *Pod) error {
		for {
			err := p.Ready(ctx)
			if err == nil {
				return nil
			}
			if sleep(ctx, time.Second) != nil {
				return err
			}
		}
	})
	t.Logf("%d pods: all were ready after %.1f s", count, time.Since(begin).Seconds())
	return all
}

func (w *world) each(t *testing.T, all []*Pod, f func(*Pod) error) {
	t.Helper()
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() { errs[i] = f(p) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
