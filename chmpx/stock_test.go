package chmpx

import (
	"context"
	"os"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
)

// TestStockResourceIsAccepted: what the usual templates render, blank lines,
// broken DATE and all, is accepted without a word on the host that is its slave.
func TestStockResourceIsAccepted(t *testing.T) {
	text, err := os.ReadFile("testdata/stock.ini")
	fatal.If(t, err)
	host := Host{
		Addrs: []string{"127.0.0.1", "10.20.0.31"},
		Lookup: func(ctx context.Context, name string) ([]string, error) {
			if name == "app-1.shop.internal" {
				return []string{"10.20.0.31", name}, nil
			}
			return shopNames(ctx, name)
		},
	}
	r := Judge(context.Background(), text, host, nil)
	if r.Verdict != Accept || len(r.Findings) != 0 {
		t.Errorf("verdict %v, findings %v", r.Verdict, r.Findings)
	}
	if r.Self == nil || r.Self.CUK != "7e31-web" || r.Config.IDType != IDCustom || len(r.Config.Servers) != 3 {
		t.Errorf("self %+v, config %+v", r.Self, r.Config)
	}

	// The same file on a host without that name in its name service.
	r = Judge(context.Background(), text, Host{Addrs: []string{"127.0.0.1", "10.20.0.31"}}, nil)
	if r.Verdict != Reject || !r.Has(RuleSelfMissing) {
		t.Fatalf("verdict %v, findings %v", r.Verdict, r.Findings)
	}
	want := `add the line "10.20.0.31 app-1.shop.internal" to /etc/hosts`
	if got := r.Findings[0].Text; !strings.Contains(got, want) {
		t.Errorf("no way to mend it in %q", got)
	}
}

func TestLongStrings(t *testing.T) {
	// The limits are sizes of fields; the largest that fits is accepted.
	for _, c := range []struct {
		name, text string
		want       Verdict
		rule       string
	}{
		{"GROUP of 238", with("GROUP = " + strings.Repeat("g", 238)), Accept, ""},
		{"GROUP of 239", with("GROUP = " + strings.Repeat("g", 239)), Reject, RuleGroup},
		{"server CUK of 2047", strings.Replace(good, "8021", "8021\nCUK = "+strings.Repeat("c", 2047), 1), Accept, ""},
		{"server CUK of 2048", strings.Replace(good, "8021", "8021\nCUK = "+strings.Repeat("c", 2048), 1), Dangerous, RuleTooLong},
		{"server seed of 2048", strings.Replace(good, "8021", "8021\nCUSTOM_ID_SEED = "+strings.Repeat("c", 2048), 1), Dangerous, RuleTooLong},
		{"server name of 1024", strings.Replace(good, "10.20.0.11", strings.Repeat("n", 1024), 1), Accept, ""},
		{"server name of 1025", strings.Replace(good, "10.20.0.11", strings.Repeat("n", 1025), 1), Dangerous, RuleTooLong},
		{"comment of 100000", good + "# " + strings.Repeat("x", 100000), Accept, ""},
		{"CAPATH of 1023", with("SSL = on\nSERVER_CERT = /etc/orders/cert.pem\nSERVER_PRIKEY = /etc/orders/key.pem\nCAPATH = /long/" + strings.Repeat("x", 1017)), Accept, ""},
		{"CAPATH of 1024", with("SSL = on\nSERVER_CERT = /etc/orders/cert.pem\nSERVER_PRIKEY = /etc/orders/key.pem\nCAPATH = /long/" + strings.Repeat("x", 1018)), Reject, RuleTLSFile},
	} {
		r := Judge(context.Background(), []byte(c.text), shop(), nil)
		if r.Verdict != c.want || c.rule != "" && !r.Has(c.rule) {
			t.Errorf("%s: verdict %v, want %v; findings %v", c.name, r.Verdict, c.want, r.Findings)
		}
	}
}

// with is the good file with more lines in [GLOBAL].
func with(lines string) string {
	return strings.Replace(good, "K2HMASKBIT = 4\n", "K2HMASKBIT = 4\n"+lines+"\n", 1)
}
