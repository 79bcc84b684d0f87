package chmpx

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

// The cases in testdata/judge stand one after the other:
//
//	== name ==
//	spec: the section the rule is from
//	verdict: accept, dangerous or reject
//	finds: rule @ line it is about        (any number; @ - for the whole file)
//	>>>
//	the text
//
// finds: nothing means no finding at all. A line of the text that begins with %
// stands for a section of a good file: %global, %server or %slave; -KEY leaves a
// key out. Control pictures stand for the characters that can't be seen: ␍ ␀ ␉
// ␌ ␋, ␣ for a blank at the end, ⍽ for a no-break
// one, ⌀ for a byte order mark, ␃ for no line feed.
type testCase struct {
	name, spec string
	verdict    string
	finds      []string
	text       string
}

func readCases(t testing.TB) []testCase {
	t.Helper()
	files, err := filepath.Glob("testdata/judge/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []testCase
	for _, file := range files {
		b, err := os.ReadFile(file)
		fatal.If(t, err)
		for _, one := range strings.Split("\n"+string(b), "\n== ")[1:] {
			cases = append(cases, parseCase(t, file, one))
		}
	}
	return cases
}

func parseCase(t testing.TB, file, s string) testCase {
	t.Helper()
	name, rest, ok := strings.Cut(s, " ==\n")
	head, body, ok2 := strings.Cut(rest, ">>>\n")
	if !ok || !ok2 {
		t.Fatalf("%s: malformed case %q", file, s)
	}
	c := testCase{name: strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + name}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "spec":
			c.spec = value
		case "verdict":
			c.verdict = value
		case "finds":
			c.finds = append(c.finds, value)
		default:
			t.Fatalf("%s: %s: unknown line %q", file, name, line)
		}
	}
	if c.verdict == "" || c.spec == "" || len(c.finds) == 0 {
		t.Fatalf("%s: %s: spec, verdict or finds is missing", file, name)
	}
	c.text = expandText(strings.TrimSuffix(body, "\n") + "\n")
	return c
}

var sections = map[string][]string{
	"%global": {"[GLOBAL]", "FILEVERSION = 7", "GROUP = orders", "MODE = SLAVE", "DELIVERMODE = hash",
		"SELFCTLPORT = 8031", "MAXCHMPX = 8", "K2HMASKBIT = 4"},
	"%server": {"[SVRNODE]", "NAME = 10.20.0.11", "PORT = 8020", "CTLPORT = 8021"},
	"%slave":  {"[SLVNODE]", "NAME = 10.20.0.31", "CTLPORT = 8031"},
}

func expandText(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		words := strings.Fields(line)
		if len(words) == 0 || sections[words[0]] == nil {
			b.WriteString(line)
			continue
		}
		for _, l := range sections[words[0]] {
			key, _, _ := strings.Cut(l, " ")
			if !slices.Contains(words[1:], "-"+key) {
				b.WriteString(l + "\n")
			}
		}
	}
	return strings.NewReplacer("␍", "\r", "␀", "\x00", "␉", "\t", "␌", "\f", "␋", "\v", "␣", " ",
		"⌀", "\ufeff", "⍽", "\u00a0", "␃\n", "").Replace(b.String())
}

// shop is the host the cases are judged for: web-1, a slave of cluster orders.
func shop() Host {
	return Host{
		Name:   "web-1",
		Addrs:  []string{"127.0.0.1", "::1", "10.20.0.31", "fd00:20::31"},
		Names:  []string{"web-1.shop.internal"},
		Lookup: shopNames,
		Paths:  shopPaths,
	}
}

// shopNames is the name service there. slow.* never answers in time.
func shopNames(_ context.Context, name string) ([]string, error) {
	name = strings.ToLower(name)
	switch name {
	case "web.shop.example", "cname.shop.internal", "web-1.shop.internal":
		return []string{"10.20.0.31", "web-1.shop.internal"}, nil
	case "203.0.113.31": // floating address with a reverse name
		return []string{"203.0.113.31", "web-1.shop.internal"}, nil
	case "db-1.shop.internal", "10.20.0.11":
		return []string{"10.20.0.11", "db-1.shop.internal"}, nil
	}
	if strings.HasPrefix(name, "slow") {
		return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func shopPaths(path string) PathKind {
	switch strings.TrimLeft(path, "/") {
	case "etc/orders/cert.pem", "etc/orders/key.pem", "etc/orders/ca.pem":
		return RegularFile
	case "etc/orders/ca":
		return Directory
	}
	if strings.HasPrefix(path, "/long/") {
		return RegularFile
	}
	return NoPath
}

func TestCases(t *testing.T) {
	cases := readCases(t)
	if len(cases) < 150 {
		t.Errorf("only %d cases", len(cases))
	}
	seen := make(map[string]bool)
	for _, c := range cases {
		if seen[c.name] {
			t.Errorf("two cases are named %s", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			r := Judge(context.Background(), []byte(c.text), shop(), nil)
			if got := r.Verdict.String(); got != c.verdict {
				t.Errorf("verdict %s, want %s (spec %s)", got, c.verdict, c.spec)
			}
			checkFinds(t, c, r)
			if t.Failed() {
				for _, f := range r.Findings {
					t.Logf("%v %s %v", f.Verdict, f.Rule, f)
				}
			}
		})
	}
}

// checkFinds: every expected finding is there, and the worst one is expected.
func checkFinds(t *testing.T, c testCase, r Report) {
	t.Helper()
	if c.finds[0] == "nothing" {
		if len(r.Findings) != 0 {
			t.Errorf("want no findings")
		}
		return
	}
	for _, want := range c.finds {
		rule, at, _ := strings.Cut(want, " @ ")
		line := lineNumber(t, c.text, at)
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
			return f.Rule == rule && (at == "" || f.Line == line)
		}) {
			t.Errorf("no finding %s in line %d", rule, line)
		}
	}
	if len(r.Findings) > 0 && !slices.ContainsFunc(c.finds, func(want string) bool {
		rule, _, _ := strings.Cut(want, " @ ")
		return rule == r.Findings[0].Rule
	}) {
		t.Errorf("the worst finding is %s, which the case does not name", r.Findings[0].Rule)
	}
}

// lineNumber is the number of the last line that reads s; 0 for "-".
func lineNumber(t *testing.T, text, s string) int {
	t.Helper()
	if s == "-" || s == "" {
		return 0
	}
	want := strings.Trim(expandText(s), " \t\r\n")
	number := 0
	for i, line := range strings.Split(text, "\n") {
		if strings.Trim(line, " \t\r") == want {
			number = i + 1
		}
	}
	if number == 0 {
		t.Errorf("the text has no line %q", s)
	}
	return number
}

// TestLookupsAreBounded: a name service that never answers costs five seconds,
// not more, and rejects nothing that carries this host's CUK.
func TestLookupsAreBounded(t *testing.T) {
	text := expandText("%global\nSELFCUK = cuk-31\n%server\n[SLVNODE]\nNAME = nobody.shop.internal\nCTLPORT = 8031\nCUK = cuk-31\n")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		host := shop()
		host.Lookup = func(context.Context, string) ([]string, error) {
			<-release // whatever its context says
			return nil, nil
		}
		start := time.Now()
		r := Judge(context.Background(), []byte(text), host, nil)
		if d := time.Since(start); d != LookupLimit {
			t.Errorf("took %v", d)
		}
		if r.Verdict != Accept || !r.Has(RuleSelfUnsure) || r.Self != nil {
			t.Errorf("verdict %v, self %v, findings %v", r.Verdict, r.Self, r.Findings)
		}
	})
}
