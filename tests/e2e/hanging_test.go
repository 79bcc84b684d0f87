package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/cmd/doctor"
	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/netns"
)

// deafen puts a file system at a file or folder of a host that never answers, as one of the network
// does whose server is gone.
func deafen(t *testing.T, host *netns.Host, path string) {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		need.Missing(t, err)
	}
	t.Cleanup(func() { fuse.Close() }) // which ends all that waits for it
	if err := host.Do(func() error {
		var there unix.Stat_t
		if err := unix.Stat(path, &there); err != nil {
			return err
		}
		options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0", fuse.Fd(), there.Mode&unix.S_IFMT)
		return unix.Mount("deaf", path, "fuse", 0, options)
	}); err != nil {
		need.Missing(t, err)
	}
}

// The verbs that scripts and probes run end in time also where a file system hangs, and name it.
func TestAFileSystemThatHangs(t *testing.T) {
	t.Parallel()
	for option, name := range map[string]string{"run-dir": "run", "antpickax-dir": "", "role-token-file": "token", "instance-id-file": "id"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			stuck := h.path("stuck")
			must(t, os.Mkdir(stuck, 0o755))
			n := netns.New(t, netns.Spec{Name: "vm-8"})
			deafen(t, n, stuck)
			run := func(args ...string) result {
				t.Helper()
				cmd := h.command(deadline(t), append(args, "--"+option, filepath.Join(stuck, name), "--api-uri=http://127.0.0.1:1", "--role=yrn:yahoo:::shop:role:orders/slave")...)
				return finish(t, cmd, func() error { return n.Do(cmd.Start) })
			}
			// What hangs before there is anything to tell is said by an error.
			tells := option != "antpickax-dir"
			named := func(r result) {
				t.Helper()
				said := r.stderr
				if tells {
					said = r.stdout
				}
				if r.status != 1 || !strings.Contains(said, stuck) || !strings.Contains(said, "umount") {
					t.Errorf("%v", r)
				}
			}
			r := run("doctor", "--json")
			named(r)
			if tells && !strings.Contains(r.stdout, `"schema": "`+doctor.Schema) {
				t.Errorf("%v", r)
			}
			if option == "role-token-file" || option == "instance-id-file" { // which status does not read here, or reads itself
				return
			}
			r = run("status", "--json")
			named(r)
			if tells && object(t, r).Agent.State != status.Unknown {
				t.Errorf("%v", r)
			}
			if r := run("status", "--ready"); r.status != 1 || r.stdout != "" {
				t.Errorf("%v", r)
			}
		})
	}
}
