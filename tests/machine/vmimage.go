package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// vmPackages are what a virtual machine has besides what others have.
var vmPackages = append(slices.Clone(packages), "linux-image-cloud-amd64", "udev", "kmod", "busybox-static")

// vmModules are what the kernel needs before it has a disk to load modules
// from, and the network card, which gets its address then, too.
var vmModules = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "ext4"}

// vmInit is what the kernel runs first: it mounts the disk, puts the machine's
// own files there once, and gives the network card its address, so that no
// service of the machine has to. The settings come from the kernel's command
// line.
const vmInit = `#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys /root
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t sysfs sysfs /sys
while read -r module; do insmod "/modules/$module"; done </modules/order
for word in $(cat /proc/cmdline); do
	case $word in
	machine.*) eval "${word#machine.}" ;;
	esac
done
tries=0
until [ -b /dev/vda ] || [ "$tries" = 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
mount -t ext4 /dev/vda /root || exec sh
if [ ! -e "/root/var/lib/machine-files-$id" ]; then
	tar -x -f /dev/vdb -C /root
	: >"/root/var/lib/machine-files-$id"
	sync
fi
ip link set lo up
ip addr add "$addr" dev eth0
ip link set eth0 up
for dir in dev proc sys; do mount --move "/$dir" "/root/$dir"; done
exec switch_root /root /sbin/init
`

// vmImage is the folder of what virtual machines are booted from.
type vmImage string

func (i vmImage) disk() string   { return filepath.Join(string(i), "disk.img") }
func (i vmImage) kernel() string { return filepath.Join(string(i), "vmlinuz") }
func (i vmImage) initrd() string { return filepath.Join(string(i), "initrd") }

func vmRecipe(suite string) string {
	return strings.Join([]string{
		suite, strings.Join(vmPackages, ","), strings.Join(vmModules, ","), strings.Join(untracked, ","), settle, vmInit,
	}, "\n")
}

// vmImages returns what virtual machines of a Debian release are booted from. Like a root file
// system it is made when it is not in the cache, from Debian's packages.
func vmImages(ctx context.Context, suite string) (vmImage, error) {
	if err := VMAvailable(); err != nil {
		return "", err
	}
	dir, err := cached("vm-"+suite, vmRecipe(suite), func(dir string) error {
		return once(dir, func(to string) error { return makeImage(ctx, suite, to) })
	})
	if err != nil {
		return "", fmt.Errorf("make the disk of a virtual machine: %w", err)
	}
	return vmImage(dir), nil
}

// diskSize is what a virtual machine sees; only what is used takes room.
const diskSize = "3G"

func makeImage(ctx context.Context, suite, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	tar, root := filepath.Join(dir, "root.tar"), filepath.Join(dir, "root")
	if err := bootstrap(ctx, suite, vmPackages, tar); err != nil {
		return err
	}
	if err := extract(ctx, tar, root); err != nil {
		return err
	}
	image := vmImage(dir)
	err := errors.Join(
		copyKernel(root, image.kernel()),
		makeInitrd(root, image.initrd()),
		quietly(exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-d", root, image.disk(), diskSize)),
	)
	return errors.Join(err, os.RemoveAll(root), os.Remove(tar))
}

// one returns the only file that a pattern matches.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s: want one, have %d", pattern, len(found))
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

func copyKernel(root, to string) error {
	from, err := one(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// makeInitrd makes the little file system that the kernel starts in: busybox,
// modules, and vmInit.
func makeInitrd(root, to string) error {
	modules, err := one(filepath.Join(root, "lib/modules/*"))
	if err != nil {
		return err
	}
	list, err := withDependencies(modules, vmModules)
	if err != nil {
		return err
	}
	var initrd bytes.Buffer
	a := archive{w: &initrd}
	for _, dir := range []string{"bin", "modules"} {
		a.add(dir, 0o40755, nil)
	}
	a.add("init", 0o100755, []byte(vmInit))
	a.addFile("bin/busybox", 0o100755, filepath.Join(root, "bin/busybox"))
	var order strings.Builder
	for _, path := range list {
		name := strings.TrimSuffix(filepath.Base(path), ".xz") // as Debian 13 has them
		fmt.Fprintln(&order, name)
		file := filepath.Join(modules, path)
		if name != filepath.Base(path) {
			plain, err := exec.Command("xz", "--decompress", "--stdout", file).Output()
			a.err = errors.Join(a.err, err)
			a.add("modules/"+name, 0o100644, plain)
			continue
		}
		a.addFile("modules/"+name, 0o100644, file)
	}
	a.add("modules/order", 0o100644, []byte(order.String()))
	a.add("TRAILER!!!", 0, nil)
	if a.err != nil {
		return a.err
	}
	return os.WriteFile(to, initrd.Bytes(), 0o644)
}

// withDependencies returns the files of kernel modules and of those they need,
// in the order they have to be loaded in. What is built in needs no file.
func withDependencies(dir string, names []string) (files []string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{} // what a file needs, the most basic last
	path := map[string]string{}    // by the name of the module
	for line := range strings.Lines(string(b)) {
		file, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		needs[file] = strings.Fields(rest)
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		path[strings.ReplaceAll(name, "-", "_")] = file
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file, ok := path[name]
		if !ok {
			if bytes.Contains(builtin, []byte("/"+name+".ko")) {
				continue
			}
			return nil, fmt.Errorf("this kernel has no module %s", name)
		}
		chain := slices.Clone(needs[file])
		slices.Reverse(chain)
		for _, f := range append(chain, file) {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// archive writes the cpio format that the kernel unpacks.
type archive struct {
	w     io.Writer
	inode int
	err   error
}

func (a *archive) addFile(name string, mode fs.FileMode, from string) {
	b, err := os.ReadFile(from)
	a.err = errors.Join(a.err, err)
	a.add(name, mode, b)
}

// add adds a file or folder; mode is as stat(2) has it.
func (a *archive) add(name string, mode fs.FileMode, content []byte) {
	a.inode++
	fields := []int{a.inode, int(mode), 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0}
	header := "070701"
	for _, f := range fields {
		header += fmt.Sprintf("%08X", f)
	}
	padded := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	_, err := a.w.Write(append(padded([]byte(header+name+"\x00")), padded(slices.Clone(content))...))
	a.err = errors.Join(a.err, err)
}
