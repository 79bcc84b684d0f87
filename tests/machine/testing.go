package machine

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/need"
)

// Host is a booted machine of either kind.
type Host interface {
	Exec(ctx context.Context, argv ...string) (Result, error)
	CopyIn(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error
	Journal(ctx context.Context, unit string) (string, error)
	Addr() netip.Addr
	HostAddr() netip.Addr
	Console() string
	Reboot(ctx context.Context) error
	Snapshot(ctx context.Context, to string) error
	Close() error
}

// ForTest boots a machine for a test, and closes it when the test is over. The
// console of one whose test fails is in the test's log. The test is skipped
// where machines are not asked for.
func ForTest(tb testing.TB, o Options) *Machine {
	tb.Helper()
	Require(tb)
	// Making the root file system has all the time that the test has.
	if _, err := Rootfs(tb.Context(), o.suite()); err != nil {
		tb.Fatal(err)
	}
	return forTest(tb, o, bootLimit, Boot)
}

// VMForTest is ForTest for a virtual machine.
func VMForTest(tb testing.TB, o Options) *VM {
	tb.Helper()
	RequireVM(tb)
	if _, err := vmImages(tb.Context(), o.suite()); err != nil {
		tb.Fatal(err)
	}
	return forTest(tb, o, vmBootLimit, BootVM)
}

// HostForTest is the one or the other, as it is asked for.
func HostForTest(tb testing.TB, o Options) Host {
	tb.Helper()
	if need.VM() {
		return VMForTest(tb, o)
	}
	return ForTest(tb, o)
}

// A boot takes a few seconds, one on a processor that is emulated a minute;
// these are for a busy host.
const (
	bootLimit   = 2 * time.Minute
	vmBootLimit = 25 * time.Minute
)

func forTest[H Host](tb testing.TB, o Options, limit time.Duration, boot func(context.Context, Options) (H, error)) H {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	h, err := boot(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("console of %s:\n%s", o.fqdn(), h.Console())
		}
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

// Require goes on only where machines are asked for, and can be.
func Require(tb testing.TB) { require(tb, need.Machine(), need.SwitchMachine, Available) }

// RequireVM is Require for virtual machines, RequireHost for what HostForTest
// boots.
func RequireVM(tb testing.TB) { require(tb, need.VM(), need.SwitchVM, VMAvailable) }

func RequireHost(tb testing.TB) {
	tb.Helper()
	if need.VM() {
		RequireVM(tb)
		return
	}
	Require(tb)
}

func require(tb testing.TB, asked bool, by string, available func() error) {
	tb.Helper()
	if !asked {
		tb.Skipf("boots a machine; set %s=1 to have that", by)
	}
	if err := available(); err != nil {
		need.Missing(tb, err)
	}
}

// HostPath is a path by which the host reaches a file of the machine, until the
// machine reboots.
func (m *Machine) HostPath(path string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("/proc/%d/root%s", m.leader, path)
}

// waits are how long anything that is waited for may take, and the pause between
// two looks at it.
func waits() (limit, pause time.Duration) {
	if need.VM() {
		return vmBootLimit, time.Second
	}
	return bootLimit, 10 * time.Millisecond
}

// Deadline ends when anything that is waited for should long have been there,
// also on a busy host, or with the test.
func Deadline(tb testing.TB) context.Context {
	tb.Helper()
	limit, _ := waits()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	tb.Cleanup(cancel)
	return ctx
}

// Until polls until ok. It is for what sends no event when it happens.
func Until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx := Deadline(tb)
	_, pause := waits()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}
