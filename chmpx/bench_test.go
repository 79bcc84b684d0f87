package chmpx

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
)

// bigFile is a RESOURCE as the stock templates render it, with the given
// numbers of nodes; this host is the last slave.
func bigFile(servers, slaves int) []byte {
	var b strings.Builder
	b.WriteString("#\n# GLOBAL\n#\n[GLOBAL]\nFILEVERSION = 1\nDATE = Thu, 28 May 2020 04:56:20  0000\nGROUP = orders\nMODE = SLAVE\nCHMPXIDTYPE = CUSTOM\nDELIVERMODE = hash\nMAXCHMPX = 256\nCTLPORT = 8031\nSELFCTLPORT = 8031\n")
	fmt.Fprintf(&b, "SELFCUK = %s\nSSL = no\nK2HMASKBIT = 4\n", cukOf(1000+slaves-1))
	node := func(section, name string, i int, extra string) {
		fmt.Fprintf(&b, "\n    \n[%s]\nNAME                = %s-%d.shop.internal\nCUK                 = %s\n%sCUSTOM_ID_SEED      = %s-%d.shop.internal\nSSL                 = no\n    \n",
			section, name, i, cukOf(i), extra, name, i)
	}
	for i := range servers {
		node("SVRNODE", "srv", i, "PORT                = 8020\nCTLPORT             = 8021\n")
	}
	for i := range slaves {
		node("SLVNODE", "app", 1000+i, "CTLPORT             = 8031\n")
	}
	return []byte(b.String())
}

func cukOf(i int) string { return fmt.Sprintf("7b0e5f52-64d2-4c3d-9f0e-%012d", i) }

// BenchmarkJudge judges 100 servers and 250 slaves whose names do not resolve,
// but for the own one.
func BenchmarkJudge(b *testing.B) {
	text := bigFile(100, 250)
	host := shop()
	host.Lookup = func(_ context.Context, name string) ([]string, error) {
		if name == "app-1249.shop.internal" {
			return []string{"10.20.0.31"}, nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}
	if r := Judge(context.Background(), text, host, nil); r.Verdict != Accept || r.Self == nil {
		b.Fatalf("got %v %v", r.Verdict, r.Findings)
	}
	b.ReportAllocs()
	for b.Loop() {
		Judge(context.Background(), text, host, nil)
	}
}

// BenchmarkJudgeWithoutCUKs is the worst common case: every slave could be this
// host as far as control port and CUK go.
func BenchmarkJudgeWithoutCUKs(b *testing.B) {
	var lines []string
	for line := range strings.Lines(string(bigFile(100, 250))) {
		if !strings.HasPrefix(line, "CUK") && !strings.HasPrefix(line, "SELFCUK") {
			lines = append(lines, line)
		}
	}
	text := []byte(strings.Join(lines, ""))
	host := Host{Addrs: []string{"10.20.0.31"}, Names: []string{"app-1249.shop.internal"}}
	if r := Judge(context.Background(), text, host, nil); r.Verdict != Accept || r.Self == nil {
		b.Fatalf("got %v %v", r.Verdict, r.Findings)
	}
	b.ReportAllocs()
	for b.Loop() {
		Judge(context.Background(), text, host, nil)
	}
}

func BenchmarkChanges(b *testing.B) {
	old, _ := Load(bigFile(100, 250), nil)
	new, _ := Load(bigFile(101, 250), nil)
	b.ReportAllocs()
	for b.Loop() {
		if len(Changes(old, new)) != 1 {
			b.Fatal("want one change")
		}
	}
}
