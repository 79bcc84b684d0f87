package host

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTheFullNameIsThatOfK2HR3sInitScript(t *testing.T) {
	for _, tt := range []struct{ host, domain, canonical, want string }{
		{"vm-7", "shop.example", "", "vm-7.shop.example"},
		{"vm-7", "shop.example", "vm-7.other.example.", "vm-7.shop.example"},
		{"vm-7", "", "vm-7.other.example.", "vm-7.other.example"},
		{"vm-7", "", "vm-7.", "vm-7"},
		{"vm-7", "", "", "vm-7"},
		{"vm-7.", "shop.example", "", "vm-7.shop.example"},
		{"vm-7", "shop.example.", "", "vm-7.shop.example"},
	} {
		if got := join(tt.host, tt.domain, tt.canonical); got != tt.want {
			t.Errorf("join(%q, %q, %q) = %q, want %q", tt.host, tt.domain, tt.canonical, got, tt.want)
		}
	}
}

func TestOnlyANameOfThisHostsAddressesIsItsOwn(t *testing.T) {
	own := ""
	addrs, err := addresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if !a.IsLoopback() {
			own = a.Unmap().String()
		}
	}
	for addr, want := range map[string]bool{
		"127.0.0.1": false, "127.0.1.1": false, "::1": false, "localhost": false, "192.0.2.1": false, "2001:db8::1": false, own: own != "",
	} {
		if got := resolvesHere(t.Context(), addr); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestANameThatAHostHad(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for former, want := range map[string]bool{
		name: true, strings.ToUpper(name) + ".shop.example": true,
		"192.0.2.1": false, "127.0.0.1": false, // as names that resolve to these
	} {
		if got := MayBeNamed(t.Context(), former); got != want {
			t.Errorf("%s: %v", former, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !MayBeNamed(ctx, "nobody-can-tell.shop.example") {
		t.Error("given up although nobody can tell")
	}
}

func TestARenamingIsSeenOnceItHasSettled(t *testing.T) {
	dir := t.TempDir()
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	write := func(name, text string) {
		t.Helper()
		noError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	write(hosts, "10.0.0.7 vm-7\n")
	r := newRenaming([]string{hosts, resolv})
	step := func(name string, want bool) {
		t.Helper()
		if got := r.Seen(); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	step("at first", false)
	write(hosts, "10.0.0.7 vm-8 \n")
	step("somebody writes", false)
	write(resolv, "search shop.example\n")
	step("and goes on writing", false)
	step("and has written", true)
	step("which is reported once", false)
	noError(t, os.Remove(resolv))
	step("a file is gone", false)
	noError(t, syscall.Mkfifo(resolv, 0o644))
	step("and is no file any more", false)
	step("which nobody waits for", true)
	step("once", false)
}
