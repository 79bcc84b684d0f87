// Package chmpxhost makes a host for chmpx, the real one or the stand-in: a network namespace whose
// name service is its /etc/hosts alone, and where what chmpx keeps goes with the host.
package chmpxhost

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/netns"
)

// New makes a host that has these files in its /etc, hosts among them.
func New(tb testing.TB, name string, addrs []string, etc map[string]string) *netns.Host {
	tb.Helper()
	dir := tb.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		fatal.If(tb, os.MkdirAll(filepath.Dir(path), 0o755))
		fatal.If(tb, os.WriteFile(path, []byte(text), 0o644))
	}
	put("nsswitch.conf", "hosts: files\n")
	for name, text := range etc {
		put(name, text)
	}
	h := netns.New(tb, netns.Spec{Name: name, Addrs: addrs, Folders: map[string]string{"/etc": dir}})
	fatal.If(tb, h.Do(func() error {
		if err := unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, "size=4g"); err != nil {
			return fmt.Errorf("mount /var/lib: %w", err)
		}
		return os.Mkdir("/var/lib/antpickax", 0o755)
	}))
	return h
}
