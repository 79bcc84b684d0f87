// Command rootfs makes the root file systems of the test machines ahead of the
// tests, those that are not in the cache yet, and prints where they are. Its
// arguments are releases of Debian; without any it is all that the tests use.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k2hdkc-slave-agent/tests/machine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	suites := os.Args[1:]
	if len(suites) == 0 {
		suites = []string{machine.Bullseye, machine.Bookworm, machine.Trixie}
	}
	for _, suite := range suites {
		dir, err := machine.Rootfs(ctx, suite)
		if err != nil {
			fmt.Fprintln(os.Stderr, "rootfs:", err)
			os.Exit(1)
		}
		fmt.Println(dir)
	}
}
