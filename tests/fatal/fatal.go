// Package fatal ends a test when one of its own steps fails, without which it says nothing.
package fatal

import "testing"

// If ends the test if a step of it has failed.
func If(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
