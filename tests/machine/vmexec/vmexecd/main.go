// Command vmexecd runs on the virtual machines of tests; see package vmexec.
//
//	vmexecd ADDRESS
package main

import (
	"fmt"
	"net"
	"os"

	"k2hdkc-slave-agent/tests/machine/vmexec"
)

func main() {
	fmt.Fprintln(os.Stderr, "vmexecd:", serve(os.Args[1]))
	os.Exit(1)
}

// serve returns when it cannot go on.
func serve(addr string) error {
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addr, vmexec.Port))
	if err != nil {
		return err
	}
	id, err := vmexec.BootID()
	if err != nil {
		return err
	}
	// The console may be busy with the kernel; one write is one line.
	if err := os.WriteFile("/dev/console", []byte("\n"+vmexec.Up+id+"\n"), 0); err != nil {
		return err
	}
	return vmexec.Serve(l)
}
