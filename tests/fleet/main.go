// Command fleet runs ten thousand slaves against one K2HR3, in virtual time: the agent's own
// schedule (watcher/schedule), and beside it others, on good days and on bad ones. README.md here
// has what comes of it; `go run ./tests/fleet -update` makes its table and plots again, the same
// ones each time.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	update := flag.Bool("update", false, "write the table and the plots of tests/fleet")
	only := flag.String("only", "", "run this scenario alone")
	policy := flag.String("policy", "", "run this policy alone")
	flag.Parse()
	if err := run(*update, *only, *policy); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}
