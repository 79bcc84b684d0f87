package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"k2hdkc-slave-agent/tests/machine/vmexec"
)

// VM is a virtual machine with a kernel of its own, in all else like [Machine].
// Its processor is emulated, which makes it some twenty times slower.
type VM struct {
	host    *exec.Cmd // qemu
	done    chan struct{}
	work    string
	cable   cable
	console output

	mu     sync.Mutex
	bootID string
}

// VMAvailable returns why there can be no virtual machines here, or nil.
func VMAvailable() error {
	if err := Available(); err != nil {
		return err
	}
	if runtime.GOARCH != "amd64" {
		return errors.New("virtual machines are made for amd64 only")
	}
	for _, name := range []string{"qemu-system-x86_64", "qemu-img", "mke2fs"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("virtual machines need %s; the packages are qemu-system-x86, qemu-utils and e2fsprogs", name)
		}
	}
	_, err := os.Stat("/dev/net/tun")
	return err
}

// BootVM is Boot for a virtual machine. It takes a minute or two.
func BootVM(ctx context.Context, o Options) (*VM, error) {
	image, err := vmImages(ctx, o.suite())
	if err != nil {
		return nil, err
	}
	sweep()
	v := &VM{done: make(chan struct{})}
	if err := v.boot(ctx, image, o); err != nil {
		console := v.Console()
		return nil, errors.Join(fmt.Errorf("boot %s: %w", o.fqdn(), err), v.Close(), fmt.Errorf("its console:\n%s", console))
	}
	return v, nil
}

func (v *VM) boot(ctx context.Context, image vmImage, o Options) error {
	id := fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), count.Add(1))
	v.work = filepath.Join(os.TempDir(), id)
	if err := os.Mkdir(v.work, 0o700); err != nil {
		return err
	}
	disk := filepath.Join(v.work, "disk.qcow2")
	var err error
	if o.Disk == "" {
		err = quietly(exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image.disk(), "-F", "raw", disk))
	} else {
		err = copyFile(o.Disk, disk)
	}
	if err != nil {
		return err
	}
	c, card, err := plugTap(ctx, os.Getpid()*8%cables)
	if err != nil {
		return err
	}
	v.cable = c
	defer card.Close()
	if err := o.plugged(v.cable); err != nil {
		return err
	}
	if err := v.packFiles(ctx, o); err != nil {
		return err
	}
	if err := v.start(image, id, disk, card); err != nil {
		return err
	}
	return v.up(ctx, o.Reboots, 0)
}

// execUnit starts the program that runs the test's commands. It is not ordered
// after cloud-init, so that a test can look on.
const execUnit = `[Unit]
Description=Commands of the test
After=dbus.socket

[Service]
ExecStart=/usr/local/sbin/vmexecd %s
`

// packFiles writes the second disk, a tar of the machine's own files.
func (v *VM) packFiles(ctx context.Context, o Options) error {
	vmexecd := filepath.Join(v.work, "vmexecd")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", vmexecd, "k2hdkc-slave-agent/tests/machine/vmexec/vmexecd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := quietly(build); err != nil {
		return err
	}
	files := append(o.files(v.cable),
		File{Path: "/usr/local/sbin/vmexecd", Mode: 0o755, From: vmexecd},
		File{Path: "/etc/systemd/system/vmexecd.service", Text: fmt.Sprintf(execUnit, v.cable.inside)},
		File{Path: "/etc/systemd/system/multi-user.target.wants/vmexecd.service", Link: "../vmexecd.service"},
		// The disk has its size, and there is no program that could change it.
		File{Path: "/etc/cloud/cloud.cfg.d/92-vm.cfg", Text: "resize_rootfs: false\ngrowpart: { mode: off }\n"})
	// A kernel that has just what the machine needs has no such module, which Debian 13 fails for.
	for _, unit := range []string{"proc-sys-fs-binfmt_misc.automount", "proc-sys-fs-binfmt_misc.mount", "systemd-binfmt.service"} {
		files = append(files, File{Path: "/etc/systemd/system/" + unit, Link: "/dev/null"})
	}
	f, err := os.Create(filepath.Join(v.work, "files.tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pack(f, files); err != nil {
		return err
	}
	// A disk is made of whole sectors.
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = f.Truncate((end + 511) &^ 511)
	}
	return errors.Join(err, f.Close())
}

// noModules are modules that an emulated processor takes long to try, and
// drivers of what this machine has not.
const noModules = "aesni_intel,ghash_clmulni_intel,crct10dif_pclmul,crc32_pclmul,sha512_ssse3,sha256_ssse3,sha1_ssse3," +
	"cryptd,crypto_simd,kvm,kvm_amd,kvm_intel,ccp,psmouse,pcspkr,iTCO_wdt,i2c_i801,lpc_ich,ahci,libata,evdev,button,serio_raw,qemu_fw_cfg"

func (v *VM) start(image vmImage, id, disk string, card *os.File) error {
	kernel := []string{
		"root=/dev/vda", "rw", "console=ttyS0", "quiet", "panic=-1", "systemd.show_status=0", "net.ifnames=0",
		"mitigations=off", "apparmor=0", "audit=0", "no_timer_check", "tsc=reliable", "cryptomgr.notests", "random.trust_cpu=on",
		"module_blacklist=" + noModules, "machine.id=" + id, "machine.addr=" + v.cable.inside.String() + "/30",
	}
	v.host = exec.Command("qemu-system-x86_64",
		// Not kvm, even where there seems to be one: inside another virtual
		// machine it may start and then stand still.
		"-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35", "-cpu", "qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand",
		"-smp", "2", "-m", "1024", "-nodefaults", "-display", "none", "-serial", "stdio",
		"-qmp", "unix:"+filepath.Join(v.work, "qmp")+",server=on,wait=off",
		"-drive", "file="+disk+",if=none,id=disk,format=qcow2,cache=unsafe", "-device", "virtio-blk-pci,drive=disk",
		"-drive", "file="+filepath.Join(v.work, "files.tar")+",if=none,id=files,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=files",
		"-netdev", "tap,id=card,fd=3", "-device", "virtio-net-pci,netdev=card,romfile=", "-device", "virtio-rng-pci",
		"-kernel", image.kernel(), "-initrd", image.initrd(), "-append", strings.Join(kernel, " "))
	v.host.ExtraFiles = []*os.File{card}
	v.host.Stdout, v.host.Stderr = &v.console, &v.console
	v.host.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := v.host.Start(); err != nil {
		v.host = nil
		return err
	}
	go func() {
		v.host.Wait()
		close(v.done)
	}()
	return nil
}

// up waits for a boot to be complete whose beginning is on the console from the
// position before on, after some boots that are not.
func (v *VM) up(ctx context.Context, skip, before int) error {
	id := ""
	begun := func(text string) bool {
		after, ok := text[min(before, len(text)):], true
		for i := 0; i <= skip && ok; i++ {
			_, after, ok = strings.Cut(after, vmexec.Up)
		}
		line, _, whole := strings.Cut(after, "\n")
		id = strings.TrimSpace(line)
		return ok && whole
	}
	if err := v.console.awaitFunc(ctx, v.done, begun); err != nil {
		return err
	}
	v.mu.Lock()
	v.bootID = id
	v.mu.Unlock()
	return whole(ctx, v)
}

// Exec runs a command on the machine to its end, like Machine.Exec.
func (v *VM) Exec(ctx context.Context, argv ...string) (Result, error) {
	return v.exec(ctx, nil, argv...)
}

func (v *VM) exec(ctx context.Context, stdin []byte, argv ...string) (Result, error) {
	addr := netip.AddrPortFrom(v.cable.inside, vmexec.Port).String()
	r, err := vmexec.Run(ctx, addr, vmexec.Command{Argv: argv, Env: environment, Stdin: stdin})
	return Result{r.Status, string(r.Stdout), string(r.Stderr)}, err
}

// CopyIn puts a file on the machine's disk, by a rename.
func (v *VM) CopyIn(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error {
	b, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	r, err := v.exec(ctx, b, "sh", "-c", copyScript, "sh", path, fmt.Sprintf("%o", mode.Perm()))
	return copied(path, r, err)
}

// Journal returns the messages of a unit since the last boot, like
// Machine.Journal.
func (v *VM) Journal(ctx context.Context, unit string) (string, error) { return journal(ctx, v, unit) }

// Addr is the machine's address, HostAddr that of the test's end of the cable.
func (v *VM) Addr() netip.Addr     { return v.cable.inside }
func (v *VM) HostAddr() netip.Addr { return v.cable.outside }

// Console is what the machine has printed on its console so far.
func (v *VM) Console() string { return v.console.String() }

// Reboot reboots the machine and returns when it is up again, like Boot.
func (v *VM) Reboot(ctx context.Context) error {
	before := len(v.Console())
	if err := halt(ctx, v, "reboot"); err != nil {
		return err
	}
	return v.up(ctx, 0, before)
}

// Snapshot copies the machine's disk as it is now to a file, which another
// machine can be booted from.
func (v *VM) Snapshot(ctx context.Context, to string) error {
	if r, err := v.Exec(ctx, "sync"); err != nil || r.Status != 0 {
		return errors.Join(err, errors.New(r.Stderr))
	}
	if err := v.monitor(ctx, "stop"); err != nil {
		return err
	}
	err := copyFile(filepath.Join(v.work, "disk.qcow2"), to)
	return errors.Join(err, v.monitor(ctx, "cont"))
}

// monitor gives qemu a command.
func (v *VM) monitor(ctx context.Context, command string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(v.work, "qmp"))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answers := json.NewDecoder(conn)
	for _, c := range []string{"qmp_capabilities", command} {
		if _, err := fmt.Fprintf(conn, "{\"execute\":%q}\n", c); err != nil {
			return err
		}
		for answered := false; !answered; {
			var a struct{ Return, Error json.RawMessage }
			if err := answers.Decode(&a); err != nil {
				return fmt.Errorf("qemu, %s: %w", c, err)
			}
			if a.Error != nil {
				return fmt.Errorf("qemu, %s: %s", c, a.Error)
			}
			answered = a.Return != nil
		}
	}
	return nil
}

// Close ends the machine at once, as if its power was cut, and takes away what
// is left of it. It may be called more than once.
func (v *VM) Close() error {
	if v.host != nil {
		v.host.Process.Kill()
		<-v.done
	}
	return os.RemoveAll(v.work)
}

// copyFile copies a file whose holes stay holes.
func copyFile(from, to string) error {
	return quietly(exec.Command("cp", "--sparse=always", "--reflink=auto", from, to))
}
