// Command standin is chmpx, chmpxstatus or chmpxconftest by the name it is
// called by. See the package k2hdkc-slave-agent/tests/chmpx.
package main

import (
	"os"

	"k2hdkc-slave-agent/tests/chmpx"
)

func main() { os.Exit(chmpx.Main(os.Args, os.Stdout, os.Stderr)) }
