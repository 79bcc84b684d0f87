package usage

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

// real is a cluster of the real programs: K2HR3, and servers with chmpx and k2hdkc.
type real struct {
	*ring
	w       *walk
	api     *url.URL
	user    string // token
	tenant  string
	name    string // of the cluster
	server  string // role token of the servers
	servers []*server
	made    int
}

// template is the text of the cluster's RESOURCE in K2HR3's language.
//
//go:embed testdata/cluster.templ
var template string

// newReal is nil without the real programs.
func newReal(w *walk) cluster {
	w.Helper()
	uri, user, tenant := os.Getenv("K2HR3_API_URI"), os.Getenv("K2HR3_USER_TOKEN"), os.Getenv("K2HR3_TENANT")
	if uri == "" {
		return nil
	}
	if user == "" || tenant == "" {
		w.Log("K2HR3_API_URI is set, but not both of K2HR3_TENANT and K2HR3_USER_TOKEN: the stand-ins are used")
		return nil
	}
	chmpx, ok := installed(w.T)
	if !ok {
		w.Logf("K2HR3 is there, and not all of chmpx, chmpxstatus, chmpxconftest and %s are on PATH", strings.Join(realPrograms, ", "))
		return nil
	}
	api, err := url.Parse(uri)
	must(w.T, err)
	c := &real{w: w, api: api, user: user, tenant: tenant, name: "walk" + fmt.Sprint(time.Now().UnixMilli())}
	c.ring = &ring{t: w.T, net: w.net, text: c.fetch, period: 10 * time.Second, programs: chmpx}
	c.relay()
	return c
}

// relay has the VMs reach K2HR3, which tells them apart by a header that it believes from a proxy.
func (c *real) relay() {
	c.w.Helper()
	s := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(c.api)
		r.SetXForwarded()
	}}}
	go s.Serve(c.w.net.listen(k2hr3Addr, 80))
	c.w.Cleanup(func() { s.Close() })
}

// ask asks K2HR3 as a host, or as the user where from is empty, and returns its answer.
func (c *real) ask(method, path, from, token string, body any) (map[string]any, error) {
	var text io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(c.w.Context(), method, c.api.String()+"/v1/"+path, text)
	if err != nil {
		return nil, err
	}
	r.Close = true // K2HR3 closes idle connections after 5 s, and a PUT is not tried again
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("x-auth-token", token)
	}
	if from != "" {
		r.Header.Set("x-forwarded-for", from)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s (%v)", method, strings.SplitN(path, "?", 2)[0], answer.Status, err)
	}
	fields := map[string]any{}
	if len(b) > 0 {
		err = json.Unmarshal(b, &fields)
	}
	return fields, err
}

func (c *real) yrn(kind, path string) string {
	return fmt.Sprintf("yrn:yahoo:::%s:%s:%s", c.tenant, kind, path)
}

// group makes what the dashboard makes (docs/k2hr3.md H.1).
func (c *real) group() {
	c.w.Helper()
	type object = map[string]any
	text := strings.NewReplacer("@SERVERS@", c.yrn("role", c.name+"/server"), "@SLAVES@", c.yrn("role", c.name+"/slave")).Replace(template)
	none := object{"k2hr3-init-packages": "", "k2hr3-init-packagecloud-packages": "", "k2hr3-init-systemd-packages": ""}
	keys := func(mode string) object {
		o := object{"chmpx-mode": mode}
		for k, v := range none {
			o[k] = v
		}
		return o
	}
	for _, o := range []struct {
		kind  string
		value object
	}{
		{"resource", object{"name": c.name, "type": "string", "data": text, "alias": []string{}, "keys": object{
			"cluster-name": c.name, "chmpx-server-port": "8020", "chmpx-server-ctlport": "8021", "chmpx-slave-ctlport": "8031",
		}}},
		{"resource", object{"name": c.name + "/server", "type": "string", "data": "", "alias": []string{}, "keys": keys("SERVER")}},
		{"resource", object{"name": c.name + "/slave", "type": "string", "data": "", "alias": []string{}, "keys": keys("SLAVE")}},
		{"policy", object{
			"name": c.name, "effect": "allow", "action": []string{"yrn:yahoo::::action:read"}, "condition": nil, "alias": []string{},
			"resource": []string{c.yrn("resource", c.name+"/server"), c.yrn("resource", c.name+"/slave")},
		}},
		{"role", object{"name": c.name, "policies": []string{c.yrn("policy", c.name)}, "alias": []string{}}},
		{"role", object{"name": c.name + "/server", "policies": []string{}, "alias": []string{}}},
		{"role", object{"name": c.name + "/slave", "policies": []string{}, "alias": []string{}}},
	} {
		_, err := c.ask(http.MethodPost, o.kind, "", "U="+c.user, object{o.kind: o.value})
		must(c.w.T, err)
	}
	c.server = c.roleToken("server")
}

func (c *real) roleToken(kind string) string {
	c.w.Helper()
	answer, err := c.ask(http.MethodGet, "role/token/"+c.yrn("role", c.name+"/"+kind)+"?expire=0", "", "U="+c.user, nil)
	must(c.w.T, err)
	token, _ := answer["token"].(string)
	return token
}

func (c *real) options(dir string) []string {
	token := filepath.Join(dir, "role-token")
	must(c.w.T, os.WriteFile(token, []byte(c.roleToken("slave")+"\n"), 0o600))
	return []string{"--api-uri", "http://" + k2hr3Name, "--role", c.yrn("role", c.name+"/slave"), "--role-token-file", token, "--interval", "5s"}
}

// fetch is a server's configuration.
func (c *real) fetch(s *server) (string, error) {
	path := "resource/" + c.yrn("resource", c.name+"/server") + "?role=" + c.yrn("role", c.name+"/server") + "&cuk=" + s.cuk
	answer, err := c.ask(http.MethodGet, path, s.addr, "", nil)
	if err != nil {
		return "", err
	}
	text, _ := answer["resource"].(string)
	return strings.ReplaceAll(text, "__SELF_INSTANCE_ID__", s.cuk), nil
}

func (c *real) register(s *server) {
	c.w.Helper()
	path := "role/" + c.yrn("role", c.name+"/server") + "?cuk=" + s.cuk + "&extra=openstack-auto-v1&tag=" + s.fqdn()
	_, err := c.ask(http.MethodPut, path, s.addr, "R="+c.server, nil)
	must(c.w.T, err)
}

func (c *real) leave(s *server) {
	c.w.Helper()
	_, err := c.ask(http.MethodDelete, "role/"+c.yrn("role", c.name+"/server")+"?cuk="+s.cuk, s.addr, "", nil)
	must(c.w.T, err)
}

func (c *real) launch(names ...string) {
	c.w.Helper()
	for _, name := range names {
		c.made++
		s := &server{vm: c.w.net.newVM(name, fmt.Sprintf("10.20.2.%d", c.made)), cuk: fmt.Sprintf("b51d%04d", c.made)}
		c.register(s)
		c.ring.launch(s, c.servers)
		c.servers = append(c.servers, s)
	}
}

func (c *real) find(name string) (*server, int) {
	i := slices.IndexFunc(c.servers, func(s *server) bool { return s.name == name })
	return c.servers[i], i
}

func (c *real) destroy(names ...string) {
	c.w.Helper()
	var list []*server
	for _, name := range names {
		s, i := c.find(name)
		list, c.servers = append(list, s), slices.Delete(c.servers, i, i+1)
	}
	if len(c.servers) == 0 { // all at once, and nobody is there to take their keys
		for _, s := range list {
			c.leave(s)
		}
		for _, s := range list {
			c.end(s)
		}
		return
	}
	for i, s := range list {
		c.takeOut(s)
		// It ends before it leaves the role: a server that takes up that one has left, while that
		// runs, tells no slave of its end, and slaves keep it as up for good.
		c.end(s)
		c.leave(s)
		c.settle(append(slices.Clone(c.servers), list[i+1:]...))
	}
}

func (c *real) detach(name string) {
	s, _ := c.find(name)
	c.leave(s)
	s.detached = true
}

func (c *real) attach(name string) {
	s, _ := c.find(name)
	c.register(s)
	s.detached = false
}

func (c *real) restore(name string) {
	c.destroy(name)
	c.launch(name)
}

func (c *real) listed() (cuks []string) {
	for _, s := range c.servers {
		if !s.detached {
			cuks = append(cuks, s.cuk)
		}
	}
	return cuks
}

// plug keeps a slave from the servers: what they send to it gets lost.
func (c *real) plug(v *vm) {
	c.prepareSlave(v)
	for _, s := range c.servers {
		c.w.net.run(s.host, "ip", "route", "add", "blackhole", v.addr)
	}
}

func (c *real) admit(v *vm) {
	for _, s := range c.servers {
		c.w.net.run(s.host, "ip", "route", "del", "blackhole", v.addr)
	}
}

func (c *real) chmpx(ctx context.Context, v *vm) (*fakechmpx.Process, error) {
	return c.slaveChmpx(ctx, v)
}

// check waits for chmpxlinetool to find all nodes right: a connection that is being made is a
// fault to it for a moment (docs/chmpx.md K.5).
func (c *real) check(v *vm) string {
	c.w.Helper()
	right, said := 0, ""
	until(c.w.T, "chmpxlinetool to find all nodes right", func() bool {
		var err error
		said, err = c.line(v, slaveINI, "check")
		must(c.w.T, err)
		right = 0
		for line := range strings.Lines(said) {
			switch {
			case strings.HasPrefix(strings.TrimSpace(line), "OK "):
				right++
			case strings.HasPrefix(strings.TrimSpace(line), "ERR "), strings.HasPrefix(strings.TrimSpace(line), "WARN "):
				time.Sleep(time.Second)
				return false
			}
		}
		return right >= len(c.servers)+2
	})
	return fmt.Sprintf("chmpxlinetool check: %d nodes, all OK", right)
}

func (c *real) keys(v *vm) string {
	c.w.Helper()
	for _, user := range []struct {
		who  string
		uid  int
		in   bool
		want bool
	}{{"root", 0, false, true}, {"the application's user", appUser, true, true}, {"another user", otherUser, false, false}} {
		got, out := c.setsAndPrints(v, user.uid, user.in)
		for tries := 1; user.want && !got && tries < 3; tries++ { // one of the few that fail while the ring changes
			got, out = c.setsAndPrints(v, user.uid, user.in)
		}
		if got != user.want {
			c.w.Errorf("%s sets and prints a key: %v, want %v\n%s", user.who, got, user.want, out)
		}
	}
	return "k2hdkclinetool: root and a member of chmpx's group set, print and delete a key; another user is refused"
}

// setsAndPrints reports whether a user can do that, and what k2hdkclinetool says.
func (c *real) setsAndPrints(v *vm, uid int, member bool) (bool, string) {
	out := c.lineTool(v, uid, member, fmt.Sprintf("k%d", uid), "set k%d v%d\nprint k%d\nrm k%d\n", uid)
	return strings.Contains(out, fmt.Sprintf("\"k%d\" => \"v%d\"", uid, uid)), out
}

// lineTool runs commands of k2hdkclinetool's on a slave; each %d of them is n.
func (c *real) lineTool(v *vm, uid int, member bool, file, commands string, n int) string {
	text := strings.ReplaceAll(commands, "%d", fmt.Sprint(n)) + "exit\n"
	if err := os.WriteFile(filepath.Join(v.path("/run"), file), []byte(text), 0o644); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(c.w.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", as(uid, member, filepath.Join(programs, "k2hdkclinetool")+" -conf "+slaveINI+" -run /run/"+file))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
	v.host.Do(cmd.Start)
	if cmd.Process != nil {
		cmd.Wait()
	}
	return out.String()
}

func (c *real) application(v *vm) application { return &worker{c: c, vm: v} }

// workers is how many programs an application has, and each how many keys.
const (
	workers = 3
	keys    = 3
)

// worker is an application of the real cluster: a member of chmpx's group that sets keys of its own
// and prints them, again and again. That is one operation a key.
type worker struct {
	c  *real
	vm *vm

	mu          sync.Mutex
	all, failed int
}

func (a *worker) begin() {
	ctx := a.c.w.Context()
	var working sync.WaitGroup
	for n := range workers {
		working.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				a.round(ctx, n, round)
			}
		})
	}
	a.c.w.Cleanup(working.Wait)
}

func (a *worker) round(ctx context.Context, n, round int) {
	var commands strings.Builder
	for k := range keys {
		fmt.Fprintf(&commands, "set key-%d-%d value-%d\nprint key-%d-%d\n", n, k, round, n, k)
	}
	out := a.c.lineTool(a.vm, appUser, true, fmt.Sprintf("worker-%d", n), commands.String(), 0)
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	failed := false
	for k := range keys {
		a.all++
		if !strings.Contains(out, fmt.Sprintf("\"key-%d-%d\" => \"value-%d\"", n, k, round)) {
			a.failed++
			failed = true
		}
	}
	if failed && os.Getenv("WALK_SHOW") != "" {
		fmt.Fprintf(a.c.w.out, "%v: %s\n", time.Now(), out)
	}
}

func (a *worker) done() (all, failed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all, a.failed
}
