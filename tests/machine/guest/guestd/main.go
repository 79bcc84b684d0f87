// Command guestd runs on the virtual machines of tests; see package guest.
//
//	guestd ADDRESS
package main

import (
	"fmt"
	"net"
	"os"

	"k2hdkc-slave-agent/tests/machine/guest"
)

func main() {
	fmt.Fprintln(os.Stderr, "guestd:", serve(os.Args[1]))
	os.Exit(1)
}

// serve returns when it cannot go on.
func serve(addr string) error {
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addr, guest.Port))
	if err != nil {
		return err
	}
	id, err := guest.BootID()
	if err != nil {
		return err
	}
	// The console may be busy with the kernel; one write is one line.
	if err := os.WriteFile("/dev/console", []byte("\n"+guest.Up+id+"\n"), 0); err != nil {
		return err
	}
	return guest.Serve(l)
}
