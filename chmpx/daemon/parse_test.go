package daemon

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fatal"
)

const (
	serving  = "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"
	outDown  = "[SERVICE OUT][DOWN][n/a][Nothing][NoSuspend]"
	crashed  = "[SERVICE IN][DOWN][n/a][Nothing][NoSuspend]"
	noServer = "[SERVICE IN][UP][n/a][Nothing][Suspend]"
)

func healthyText(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/healthy.txt")
	fatal.If(t, err)
	return string(b)
}

func healthy() Status {
	return Status{
		PID: 4711, Started: time.Unix(1770000000, 0), Group: "orders", Revision: 17, MaxNodes: 64, FreeNodes: 61,
		Self: Node{Name: "shop-1.example", CUK: "3f1c-shop-1", Seed: "seed-shop-1", Port: -1, CtlPort: 9021,
			State: "[SLAVE][UP][n/a][Nothing][NoSuspend]"},
		Servers: []Node{
			{Name: "store-a.example", CUK: "a1-store", Seed: "seed-a1-store", Port: 9030, CtlPort: 9031, Sockets: 1, State: serving},
			{Name: "store-b.example", CUK: "b2-store", Seed: "seed-b2-store", Port: 9030, CtlPort: 9031, Sockets: 2, State: serving},
		},
		Slaves:  []Node{},
		Clients: 1,
	}
}

// serverBlock is the text of one server in a list.
func serverBlock(t testing.TB, i int, name, cuk string) string {
	t.Helper()
	text := healthyText(t)
	from, to := strings.Index(text, "  [0] = {\n    chmpxid"), strings.Index(text, "  [1] = {\n    chmpxid")
	if from < 0 || to < from {
		t.Fatal("testdata/healthy.txt has lost its servers")
	}
	return strings.NewReplacer("[0]", fmt.Sprintf("[%d]", i), "store-a.example", name, "= a1-store", "= "+cuk,
		"seed-a1-store", "seed-"+cuk).Replace(text[from:to])
}

// withServers is the healthy text with other servers.
func withServers(t testing.TB, count int, blocks string) string {
	t.Helper()
	text := healthyText(t)
	from := strings.Index(text, "server chmpxs [")
	to := strings.Index(text, "}\nslave chmpxs [")
	if from < 0 || to < from {
		t.Fatal("testdata/healthy.txt has lost its servers")
	}
	return text[:from] + fmt.Sprintf("server chmpxs [ %d ] = {\n", count) + blocks + text[to:]
}

func manyServers(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		b.WriteString(serverBlock(t, i, fmt.Sprintf("store-%d.example", i), fmt.Sprintf("cuk-%d", i)))
	}
	return withServers(t, n, b.String())
}

// swap replaces every old and insists that there is one.
func swap(t testing.TB, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("the text has no %q", old)
	}
	return strings.ReplaceAll(text, old, with)
}

func TestParseStatusReadsEveryState(t *testing.T) {
	text := healthyText(t)
	tests := []struct {
		name string
		text string
		want func(*Status)
	}{
		{"healthy", text, func(*Status) {}},
		{"CRLF", swap(t, text, "\n", "\r\n"), func(*Status) {}},
		{"no newline at the end", strings.TrimSuffix(text, "\n"), func(*Status) {}},
		{"unknown keys, lines and blocks are skipped",
			swap(t, text, "free chmpx area count", "weather                                      = fair\n\nhello\n"+
				"moons [ 1 ] = {\n  [0] = {\n    free chmpx area count                    = 5\n  }\n}\nfree chmpx area count"),
			func(*Status) {}},
		{"grown: a server that is listed and was never up",
			withServers(t, 2, serverBlock(t, 0, "store-a.example", "a1-store")+
				swap(t, swap(t, serverBlock(t, 1, "store-c.example", "c3-store"), "= 11", "= "), serving, outDown)),
			func(s *Status) {
				s.Servers[1] = Node{Name: "store-c.example", CUK: "c3-store", Seed: "seed-c3-store", Port: 9030, CtlPort: 9031, State: outDown}
			}},
		{"a server has crashed", swap(t, swap(t, text, "= 12,15", "= "), "SAFE -> "+serving, "SAFE -> "+crashed),
			func(s *Status) {
				s.Servers[0].State, s.Servers[1].State, s.Servers[1].Sockets = crashed, crashed, 0
			}},
		{"a combination chmpx calls unsafe", swap(t, text, "SAFE -> "+serving, "NOT SAFE -> "+noServer),
			func(s *Status) { s.Servers[0].State, s.Servers[1].State = noServer, noServer }},
		{"learnt from the ring, without CUK and seed", withServers(t, 1,
			swap(t, serverBlock(t, 0, "store-a.example", ""), "= seed-", "= ")),
			func(s *Status) { s.Servers = s.Servers[:1]; s.Servers[0].CUK, s.Servers[0].Seed = "", "" }},
		{"no server at all", withServers(t, 0, ""), func(s *Status) { s.Servers = []Node{} }},
		{"a server with TLS", withServers(t, 1,
			swap(t, serverBlock(t, 0, "store-a.example", "a1-store"), "ssl                                      = no",
				"ssl                                      = yes\n    CA path is                               = file")),
			func(s *Status) { s.Servers = s.Servers[:1]; s.Servers[0].SSL, s.SSL = true, true }},
		{"this node with TLS", swap(t, text, "  ssl                                        = no", "  ssl                                        = yes"),
			func(s *Status) { s.Self.SSL, s.SSL = true, true }},
		{"values that look like structure", swap(t, swap(t, text, "= seed-a1-store", "= {"), "= b2-store", "= }"),
			func(s *Status) { s.Servers[0].Seed, s.Servers[1].CUK = "{", "}" }},
		{"a group that looks like structure", swap(t, text, "= orders\n", "= {\n"), func(s *Status) { s.Group = "{" }},
		{"values with an equals sign", swap(t, text, "= a1-store", "= a=1 = x"), func(s *Status) { s.Servers[0].CUK = "a=1 = x" }},
		{"no client", swap(t, text, "  [0] pid                                    = 4800\n", ""), func(s *Status) { s.Clients = 0 }},
		{"revision below zero", swap(t, text, "version                   = 17", "version                   = -3"),
			func(s *Status) { s.Revision = -3 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := healthy()
			tt.want(&want)
			got, err := ParseStatus([]byte(tt.text))
			fatal.If(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
		})
	}
}

func TestParseStatusRefusesWhatIsNotTheWholeOutput(t *testing.T) {
	text := healthyText(t)
	without := func(key string) string { return swap(t, text, "\n"+key+" ", "\nx"+key+" ") }
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"not running", "[ERR] Could not initialize(attach) chmpx shared memory.\n"},
		{"HTML", "<html><body>chmpx process id = 3</body></html>"},
		{"a waiting run", "SUCCEED\n"},
		{"only the own node", text[strings.Index(text, "  chmpxid"):strings.Index(text, "}\nserver chmpxs")]},
		{"no name", without("chmpx name")},
		{"no revision", without("configuration file version")},
		{"no free count", without("free chmpx area count")},
		{"no start time", without("process start time")},
		{"no maximum", without("maximum chmpx count")},
		{"no own node", swap(t, text, "self chmpx = {", "shelf chmpx = {")},
		{"no servers", swap(t, text, "server chmpxs [", "servants [")},
		{"servers without a count", swap(t, text, "server chmpxs [ 2 ]", "server chmpxs")},
		{"text between servers", withServers(t, 1, "hello\n"+serverBlock(t, 0, "a", "a"))},
		{"a server without control port", withServers(t, 1, swap(t, serverBlock(t, 0, "a", "a"), "control port", "kontrol port"))},
		{"a server without status", withServers(t, 1, swap(t, serverBlock(t, 0, "a", "a"), "    status ", "    Status "))},
		{"a status of an other kind", swap(t, text, "SAFE -> "+serving, "0x21")},
		{"a revision that is no number", swap(t, text, "version                   = 17", "version                   = seventeen")},
		{"a process id of 0", swap(t, text, "process id                             = 4711", "process id                             = 0")},
		{"over the bound", text + strings.Repeat("\n", MaxOutput)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if st, err := ParseStatus([]byte(tt.text)); !errors.Is(err, ErrFormat) {
				t.Errorf("error %v, want ErrFormat; status %+v", err, st)
			}
		})
	}
}

// A running chmpx of version 1.0.113 announced 27 servers and listed 4, and was right in
// everything but the number.
func TestParseStatusTakesTheServersThatAreListed(t *testing.T) {
	two := serverBlock(t, 0, "a", "a") + serverBlock(t, 1, "b", "b")
	for _, announced := range []int{0, 1, 2, 27, math.MaxInt} {
		st, err := ParseStatus([]byte(withServers(t, announced, two)))
		if err != nil || len(st.Servers) != 2 {
			t.Errorf("%d announced: %d servers, %v", announced, len(st.Servers), err)
		}
	}
}

func TestParseStatusRefusesEveryCut(t *testing.T) {
	text := strings.TrimSuffix(healthyText(t), "}\n")
	for i := range text {
		if _, err := ParseStatus([]byte(text[:i])); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut after %d bytes, ...%q: error %v, want ErrFormat", i, text[max(0, i-40):i], err)
		}
	}
}

func TestNodeStateWords(t *testing.T) {
	tests := []struct {
		state         string
		up, serviceIn bool
	}{
		{serving, true, true},
		{crashed, false, true},
		{outDown, false, false},
		{noServer, true, true},
		{"[SLAVE][UP][n/a][Nothing][NoSuspend]", true, false},
		{"", false, false},
	}
	for _, tt := range tests {
		n := Node{State: tt.state}
		if n.Up() != tt.up || n.ServiceIn() != tt.serviceIn {
			t.Errorf("%q: up %t, in service %t", tt.state, n.Up(), n.ServiceIn())
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	text := healthyText(f)
	f.Add([]byte(text))
	f.Add([]byte(text[:len(text)/2]))
	f.Add([]byte("server chmpxs [ 3 ] = {\n  [0] = {\n"))
	f.Add([]byte("a = {\nb [ -1 ] = {\n}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := ParseStatus(b)
		if err == nil && st.PID <= 0 {
			t.Errorf("accepted with pid %d", st.PID)
		}
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("an error that is not ErrFormat: %v", err)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

func BenchmarkParseStatus(b *testing.B) {
	for _, n := range []int{2, 50, 1000} {
		b.Run(fmt.Sprintf("servers=%d", n), func(b *testing.B) {
			text := []byte(manyServers(b, n))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseStatus(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAServerThatIsListedTwiceIsOne: with its connections, at whichever place they are.
func TestAServerThatIsListedTwiceIsOne(t *testing.T) {
	const name, cuk = "store-c.example", "cuk-c"
	connected := serverBlock(t, 0, name, cuk)
	bare := regexp.MustCompile(`(?m)^(    sockets +=).*$`).ReplaceAllString(serverBlock(t, 1, name, cuk), "$1")
	for _, blocks := range []string{connected + bare, bare + connected} {
		st, err := ParseStatus([]byte(withServers(t, 2, blocks)))
		fatal.If(t, err)
		if len(st.Servers) != 1 || st.Servers[0].Sockets != 1 {
			t.Errorf("servers %+v", st.Servers)
		}
	}
	st, err := ParseStatus([]byte(withServers(t, 2, connected+serverBlock(t, 1, name, "another"))))
	if err != nil || len(st.Servers) != 2 {
		t.Errorf("another CUK is another server: %+v %v", st.Servers, err)
	}
}
