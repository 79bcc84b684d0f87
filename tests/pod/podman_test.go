package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/need"
)

// The network of the pods, and the address of the machine they run on, as they see it.
const (
	network = "pods"
	subnet  = "10.89.0.0/16"
	gateway = "10.89.0.1"
)

// machine is podman on a machine of its own: its network and mounts are nobody else's, and all of
// it ends with the test.
type machine struct {
	tb      testing.TB
	dir     string
	holder  *exec.Cmd     // a process that keeps the namespaces
	command []string      // what runs a program there
	turn    chan struct{} // how many scenarios run at the same time
	chmpx   fakechmpx.Programs
}

// newMachine makes one, where that is possible; see [need.Missing].
func newMachine(tb testing.TB) *machine {
	tb.Helper()
	need.Programs(tb, "podman", "runc", "nsenter", "unshare", "ip")
	if os.Geteuid() != 0 {
		need.Missing(tb, errors.New("runs pods, which takes root"))
	}
	m := &machine{tb: tb, dir: tb.TempDir(), turn: make(chan struct{}, 4)}
	config := filepath.Join(m.dir, "containers.conf")
	// Limits that this process may set, answerNames for a name server, and a runtime that takes any
	// layout of cgroups.
	m.write(config, "[containers]\ndefault_ulimits = [\"nofile=4096:4096\",\"nproc=4096:4096\"]\n"+
		"dns_servers = [\""+gateway+"\"]\n"+
		"[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n")
	// podman keeps names of networks and addresses in places that cannot be chosen.
	m.holder = exec.Command("unshare", "--net", "--mount", "--propagation", "private", "--", "sh", "-c",
		"mkdir -p /var/lib/cni /etc/cni/net.d /run/netns && mount -t tmpfs cni /var/lib/cni && mount -t tmpfs cni /etc/cni/net.d && "+
			"mount -t tmpfs netns /run/netns && ip link set lo up && echo ready && exec sleep infinity")
	m.holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := m.holder.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	started := make(chan error)
	go func() { // Pdeathsig goes by the thread
		runtime.LockOSThread()
		started <- m.holder.Start()
		select {}
	}()
	if err := <-started; err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		m.holder.Process.Kill()
		m.holder.Wait()
	})
	if n, err := out.Read(make([]byte, 8)); err != nil || n == 0 {
		need.Missing(tb, fmt.Errorf("cannot make namespaces for podman: %w", err))
	}
	m.command = []string{
		"nsenter", "--target", strconv.Itoa(m.holder.Process.Pid), "--net", "--mount", "--", "env", "CONTAINERS_CONF=" + config,
	}
	m.answerNames()
	m.run("network", "create", "--subnet", subnet, "--gateway", gateway, "--disable-dns", network)
	tb.Cleanup(func() {
		m.try(context.Background(), "pod", "rm", "--all", "--force", "--time", "0")
		m.try(context.Background(), "rm", "--all", "--force", "--time", "0")
		m.try(context.Background(), "system", "prune", "--all", "--force", "--volumes")
	})
	return m
}

func (m *machine) write(path, text string) {
	m.tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.tb.Fatal(err)
	}
}

// podman is a command of podman's on the machine.
func (m *machine) podman(ctx context.Context, args ...string) *exec.Cmd {
	words := append([]string{}, m.command...)
	words = append(words, "podman", "--root", filepath.Join(m.dir, "root"), "--runroot", filepath.Join(m.dir, "run"))
	words = append(words, args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs podman and returns what it prints.
func (m *machine) try(ctx context.Context, args ...string) (string, error) {
	cmd := m.podman(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("podman %s: %w\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// run is try for what has to succeed.
func (m *machine) run(args ...string) string {
	m.tb.Helper()
	out, err := m.try(m.tb.Context(), args...)
	if err != nil {
		m.tb.Fatal(err)
	}
	return out
}

// answerNames says to whoever asks for a name that there is none. Before it starts chmpx asks for
// those of all addresses, and waits five seconds for an answer that does not come.
func (m *machine) answerNames() {
	m.tb.Helper()
	var socket net.PacketConn
	m.inside(func() (err error) {
		socket, err = net.ListenPacket("udp4", ":53")
		return err
	})
	m.tb.Cleanup(func() { socket.Close() })
	go func() {
		const header = 12
		for query := make([]byte, 512); ; {
			n, from, err := socket.ReadFrom(query)
			if err != nil {
				return
			}
			if n < header {
				continue
			}
			answer := append([]byte{}, query[:n]...)
			answer[2], answer[3] = 0x81, 0x83 // a response: there is no such name
			copy(answer[6:header], make([]byte, 6))
			socket.WriteTo(answer, from)
		}
	}()
}

// listen opens a socket on the machine. The bridge of the pods is there once there is a pod.
func (m *machine) listen(port int) (listener net.Listener) {
	m.tb.Helper()
	m.inside(func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf(":%d", port))
		return err
	})
	return listener
}

// inside runs f in the network of the machine; what it starts is not.
func (m *machine) inside(f func() error) {
	m.tb.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread is in another network now, and ends with this
		done <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.holder.Process.Pid))
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	if err := <-done; err != nil {
		m.tb.Fatal(err)
	}
}
