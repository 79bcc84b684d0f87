// Package need says, in one place, which tests run: which long ones are asked
// for, and what becomes of a test whose tools are not here.
package need

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// The switches, set to 1 in the environment.
const (
	// SwitchFull asks for the tests that take minutes, at full length.
	SwitchFull = "K2HDKC_TEST_FULL"
	// SwitchMachine asks for the tests that boot containers with a real systemd.
	// What tests need has to be there then.
	SwitchMachine = "K2HDKC_TEST_MACHINE"
	// SwitchVM asks for virtual machines in place of containers.
	SwitchVM = "K2HDKC_TEST_VM"
)

// Full, Machine and VM say what is asked for.
func Full() bool    { return on(SwitchFull) }
func Machine() bool { return on(SwitchMachine) }
func VM() bool      { return on(SwitchVM) }

func on(name string) bool { return os.Getenv(name) == "1" }

// Long skips a test that takes long unless it is asked for, alone or together
// with the machines.
func Long(tb testing.TB, why string) {
	tb.Helper()
	if !Full() && !Machine() && !VM() {
		tb.Skipf("%s; set %s=1", why, SwitchFull)
	}
}

// Missing skips a test that cannot run here. Where machines are asked for it
// fails: nothing may be left out there.
func Missing(tb testing.TB, why error) {
	tb.Helper()
	if Machine() || VM() {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// Programs goes on only if all these programs are on PATH.
func Programs(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Missing(tb, fmt.Errorf("%w; .ci/packages has what the tests need", err))
		}
	}
}

// HasAddress reports whether this machine has an address besides the loopback's.
// Without one no chmpx starts on it, nor a stand-in (docs/chmpx.md C.3).
func HasAddress() bool {
	addrs, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && !n.IP.IsLoopback()
	})
}

// Address goes on only on a machine on which a chmpx can start.
func Address(tb testing.TB) {
	tb.Helper()
	if !HasAddress() {
		Missing(tb, errors.New("this machine has no address besides the loopback's, and chmpx starts on none without"))
	}
}
