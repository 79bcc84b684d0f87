package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prefix begins the names of all that a machine leaves in the host's file
// systems. The number of the process that made it follows.
const prefix = "k2hdkc-machine-"

// hierarchies are the control group trees that nspawn builds in: version 2,
// and systemd's own of version 1 where that is there too.
func hierarchies() (dirs []string, err error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		var mounts []string
		switch f[1] {
		case "":
			mounts = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
		case "name=systemd":
			mounts = []string{"/sys/fs/cgroup/systemd"}
		}
		for _, mount := range mounts {
			dir := filepath.Join(mount, f[2])
			if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
				dirs = append(dirs, dir)
			}
		}
	}
	if dirs == nil {
		return nil, errors.New("found no control groups in /sys/fs/cgroup that a systemd could run in")
	}
	return dirs, nil
}

// makeGroups makes a control group of its own for a machine, in each tree.
func makeGroups(name string) (groups []string, err error) {
	dirs, err := hierarchies()
	for _, dir := range dirs {
		group := filepath.Join(dir, name)
		if err := os.Mkdir(group, 0o755); err != nil {
			return groups, err
		}
		groups = append(groups, group)
	}
	return groups, err
}

// freeze stops all processes of a machine's control groups, or has them go on,
// and returns when that is so. Only version 2 can.
func freeze(ctx context.Context, groups []string, on bool) error {
	value, frozen := "0", "frozen 0"
	if on {
		value, frozen = "1", "frozen 1"
	}
	done := false
	for _, group := range groups {
		file := filepath.Join(group, "cgroup.freeze")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if err := os.WriteFile(file, []byte(value), 0); err != nil {
			return err
		}
		for done = false; !done; {
			b, err := os.ReadFile(filepath.Join(group, "cgroup.events"))
			if err != nil {
				return err
			}
			if done = strings.Contains(string(b), frozen); done {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the machine does not stand still: %w", context.Cause(ctx))
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	if !done {
		return errors.New("there is no control group that can be frozen")
	}
	return nil
}

// removeGroup removes a control group and those in it. The kernel may take a
// moment to let go of the last process.
func removeGroup(ctx context.Context, dir string) error {
	for {
		err := removeTree(dir)
		if !errors.Is(err, syscall.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// removeTree removes folders, whose files are the kernel's.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(dir); err != nil && err != syscall.ENOENT {
		return err
	}
	return nil
}

// sweep removes what is left of machines whose tests were killed.
func sweep() {
	dirs, _ := hierarchies()
	for _, dir := range append(dirs, os.TempDir()) {
		left, _ := filepath.Glob(filepath.Join(dir, prefix+"*"))
		for _, path := range left {
			number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), prefix), "-")
			pid, err := strconv.Atoi(number)
			if err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
				continue
			}
			if dir == os.TempDir() {
				os.RemoveAll(path)
			} else {
				removeTree(path)
			}
		}
	}
}
