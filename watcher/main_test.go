package watcher

import (
	"os"
	"runtime/debug"
	"testing"

	"k2hdkc-slave-agent/tests/parallel"
)

func TestMain(m *testing.M) {
	parallel.Waiting()
	debug.SetGCPercent(400) // days of virtual time leave much behind; a third of the time goes otherwise
	os.Exit(m.Run())
}
