package netns_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"k2hdkc-slave-agent/tests/netns"
)

// TestHostWithItsOwnEtcFindsLibraries: a program whose libraries are in
// /usr/local/lib starts on a host whose /etc is a folder of the test.
func TestHostWithItsOwnEtcFindsLibraries(t *testing.T) {
	want, err := os.ReadFile("/etc/ld.so.cache")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this machine's dynamic loader keeps no cache")
	}
	if err != nil {
		t.Fatal(err)
	}
	host := netns.New(t, netns.Spec{Name: "app-1", Folders: map[string]string{"/etc": t.TempDir()}})
	err = host.Do(func() error {
		if _, err := os.Stat("/etc/passwd"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("/etc is this machine's: %v", err)
		}
		got, err := os.ReadFile("/etc/ld.so.cache")
		if !bytes.Equal(got, want) {
			t.Error("the loader's cache is not this machine's")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
