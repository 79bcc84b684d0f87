// Command standin is chmpx, chmpxstatus or chmpxconftest by the name it is
// called by. See the package k2hdkc-slave-agent/tests/fakechmpx.
package main

import (
	"os"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

func main() { os.Exit(fakechmpx.Main(os.Args, os.Stdout, os.Stderr)) }
