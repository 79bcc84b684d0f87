package machine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func rootfs(tb testing.TB) string {
	tb.Helper()
	dir, err := Rootfs(Deadline(tb), Bookworm)
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func nothingLeft(tb testing.TB, work, cable string, groups []string) {
	tb.Helper()
	for _, path := range append(groups, work, "/sys/class/net/"+cable) {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			tb.Errorf("%s is still there (%v)", path, err)
		}
	}
}

// TestKilledTestLeavesNoProcess runs itself as a test that is killed while it
// has a machine.
func TestKilledTestLeavesNoProcess(t *testing.T) {
	Require(t)
	const child = "MACHINE_TEST_CHILD"
	if os.Getenv(child) != "" {
		m := ForTest(t, Options{})
		fmt.Printf("CHILD %d %s %s\n", m.leader, m.cable.name, strings.Join(append(m.groups, m.work), " "))
		select {}
	}
	rootfs(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledTestLeavesNoProcess$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(Deadline(t), func() { cmd.Process.Kill() })
	defer stop()
	var leader int
	var name string
	var traces []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.Log(lines.Text())
		if n, _ := fmt.Sscanf(lines.Text(), "CHILD %d %s", &leader, &name); n == 2 {
			traces = strings.Fields(lines.Text())[3:]
			break
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if traces == nil {
		t.Fatal("there was no machine")
	}
	Until(t, "its systemd and its cable to be gone", func() bool {
		_, process := os.Stat(fmt.Sprintf("/proc/%d", leader))
		_, cable := os.Stat("/sys/class/net/" + name)
		return os.IsNotExist(process) && os.IsNotExist(cable)
	})
	sweep()
	nothingLeft(t, traces[len(traces)-1], name, traces[:len(traces)-1])
}

func TestUnusedRootFileSystemsAreForgotten(t *testing.T) {
	cache := t.TempDir()
	old := time.Now().Add(-2 * unused)
	for name, at := range map[string]time.Time{"unused": old, "old-but-used": old, "used": time.Now()} {
		for _, end := range []string{"", ".tar", ".lock"} {
			path := filepath.Join(cache, name+end)
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := forget(cache, "old-but-used"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"unused": 0, "old-but-used": 3, "used": 3} {
		if left, _ := filepath.Glob(filepath.Join(cache, name+"*")); len(left) != want {
			t.Errorf("%s: %v is left, want %d", name, left, want)
		}
	}
}
