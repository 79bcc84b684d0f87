package chmpx

import (
	"context"
	"strings"
	"testing"
)

const good = `[GLOBAL]
FILEVERSION = 7
GROUP = orders
MODE = SLAVE
DELIVERMODE = hash
SELFCTLPORT = 8031
MAXCHMPX = 8
K2HMASKBIT = 4

[SVRNODE]
NAME = 10.20.0.11
PORT = 8020
CTLPORT = 8021

[SLVNODE]
NAME = 10.20.0.31
CTLPORT = 8031
`

func TestGoodFileIsAcceptedWithoutFindings(t *testing.T) {
	r := Judge(context.Background(), []byte(good), shop(), nil)
	if r.Verdict != Accept || len(r.Findings) != 0 {
		t.Errorf("verdict %v, findings %v", r.Verdict, r.Findings)
	}
	if r.Self == nil || r.Self.Name != "10.20.0.31" {
		t.Errorf("self is %+v", r.Self)
	}
}

func TestNoServerNodeIsRecognisable(t *testing.T) {
	head, tail, _ := strings.Cut(good, "[SVRNODE]")
	_, slave, _ := strings.Cut(tail, "[SLVNODE]")
	r := Judge(context.Background(), []byte(head+"[SLVNODE]"+slave), shop(), nil)
	if r.Verdict != Reject || !r.Has(RuleNoServer) || r.Config != nil {
		t.Errorf("got %+v", r)
	}
}

func TestAFindingSaysWhereItIs(t *testing.T) {
	for f, want := range map[Finding][2]string{
		{Line: 7, Text: "so it is"}: {"7: so it is", "line 7: so it is"},
		{Text: "so it is"}:          {"file: so it is", "so it is"},
	} {
		if f.String() != want[0] || f.InWords() != want[1] {
			t.Errorf("%q and %q, want %q", f.String(), f.InWords(), want)
		}
	}
}
