package doctor

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/fatal"
)

func TestAHealthyHostIsGoodEachTime(t *testing.T) {
	for kind, h := range map[string]struct {
		times int
		make  func(*patient)
	}{
		"http":  {100, func(*patient) {}},
		"https": {20, func(p *patient) { p.cert = goodCertificate() }},
		"without a token": {20, func(p *patient) {
			fatal.If(p.t, os.Remove(p.path("role-token")))
			p.noToken = true
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t)
			h.make(p)
			for range h.times {
				p.inTime(func(r Report) (wrong []string) {
					if !r.OK {
						wrong = append(wrong, "ok is false")
					}
					for _, c := range r.Checks {
						if c.Status != OK && !(c.ID == "tls" && kind != "https") && c.ID != "write-test" {
							wrong = append(wrong, c.ID+" is "+string(c.Status))
						}
					}
					return wrong
				})
			}
		})
	}
}

// K2HR3 pays for each request, and none may change anything.
func TestK2HR3IsAskedSeldomAndForNothingThatChangesIt(t *testing.T) {
	for name, seed := range map[string]func(*patient){"a member": func(*patient) {}, "no member": (*patient).notKnown} {
		p := newPatient(t)
		seed(p)
		before := p.cluster.Slaves()
		p.examine("")
		requests := p.api.Requests()
		if len(requests) < 3 || len(requests) > 4 {
			t.Errorf("%s: %d requests", name, len(requests))
		}
		for _, r := range requests {
			if !slices.Contains([]fakek2hr3.Op{fakek2hr3.OpRoot, fakek2hr3.OpProbe, fakek2hr3.OpResource}, r.Op) || r.Prefer != "" {
				t.Errorf("%s: %v", name, r)
			}
		}
		if after := p.cluster.Slaves(); !slices.Equal(before, after) {
			t.Errorf("%s: the slaves were %v, and are %v", name, before, after)
		}
	}
}

// What is examined looks the same afterwards.
// Nothing is wrong with a check that is said to be missing.
func TestAnAnswerWithoutADateTellsNoTime(t *testing.T) {
	p := newPatient(t)
	p.front = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header()["Date"] = nil
		return false
	}
	r := p.examine("clock,k2hr3")
	i := slices.IndexFunc(r.Checks, func(c Result) bool { return c.ID == "clock" })
	if c := r.Checks[i]; !r.OK || c.Status != Skipped || !strings.Contains(c.Message, "K2HR3's answer has no Date") || len(c.Needs) > 0 {
		t.Error(show(r))
	}
}

func TestNothingOnTheHostChanges(t *testing.T) {
	p := newPatient(t)
	fatal.If(p.t, os.Chmod(p.path("role-token"), 0o644)) // the agent would close it
	look := func() (all []string) {
		err := filepath.Walk(p.dir, func(path string, info os.FileInfo, err error) error {
			if err == nil {
				all = append(all, strings.Join([]string{path, info.Mode().String(), info.ModTime().String()}, " "))
			}
			return err
		})
		fatal.If(p.t, err)
		return all
	}
	s := p.subject() // which makes what the test needs
	before := look()
	Run(t.Context(), s, IDs(), func(Result) {})
	if after := look(); !slices.Equal(before, after) {
		t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

func TestAKeyIsWrittenReadAndDeleted(t *testing.T) {
	p := newPatient(t)
	p.write = true
	p.script(`sed -n 's/^set \([^ ]*\) \(.*\)/"\1" => "\2"\n"\1" => value is not found/p' "$4"`)
	r := p.examine("write-test")
	if c := r.Checks[len(r.Checks)-1]; c.ID != "write-test" || c.Status != OK || !strings.Contains(c.LookedAt, ownCUK) {
		t.Error(show(r))
	}
}

func TestSelect(t *testing.T) {
	for list, want := range map[string]string{
		"config":           "config",
		"tcp":              "config name tcp",
		"links, config":    "config file links",
		"token,duplicates": "config token name tcp tls k2hr3 store membership resource duplicates",
		"":                 strings.Join(IDs(), " "),
	} {
		got, err := Select(list)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %q", list, got, err, want)
		}
	}
	for _, list := range []string{"tpc", "config,", "config tcp"} {
		if got, err := Select(list); err == nil || !strings.Contains(err.Error(), "the checks are config, token") {
			t.Errorf("%q: %q, %v", list, got, err)
		}
	}
}

// A check names only checks before it, and each has an id of its own.
func TestTheTableIsInOrder(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range table() {
		if seen[c.id] || c.about == "" || !regexp.MustCompile(`^[a-z0-9]+(-[a-z]+)*$`).MatchString(c.id) || len(c.id) > idColumn {
			t.Errorf("%+v", c)
		}
		for _, id := range append(c.needs, c.behind...) {
			if !seen[id] {
				t.Errorf("%s names %s, which does not come before it", c.id, id)
			}
		}
		seen[c.id] = true
	}
}

// docs/doctor.md has a heading for each check, in the order of the table.
func TestEachCheckHasAHeading(t *testing.T) {
	b, err := os.ReadFile("../../docs/doctor.md")
	fatal.If(t, err)
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^### (\S+)$`).FindAllStringSubmatch(string(b), -1) {
		headings = append(headings, m[1])
	}
	if !slices.Equal(headings, IDs()) {
		t.Errorf("docs/doctor.md has\n%q, the checks are\n%q", headings, IDs())
	}
}

// The names of a report's fields are a promise.
func TestTheReportAsJSON(t *testing.T) {
	p := newPatient(t)
	os.Remove(p.path("instance-id"))
	b, err := json.Marshal(p.examine("token"))
	fatal.If(t, err)
	var got map[string]any
	fatal.If(t, json.Unmarshal(b, &got))
	checks := got["checks"].([]any)
	token := checks[1].(map[string]any)
	if got["schema"] != "k2hdkc-slave-agent/doctor/v1" || got["ok"] != false || len(got) != 3 || len(checks) != 2 {
		t.Errorf("%s", b)
	}
	if token["id"] != "token" || token["status"] != "skipped" || token["message"] != "needs config" || token["looked_at"] == "" ||
		token["remedy"] != "" || !slices.Equal(token["needs"].([]any), []any{"config"}) || len(token) != 6 {
		t.Errorf("%s", b)
	}
}

// Whatever hangs, all is over in time.
func TestWhateverHangsIsGivenUp(t *testing.T) {
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	for name, seed := range map[string]func(*patient){
		"chmpxstatus, in the kernel": func(p *patient) { // a limit does not end it
			p.chmpx = func(context.Context) (daemon.Status, error) { <-stuck; return daemon.Status{}, nil }
		},
		"K2HR3, drop by drop": func(p *patient) { p.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Drip, Delay: time.Second}) },
		"K2HR3, each answer":  func(p *patient) { p.api.Fault(fakek2hr3.Fault{Name: fakek2hr3.Slow, Delay: 3 * time.Second}) },
		"the servers": func(p *patient) {
			_, port, _ := net.SplitHostPort(blackHole(p))
			p.cluster.SetText(strings.ReplaceAll(p.cluster.Text(), "= 8020", "= "+port))
			p.writeFile(p.cluster.Text(), 8)
			p.start()
			p.slave.SetRing(nil)
		},
		"all at once": func(p *patient) {
			p.url = "http://" + blackHole(p)
			p.chmpx = func(context.Context) (daemon.Status, error) { <-stuck; return daemon.Status{}, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t)
			seed(p)
			began := time.Now()
			r := p.examine("")
			if r.OK {
				t.Error(show(r))
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if name == "the servers" && !strings.Contains(show(r), "127.0.0.12:") {
				t.Error(show(r))
			}
		})
	}
}

func TestWhatOthersWroteDoesNotSteerTheTerminal(t *testing.T) {
	var b strings.Builder
	Result{ID: "file", Status: Failed, Message: "a\x1b[2Jb\nc\u202ed", LookedAt: "\r", Remedy: "e\x00"}.Write(&b, 0)
	if strings.ContainsAny(b.String(), "\x1b\r\x00\u202e") || strings.Count(b.String(), "\n") != 3 {
		t.Errorf("%q", b.String())
	}
}

func TestLongTextsAreBrokenOnATerminal(t *testing.T) {
	var b strings.Builder
	Result{ID: "k2hr3", Status: Failed, Message: "K2HR3 at https://k2hr3.example.com:8443 does not answer within 2.5s",
		LookedAt: "GET /v1/version", Remedy: "look whether it runs"}.Write(&b, 60)
	want := `failed   k2hr3         K2HR3 at
                       https://k2hr3.example.com:8443 does
                       not answer within 2.5s
           looked at   GET /v1/version
           do          look whether it runs
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
