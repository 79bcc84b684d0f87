package machine

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// EnvSwitch has to be set to 1 for the tests that boot machines.
const EnvSwitch = "K2HDKC_TEST_MACHINE"

// bootLimit is met by a busy host too; a boot takes a few seconds.
const bootLimit = 2 * time.Minute

// ForTest boots a machine for a test, and closes it when the test is over. The
// console of one whose test fails is in the test's log. The test is skipped
// where machines are not wanted or cannot be.
func ForTest(tb testing.TB, o Options) *Machine {
	tb.Helper()
	Require(tb)
	// Making the root file system has all the time that the test has.
	if _, err := Rootfs(tb.Context(), o.suite()); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), bootLimit)
	defer cancel()
	m, err := Boot(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("console of %s:\n%s", o.fqdn(), m.Console())
		}
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// Require skips a test where machines are not wanted, or cannot be.
func Require(tb testing.TB) {
	tb.Helper()
	if os.Getenv(EnvSwitch) != "1" {
		tb.Skipf("boots a machine; set %s=1 to have that", EnvSwitch)
	}
	if err := Available(); err != nil {
		tb.Skip(err)
	}
}

// HostPath is a path by which the host reaches a file of the machine, until the
// machine reboots.
func (m *Machine) HostPath(path string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("/proc/%d/root%s", m.leader, path)
}

// waitLimit is how long anything that is waited for may take, also on a busy
// host.
const waitLimit = time.Minute

// Deadline ends a minute from now, or with the test.
func Deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), waitLimit)
	tb.Cleanup(cancel)
	return ctx
}

// Until waits for something that tells of itself in no other way than by being
// there.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx := Deadline(tb)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
