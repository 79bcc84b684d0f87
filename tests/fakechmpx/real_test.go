package fakechmpx_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/netns"
)

// TestTheRealChmpxIsStarted: what Start knows of the stand-in goes for the real
// one, from a start that fails to an end in order.
func TestTheRealChmpxIsStarted(t *testing.T) {
	programs, ok := fakechmpx.Installed()
	if !ok {
		t.Skip("chmpx, chmpxstatus and chmpxconftest are not installed")
	}
	host := netns.New(t, netns.Spec{Name: "shop1", Addrs: []string{"198.51.100.5"}})
	conf := filepath.Join(t.TempDir(), "slave.ini")
	var p *fakechmpx.Process
	start := func(text string) error {
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return host.Do(func() (err error) {
			p, err = fakechmpx.Start(t.Context(), programs, conf)
			return err
		})
	}
	err := host.Do(func() error { return unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, "size=1g") })
	if err == nil {
		err = host.Do(func() error { return os.Mkdir("/var/lib/antpickax", 0o755) })
	}
	if err != nil {
		t.Fatal(err)
	}

	var notStarted *fakechmpx.NotStartedError
	if err := start(edit(t, plain, "GROUP = orders\n", "")); !errors.As(err, &notStarted) || notStarted.Exit.Code != 1 {
		t.Errorf("a file that does not load: %v", err)
	}
	if err := start(plain); err != nil {
		t.Fatal(err)
	}
	var out []byte
	err = host.Do(func() (err error) {
		out, err = exec.Command(programs.Status, "-conf", conf).Output()
		return err
	})
	if err != nil || !strings.Contains(string(out), "configuration file version                   = 4\n") {
		t.Errorf("chmpxstatus as soon as it is up: %v\n%s", err, out)
	}
	if exit, err := p.Stop(t.Context()); err != nil || exit != (fakechmpx.Exit{}) {
		t.Errorf("ended with %+v, %v", exit, err)
	}
}
