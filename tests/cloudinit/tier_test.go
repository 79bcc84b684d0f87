package cloudinit

import (
	"context"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
)

// host is a booted machine of either kind.
type host interface {
	Exec(ctx context.Context, argv ...string) (machine.Result, error)
	CopyIn(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error
	Addr() netip.Addr
	Reboot(ctx context.Context) error
	Snapshot(ctx context.Context, to string) error
}

// inVM says which kind is wanted.
func inVM() bool { return os.Getenv(machine.EnvVMSwitch) == "1" }

// require skips a test where no machine is wanted, or none can be.
func require(tb testing.TB) {
	tb.Helper()
	if inVM() {
		machine.RequireVM(tb)
		return
	}
	machine.Require(tb)
}

func boot(tb testing.TB, o machine.Options) host {
	tb.Helper()
	if inVM() {
		return machine.VMForTest(tb, o)
	}
	return machine.ForTest(tb, o)
}

// limit is how long anything that is waited for may take.
func limit() time.Duration {
	if inVM() {
		return 10 * time.Minute
	}
	return time.Minute
}

// pause is between two looks at what tells of itself in no other way than by
// being there.
func pause() time.Duration {
	if inVM() {
		return time.Second
	}
	return 20 * time.Millisecond
}

func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit())
	tb.Cleanup(cancel)
	return ctx
}
