// Package actor has a test binary play programs: run under the name of an actor, it does what that
// actor does, in place of the tests.
package actor

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

// Main is called by a TestMain. It plays an actor, or runs the tests.
func Main(m *testing.M, actors map[string]func()) {
	if act, ok := actors[filepath.Base(os.Args[0])]; ok {
		act()
		os.Exit(0)
	}
	// Race detection makes every process wait a second at its end; not these.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// Program returns a program that plays an actor.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	exe, err := os.Executable()
	fatal.If(tb, err)
	path := filepath.Join(tb.TempDir(), name)
	fatal.If(tb, os.Symlink(exe, path))
	return path
}

// Sleep sleeps for ever, for an empty select is a deadlock to Go.
func Sleep() {
	for {
		time.Sleep(time.Hour)
	}
}

// Flood writes a hundred megabytes.
func Flood(f *os.File) {
	line := append(bytes.Repeat([]byte("flood "), 1000), '\n')
	for range 100 << 20 / len(line) {
		f.Write(line)
	}
}
