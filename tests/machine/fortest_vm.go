package machine

import (
	"context"
	"os"
	"testing"
	"time"
)

// EnvVMSwitch has to be set to 1 for the tests that boot virtual machines.
const EnvVMSwitch = "K2HDKC_TEST_VM"

// vmBootLimit is for a processor that is emulated on a busy host.
const vmBootLimit = 10 * time.Minute

// VMForTest is ForTest for a virtual machine.
func VMForTest(tb testing.TB, o Options) *VM {
	tb.Helper()
	RequireVM(tb)
	if _, err := vmImages(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), vmBootLimit)
	defer cancel()
	v, err := BootVM(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("console of %s:\n%s", o.fqdn(), v.Console())
		}
		if err := v.Close(); err != nil {
			tb.Error(err)
		}
	})
	return v
}

// RequireVM skips a test where virtual machines are not wanted, or cannot be.
func RequireVM(tb testing.TB) {
	tb.Helper()
	if os.Getenv(EnvVMSwitch) != "1" {
		tb.Skipf("boots a virtual machine; set %s=1 to have that", EnvVMSwitch)
	}
	if err := VMAvailable(); err != nil {
		tb.Skip(err)
	}
}
