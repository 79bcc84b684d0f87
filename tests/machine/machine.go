package machine

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

//go:embed host.sh
var hostScript string

// Machine is a running machine. It ends with Close, and in any case with this
// process.
type Machine struct {
	host    *exec.Cmd // the process everything of the machine ends with
	done    chan struct{}
	work    string
	groups  []string
	cable   cable
	console output
	ready   chan struct{} // a boot is complete

	mu     sync.Mutex
	leader int // its process 1, as the host numbers it
}

// count numbers the machines of this process.
var count atomic.Int32

// Boot starts a machine and returns when it is up: systemd has started all it
// wanted to, and nothing of that has failed. ctx limits the boot only.
func Boot(ctx context.Context, o Options) (*Machine, error) {
	base, err := Rootfs(ctx, o.suite())
	if err != nil {
		return nil, err
	}
	sweep()
	m := &Machine{done: make(chan struct{}), ready: make(chan struct{}, 1)}
	if err := m.boot(ctx, base, o); err != nil {
		console := m.Console()
		return nil, errors.Join(fmt.Errorf("boot %s: %w", o.fqdn(), err), m.Close(), fmt.Errorf("its console:\n%s", console))
	}
	return m, nil
}

func (m *Machine) boot(ctx context.Context, base string, o Options) error {
	id := fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), count.Add(1))
	m.work = filepath.Join(os.TempDir(), id)
	if err := os.Mkdir(m.work, 0o700); err != nil {
		return err
	}
	notify, err := m.listen(filepath.Join(m.work, "notify"))
	if err != nil {
		return err
	}
	if m.groups, err = makeGroups(id); err != nil {
		notify.Close()
		return err
	}
	disk, err := m.start(base, o, notify)
	if err != nil {
		return err
	}
	defer disk.Close()
	if err := m.console.await(ctx, m.done, "READY\n"); err != nil {
		return err
	}
	if m.cable, err = plug(ctx, os.Getpid()*8%cables, m.host.Process.Pid); err != nil {
		return err
	}
	if err := o.plugged(m.cable); err != nil {
		return err
	}
	if err := pack(disk, o.files(m.cable)); err != nil {
		return err
	}
	if err := disk.Close(); err != nil {
		return err
	}
	return m.up(ctx, 0)
}

// start starts the process that is the machine's host, and returns the pipe it
// reads the disk's files from.
func (m *Machine) start(base string, o Options, notify *net.UnixConn) (io.WriteCloser, error) {
	args := []string{
		"--mount", "--propagation=private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", hostScript, "host.sh", base, o.Disk, o.short(),
	}
	m.host = exec.Command("unshare", append(args, m.groups...)...)
	m.host.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "NOTIFY_SOCKET=" + notify.LocalAddr().String()}
	m.host.Stdout, m.host.Stderr = &m.console, &m.console
	m.host.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	disk, err := m.host.StdinPipe()
	if err == nil {
		err = m.host.Start()
	}
	if err != nil {
		notify.Close()
		m.host = nil
		return nil, err
	}
	go func() {
		m.host.Wait()
		notify.Close()
		close(m.done)
	}()
	return disk, nil
}

// listen takes what the machine's systemd tells about itself.
func (m *Machine) listen(path string) (*net.UnixConn, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	go func() {
		message := make([]byte, 4096)
		for {
			n, err := conn.Read(message)
			if err != nil {
				return
			}
			if bytes.HasPrefix(message[:n], []byte("READY=1")) || bytes.Contains(message[:n], []byte("\nREADY=1")) {
				select {
				case m.ready <- struct{}{}:
				default:
				}
			}
		}
	}()
	return conn, nil
}

// up waits for a boot to be complete, in which process 1 is another one than
// before. A systemd that has read its units anew says that it is ready too.
func (m *Machine) up(ctx context.Context, before int) error {
	leader := before
	for leader == before {
		select {
		case <-m.ready:
		case <-m.done:
			return errors.New("it has ended")
		case <-ctx.Done():
			return fmt.Errorf("it is not up: %w", context.Cause(ctx))
		}
		found, err := findLeader(m.host.Process.Pid)
		if err != nil && before == 0 {
			return err
		}
		if err == nil {
			leader = found
		}
	}
	m.mu.Lock()
	m.leader = leader
	m.mu.Unlock()
	return whole(ctx, m)
}

// findLeader returns the process of the machine's systemd: host is unshare,
// below it are the shell, nspawn, and it.
func findLeader(host int) (int, error) {
	level := []int{host}
	for range 3 {
		var next []int
		for _, pid := range level {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
			if err != nil {
				return 0, err
			}
			for field := range strings.FieldsSeq(string(b)) {
				child, err := strconv.Atoi(field)
				if err != nil {
					return 0, err
				}
				next = append(next, child)
			}
		}
		level = next
	}
	for _, pid := range level {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && string(b) == "systemd\n" {
			return pid, nil
		}
	}
	return 0, errors.New("its process 1 cannot be found")
}

// Addr is the machine's address, HostAddr that of the test's end of the cable,
// where a test may listen on any port. Nobody else has either.
func (m *Machine) Addr() netip.Addr     { return m.cable.inside }
func (m *Machine) HostAddr() netip.Addr { return m.cable.outside }

// Network is the machine's network, for a test that lays a cable of its own to it. It stays the
// same over a reboot.
func (m *Machine) Network() string { return fmt.Sprintf("/proc/%d/ns/net", m.host.Process.Pid) }

// Console is what the machine has printed on its console so far.
func (m *Machine) Console() string { return m.console.String() }

// Reboot reboots the machine and returns when it is up again, like Boot.
func (m *Machine) Reboot(ctx context.Context) error {
	m.mu.Lock()
	before := m.leader
	m.mu.Unlock()
	if err := halt(ctx, m, "reboot"); err != nil {
		return err
	}
	return m.up(ctx, before)
}

// Snapshot copies what the machine has written to its disk so far to a file,
// which another machine can be booted from. The machine stands still meanwhile.
func (m *Machine) Snapshot(ctx context.Context, to string) (err error) {
	if err := freeze(ctx, m.groups, true); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, freeze(context.WithoutCancel(ctx), m.groups, false)) }()
	return quietly(exec.CommandContext(ctx, "nsenter", "--mount", "--target", strconv.Itoa(m.host.Process.Pid),
		"tar", "--create", "--file="+to, "--directory=/run/disk/upper", "--numeric-owner", "--xattrs", "--xattrs-include=*", "."))
}

// Close ends the machine at once, as if its power was cut, and takes away what
// is left of it. It may be called more than once.
func (m *Machine) Close() error {
	if m.host != nil {
		m.host.Process.Kill()
		<-m.done
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := errors.Join(m.cable.unplug(ctx), os.RemoveAll(m.work))
	for _, g := range m.groups {
		err = errors.Join(err, removeGroup(ctx, g))
	}
	return err
}
