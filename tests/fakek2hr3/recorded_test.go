package fakek2hr3

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

// hosts are the machines of the table. They are told apart by X-Forwarded-For,
// which K2HR3 believes from loopback.
var hosts = map[string]string{
	"user":  "10.20.0.1",
	"srv-1": "10.20.0.11", "srv-2": "10.20.0.12", "srv-3": "10.20.0.13", "nine": "10.20.0.9", "hundred": "10.20.0.100",
	"app-1": "10.20.0.21", "app-2": "10.20.0.22",
	"nocuk": "10.20.0.31", "oddextra": "10.20.0.32", "inout": "10.20.0.33", "ghost": "10.20.0.34",
	"stranger": "10.20.0.77",
	"pod-0":    "10.20.0.41", "pod-1": "10.20.0.42", "node": "10.20.0.49",
}

// world is a K2HR3 to hold the table to.
type world struct {
	base, tenant, cluster string
	user                  string // a user token scoped to the tenant
	extdata, extAgent     string
	// do carries out an admin row. When it cannot, the rows up to the next
	// admin row are skipped.
	do func(action string) bool
}

// TestExchangesAsRecorded holds the stand-in to the recordings, over TCP. With
// K2HR3_API_URI set it holds a real K2HR3 to them instead. That one must be
// reached over loopback (for X-Forwarded-For), and needs a tenant in which
// nothing but the DBaaS trees of one new cluster exist: K2HR3_TENANT,
// K2HR3_CLUSTER, and K2HR3_USER_TOKEN, a user token scoped to the tenant.
// K2HR3_EXTDATA and K2HR3_EXTDATA_AGENT name its extdata section. What only an
// administrator, or the loss of the store, can cause is skipped there.
func TestExchangesAsRecorded(t *testing.T) {
	w := standIn(t)
	if uri := os.Getenv("K2HR3_API_URI"); uri != "" {
		w = realOne(uri)
		if w.tenant == "" || w.cluster == "" || w.user == "" {
			t.Skip("K2HR3_API_URI is set, but not all of K2HR3_TENANT, K2HR3_CLUSTER and K2HR3_USER_TOKEN")
		}
	}
	tab := &table{
		world: w,
		client: &http.Client{Transport: &http.Transport{DisableCompression: true, IdleConnTimeout: 2 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		tokens: map[string]string{"user": w.user}, paths: map[string]string{}, tags: map[string]string{},
	}
	defer tab.client.CloseIdleConnections()
	skipping := ""
	for i, r := range exchanges {
		if r.admin != "" {
			skipping = ""
			if !w.do(r.admin) {
				skipping = r.admin
			}
			continue
		}
		t.Run(fmt.Sprintf("%03d_%s_%s", i, r.rec, strings.Fields(r.req)[0]), func(t *testing.T) {
			if skipping != "" {
				t.Skipf("needs what only an administrator can do: %s", skipping)
			}
			tab.check(t, r)
		})
	}
}

// standIn serves a stand-in whose clock the table moves.
func standIn(t *testing.T) world {
	var mu sync.Mutex
	var ahead time.Duration
	s := New(WithClock(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}))
	c := s.AddCluster("shop", "orders")

	undo := func() {}
	actions := map[string]func(){
		"set text":          func() { c.SetText("# \"q\" \\ \t \x01 日本 </>&\n") },
		"clear text":        c.ClearText,
		"backend down":      func() { undo = s.Fault(Fault{Name: BackendDown}) },
		"backend up":        func() { undo() },
		"internal error":    func() { undo = s.Fault(Fault{Name: InternalError}) },
		"no internal error": func() { undo() },
		"delete policy":     func() { c.SetPolicy(false) },
		"restore policy":    func() { c.SetPolicy(true) },
		"delete resource":   func() { c.SetResource(false) },
		"restore resource":  func() { c.SetResource(true) },
		"delete role":       func() { c.SetRole(false) },
	}
	return world{
		base: serve(t, s), tenant: "shop", cluster: "orders", user: s.UserToken("shop"),
		extdata: extdataName, extAgent: extdataUserAgent,
		do: func(action string) bool {
			if d, ok := passes(action); ok {
				mu.Lock()
				defer mu.Unlock()
				ahead += d
				return true
			}
			f, ok := actions[action]
			if !ok {
				t.Fatalf("no action %q", action)
			}
			f()
			return true
		},
	}
}

// serve serves a stand-in over TCP and returns its address.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal.If(t, err)
	srv := NewHTTPServer(s)
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }() //nolint:errcheck // ends with Close
	t.Cleanup(func() { srv.Close(); <-done })
	return "http://" + l.Addr().String()
}

func realOne(uri string) world {
	return world{
		base: strings.TrimSuffix(uri, "/"), tenant: os.Getenv("K2HR3_TENANT"), cluster: os.Getenv("K2HR3_CLUSTER"),
		user: os.Getenv("K2HR3_USER_TOKEN"), extdata: os.Getenv("K2HR3_EXTDATA"), extAgent: os.Getenv("K2HR3_EXTDATA_AGENT"),
		do: func(action string) bool {
			if d, ok := passes(action); ok {
				time.Sleep(d) // a real server's clock cannot be moved
				return true
			}
			// The way back from what was not done.
			return slices.Contains([]string{"clear text", "backend up", "no internal error", "restore policy", "restore resource"}, action)
		},
	}
}

func passes(action string) (time.Duration, bool) {
	s, ok := strings.CutSuffix(action, " pass")
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// table is what running it has gathered so far.
type table struct {
	world
	client              *http.Client
	tokens, paths, tags map[string]string
}

var placeholder = regexp.MustCompile(`\{([a-zA-Z]+)(?::([a-z0-9-]+|T|C))?\}`)

// expand fills in names, addresses, tokens and ETags.
func (tab *table) expand(t *testing.T, s string) string {
	role, resource := "yrn:yahoo:::"+tab.tenant+":role:"+tab.cluster, "yrn:yahoo:::"+tab.tenant+":resource:"+tab.cluster
	fixed := map[string]string{
		"T": tab.tenant, "C": tab.cluster, "YR": role, "YS": resource, "R": "/v1/role/" + role, "S": "/v1/resource/" + resource,
		"ext": tab.extdata, "extagent": tab.extAgent,
	}
	from := map[string]func(string) string{
		"addr":   func(n string) string { return hosts[n] },
		"tok":    func(n string) string { return tab.tokens[n] },
		"tag":    func(n string) string { return tab.tags[n] },
		"cuk":    func(n string) string { return strings.ReplaceAll(podCUKs[n], "=", "%3d") },
		"key":    func(n string) string { return podCUKs[n] },
		"strong": func(n string) string { return strings.TrimPrefix(tab.tags[n], "W/") },
		"path":   func(n string) string { return tab.paths[n] },
		"plain":  func(n string) string { p, _ := url.PathUnescape(tab.paths[n]); return p },
		"upper":  func(n string) string { return strings.ToUpper(fixed[n]) },
	}
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		g := placeholder.FindStringSubmatch(m)
		if g[2] == "" {
			if v, ok := fixed[g[1]]; ok {
				return v
			}
			return m
		}
		if f := from[g[1]]; f != nil {
			if v := f(g[2]); v != "" {
				return v
			}
		}
		t.Fatalf("nothing is known as %s", m)
		return ""
	})
}

// send makes the row's request.
func (tab *table) send(t *testing.T, r row) (*http.Response, []byte) {
	t.Helper()
	method, target, _ := strings.Cut(r.req, " ")
	req, err := http.NewRequest(method, tab.base+tab.expand(t, target), strings.NewReader(tab.expand(t, r.send)))
	fatal.If(t, err)
	from := r.from
	if from == "" {
		from = "app-1"
	}
	req.Header.Set("User-Agent", "conformance")
	req.Header.Set("X-Forwarded-For", hosts[from])
	if r.tok != "" {
		prefix, name := "", r.tok
		if i := strings.Index(r.tok, "="); i >= 0 {
			prefix, name = r.tok[:i+1], r.tok[i+1:]
		}
		if v, ok := tab.tokens[name]; ok {
			name = v
		}
		req.Header.Set("X-Auth-Token", prefix+name)
	}
	for h := range strings.SplitSeq(r.hdr, "\n") {
		if k, v, ok := strings.Cut(h, ":"); ok {
			v = strings.TrimSpace(tab.expand(t, v))
			req.Header.Set(k, v)
			req.Close = req.Close || k == "Connection" && v == "close"
		}
	}
	res, err := tab.client.Do(req)
	fatal.If(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fatal.If(t, err)
	return res, body
}

// check makes the row's request and compares the answer.
func (tab *table) check(t *testing.T, r row) {
	res, body := tab.send(t, r)
	if res.StatusCode != r.want {
		t.Fatalf("%s: got %s, want %d\n%s", r.req, res.Status, r.want, body)
	}
	if diff := cmp.Diff(tab.wantHeader(t, r, res, body), gotHeader(res.Header)); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	tab.checkBody(t, r, res, body)
	tag := res.Header.Get("ETag")
	if r.sameTag != "" && tag != tab.tags[r.sameTag] {
		t.Errorf("ETag %s, want that of %q, %s", tag, r.sameTag, tab.tags[r.sameTag])
	}
	if r.newTag != "" && tag == tab.tags[r.newTag] {
		t.Errorf("ETag %s is still that of %q", tag, r.newTag)
	}
	if r.saveTag != "" {
		tab.tags[r.saveTag] = tag
	}
}

// etagOf is the form of the validator, worked out anew.
func etagOf(body []byte) string {
	sum := sha1.Sum(body)
	return fmt.Sprintf(`W/"%x-%s"`, len(body), strings.TrimRight(base64.StdEncoding.EncodeToString(sum[:]), "="))
}

// gotHeader is an answer's header without what differs each time.
func gotHeader(h http.Header) map[string]string {
	m := map[string]string{}
	for k := range h {
		m[k] = h.Get(k)
	}
	if _, err := http.ParseTime(m["Date"]); err == nil {
		m["Date"] = "a date"
	}
	return m
}

// wantHeader is the complete header the row's answer must have.
func (tab *table) wantHeader(t *testing.T, r row, res *http.Response, body []byte) map[string]string {
	h := map[string]string{
		"X-Powered-By": "Express", "Date": "a date", "Connection": "keep-alive", "Keep-Alive": "timeout=5",
		"Content-Type": "application/json; charset=utf-8", "Content-Length": fmt.Sprint(len(body)), "Etag": etagOf(body),
	}
	drop := func(names ...string) {
		for _, n := range names {
			delete(h, n)
		}
	}
	if strings.Contains(r.hdr, "Connection: close") {
		drop("Connection", "Keep-Alive")
		if !res.Close { // where Go's client puts "Connection: close"
			t.Error("the connection stays open")
		}
	}
	method := strings.Fields(r.req)[0]
	kind, arg, _ := strings.Cut(r.kind, " ")
	switch {
	case res.StatusCode == http.StatusNoContent:
		drop("Content-Type", "Content-Length", "Etag")
	case res.StatusCode == http.StatusNotModified:
		drop("Content-Type", "Content-Length")
		h["Etag"] = res.Header.Get("ETag") // compared by sameTag
	case kind == "head": // an answer of the framework's own
		body := []byte(`{"result":false,"message":"Internal server error"}`)
		h["Content-Length"], h["Etag"] = fmt.Sprint(len(body)), etagOf(body)
	case method == http.MethodHead:
		drop("Content-Length", "Etag")
	case method == http.MethodDelete:
		drop("Etag")
	case kind == "gzip":
		h["Content-Type"], h["Content-Encoding"], h["Content-Transfer-Encoding"] = "application/zip", "gzip", "binary"
		h["Content-Disposition"] = "attachment; filename=" + arg
	case kind == "script":
		h["Content-Type"] = "text/x-shellscript; charset=utf-8"
	case kind == "multipart":
		boundary, _, _ := strings.Cut(strings.TrimPrefix(string(body), "--"), "\r\n")
		if !regexp.MustCompile(`^={16}K2HR3INIT\d{13}==$`).MatchString(boundary) {
			t.Errorf("boundary %q", boundary)
		}
		h["Content-Type"] = `multipart/mixed; boundary="` + boundary + `"; charset=utf-8`
		h["Mime-Version"], h["Number-Attachments"] = "1.0", arg
	}
	return h
}

func (tab *table) checkBody(t *testing.T, r row, res *http.Response, body []byte) {
	t.Helper()
	method := strings.Fields(r.req)[0]
	want := ""
	switch {
	case r.kind != "":
		tab.checkKind(t, r, body)
		return
	case r.saveTok != "":
		tab.saveToken(t, r, body)
		return
	case r.nodes != "":
		if got := nodesOf(t, body); got != r.nodes {
			t.Errorf("nodes %q, want %q", got, r.nodes)
		}
		return
	case method == http.MethodHead, method == http.MethodDelete, r.want == http.StatusNoContent, r.want == http.StatusNotModified:
	case r.msg != "":
		want = `{"result":false,"message":` + jsonString(t, tab.expand(t, r.msg)) + `}`
	case r.unexpected:
		want = `{"result":false,"message":"Internal server error"}`
	case r.value != "":
		want = `{"result":true,"message":null,"resource":` + tab.expand(t, r.value) + `}`
	case r.want == http.StatusCreated:
		want = `{"result":true,"message":null}`
	case r.body != "":
		want = tab.expand(t, r.body)
	default:
		t.Fatal("the row does not say what the body is")
	}
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func jsonString(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	fatal.If(t, e.Encode(s))
	return strings.TrimSuffix(b.String(), "\n")
}

var tokenBody = regexp.MustCompile(`^\{"result":true,"message":null,"token":"([0-9a-f]{64})","registerpath":"((?:[A-Za-z0-9]|%2F|%2B|%3D)+)"\}$`)

func (tab *table) saveToken(t *testing.T, r row, body []byte) {
	t.Helper()
	m := tokenBody.FindSubmatch(body)
	if m == nil {
		t.Fatalf("no token in %s", body)
	}
	for name, v := range tab.tokens {
		if v == string(m[1]) {
			t.Errorf("the token is the one issued as %q", name)
		}
	}
	tab.tokens[r.saveTok], tab.paths[r.saveTok] = string(m[1]), string(m[2])
}

// nodesOf lists the sections of a configuration by their NAMEs.
func nodesOf(t *testing.T, body []byte) string {
	t.Helper()
	var v struct{ Resource string }
	if err := json.Unmarshal(body, &v); err != nil || !bytes.HasPrefix(body, []byte(`{"result":true,"message":null,"resource":"`)) {
		t.Fatalf("not a text: %v\n%s", err, body)
	}
	var names [2][]string
	section := ""
	for line := range strings.SplitSeq(v.Resource, "\n") {
		if strings.HasPrefix(line, "[") {
			section = line
		}
		k, n, _ := strings.Cut(line, "=")
		if strings.TrimSpace(k) != "NAME" {
			continue
		}
		n = strings.TrimSuffix(strings.TrimSpace(n), ".shop.example")
		if section == "[SVRNODE]" {
			names[0] = append(names[0], n)
		} else {
			names[1] = append(names[1], n)
		}
	}
	return strings.TrimSpace(strings.Join(names[0], " ") + " | " + strings.Join(names[1], " "))
}

// checkKind checks what carries the role and its token to a new VM.
func (tab *table) checkKind(t *testing.T, r row, body []byte) {
	t.Helper()
	text := string(body)
	kind, arg, _ := strings.Cut(r.kind, " ")
	switch kind {
	case "head":
		return
	case "scoped":
		tab.saveScoped(t, body)
		return
	case "gzip":
		text = gunzip(t, body)
	}
	if arg == "1" {
		if !strings.Contains(text, "k2hr3-init-error.sh") || !strings.Contains(text, "exit 1") {
			t.Errorf("no script that says what went wrong:\n%s", text)
		}
		return
	}
	token, role := tab.tokens["shared"], "yrn:yahoo:::"+tab.tenant+":role:"+tab.cluster+"/slave"
	want := []string{token, role}
	if strings.Contains(r.req, "userdata") { // each section of extdata has a template of its own
		want = []string{"\nK2HR3_ROLE_TOKEN=\"" + token + "\"\n", "\nK2HR3_ROLE_NAME=\"" + role + "\"\n", "\nK2HR3_API_HOST_URI=\"http"}
	}
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("no %q in\n%s", s, text)
		}
	}
	if strings.Contains(r.req, "userdata") && strings.Count(text, "Content-Disposition: attachment; filename=\"") != 2 {
		t.Errorf("not two parts:\n%s", text)
	}
}

func gunzip(t *testing.T, data []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	fatal.If(t, err)
	text, err := io.ReadAll(z)
	fatal.If(t, err)
	return string(text)
}
