package service

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheUnitOfAProcess(t *testing.T) {
	for cgroup, want := range map[string]string{
		"0::/system.slice/chmpx.service\n":                                         "chmpx.service",
		"0::/system.slice/chmpx.service/control\n":                                 "chmpx.service",
		"2:cpu:/other.service\n1:name=systemd:/system.slice/chmpx.service\n0::/\n": "chmpx.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                            "",
		"0::/\n": "",
		"":       "",
		"x":      "",
	} {
		if got := unitOf(cgroup); got != want {
			t.Errorf("%q: %q, want %q", cgroup, got, want)
		}
	}
}

func TestAProgramThatIsRunByHand(t *testing.T) {
	var out bytes.Buffer
	textLog("await-chmpx", &out).Error("it failed", "error", "why")
	if got := out.String(); !strings.HasSuffix(got, ` level=ERROR msg="it failed" program=await-chmpx error=why`+"\n") {
		t.Error(got)
	}
}
