package machine

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run runs a shell script on a machine and returns what it prints. It has to
// succeed.
func run(tb testing.TB, m *Machine, script string) string {
	tb.Helper()
	r, err := m.Exec(Deadline(tb), "sh", "-euc", script)
	if err != nil || r.Status != 0 {
		tb.Fatalf("%s: %v, %v", script, err, r)
	}
	return strings.TrimSpace(r.Stdout)
}

func TestMachine(t *testing.T) {
	start := time.Now()
	m := ForTest(t, Options{Name: "app-1.shop.example", Outside: "k2hr3.shop.example", Files: []File{
		{Path: "/etc/shop/secret", Mode: 0o600, Text: "first\n"},
		{Path: "/etc/shop/link", Link: "secret"},
	}})
	t.Logf("up after %v", time.Since(start).Round(time.Millisecond))

	t.Run("knows its name and the files it was given", func(t *testing.T) {
		got := run(t, m, `hostname -f; stat -c '%a %U' /etc/shop/secret; cat /etc/shop/link`)
		if want := "app-1.shop.example\n600 root\nfirst"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("runs systemd as process 1, on a version 2 control group", func(t *testing.T) {
		got := run(t, m, `cat /proc/1/comm; stat -fc %T /sys/fs/cgroup; systemctl is-system-running`)
		if want := "systemd\ncgroup2fs\nrunning"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("reaches the test and nothing else", func(t *testing.T) {
		l, err := net.Listen("tcp", m.HostAddr().String()+":0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			fmt.Fprintf(w, "you are %s", host)
		})}
		go server.Serve(l)
		defer server.Close()
		got := run(t, m, fmt.Sprintf("curl -sS http://k2hr3.shop.example:%d/", l.Addr().(*net.TCPAddr).Port))
		if want := "you are " + m.Addr().String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if routes := run(t, m, "ip -4 route show default; ip -6 route show default"); routes != "" {
			t.Errorf("has a way out: %s", routes)
		}
	})
	t.Run("tells status, output and journal", func(t *testing.T) {
		r, err := m.Exec(Deadline(t), "sh", "-c", "echo out; echo err >&2; exit 3")
		if err != nil || r != (Result{3, "out\n", "err\n"}) {
			t.Errorf("got %+v, %v", r, err)
		}
		run(t, m, "systemd-run --quiet --wait --unit=shop-test echo for the journal")
		text, err := m.Journal(Deadline(t), "shop-test.service")
		if err != nil || !strings.Contains(text, "for the journal") {
			t.Errorf("journal: %v\n%s", err, text)
		}
	})
	t.Run("keeps its disk over a reboot", func(t *testing.T) {
		if err := m.CopyIn(Deadline(t), "/srv/shop/kept", 0o640, strings.NewReader("kept\n")); err != nil {
			t.Fatal(err)
		}
		before := run(t, m, "cat /proc/sys/kernel/random/boot_id")
		if err := m.Reboot(Deadline(t)); err != nil {
			t.Fatal(err)
		}
		if after := run(t, m, "cat /proc/sys/kernel/random/boot_id"); after == before {
			t.Error("it has not rebooted")
		}
		if got := run(t, m, "stat -c %a /srv/shop/kept; cat /srv/shop/kept"); got != "640\nkept" {
			t.Errorf("got %q", got)
		}
		if _, err := os.Stat(filepath.Join(rootfs(t), "srv/shop")); !os.IsNotExist(err) {
			t.Errorf("the root file system of all machines was written to: %v", err)
		}
	})
	t.Run("leaves nothing behind", func(t *testing.T) {
		if err := m.Poweroff(Deadline(t)); err != nil {
			t.Fatal(err)
		}
		nothingLeft(t, m.work, m.cable.name, m.groups)
	})
}

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

func TestCloudInitRunsUserData(t *testing.T) {
	start := time.Now()
	m := ForTest(t, Options{Name: "app-2.shop.example", UserData: `#cloud-config
write_files:
  - path: /etc/shop/from-user-data
    content: hello
runcmd:
  - touch /run/shop-runcmd
`})
	t.Logf("up after %v", time.Since(start).Round(time.Millisecond))
	got := run(t, m, "cloud-init status --wait; cat /etc/shop/from-user-data; echo; ls /run/shop-runcmd; hostname -f")
	for _, want := range []string{"status: done", "hello", "/run/shop-runcmd", "app-2.shop.example"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
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

func TestParseMirrors(t *testing.T) {
	targets := []byte("Debian http://mirror.example/debian/ bookworm main\n" +
		"Debian http://mirror.example/debian-security/ bookworm-security main\n" +
		"Debian http://mirror.example/debian/ bookworm-backports main\n" +
		"Debian http://mirror.example/debian/ bookworm contrib\n" +
		"Debian http://mirror.example/debian/ sid main\n" +
		"Somebody http://other.example/ bookworm main\n\n")
	got := parseMirrors(targets, Trixie)
	want := []string{
		"deb http://mirror.example/debian/ trixie main",
		"deb http://mirror.example/debian-security/ trixie-security main",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCablesDoNotTouch(t *testing.T) {
	seen := map[string]int{}
	for i := range cables {
		c := newCable(i)
		for _, s := range []string{c.name, c.outside.String(), c.inside.String()} {
			if j, ok := seen[s]; ok {
				t.Fatalf("%s is of cables %d and %d", s, j, i)
			}
			seen[s] = i
		}
		if len(c.name) > 15 {
			t.Fatalf("%s is too long for an interface", c.name)
		}
	}
	if last := newCable(cables - 1).inside.String(); last != "198.19.255.254" {
		t.Errorf("the last address is %s", last)
	}
}
