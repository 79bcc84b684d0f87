package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/need"
)

// Spec says what is particular to a host.
type Spec struct {
	Name  string   // host name
	Addrs []string // beside those of the loopback; there is no route to any other
	// Folders of this machine that the host has at a path of its own.
	Folders map[string]string // path there: path here
}

// Host is a host that lives for as long as its test. A thread of this process
// lives in its namespaces.
type Host struct {
	todo chan func()
}

// New makes a host, where that is allowed; see [need.Missing].
func New(tb testing.TB, spec Spec) *Host {
	tb.Helper()
	h := &Host{todo: make(chan func())}
	done := make(chan struct{})
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		home, err := ownNamespaces()
		if err == nil {
			err = spec.enter()
		}
		ready <- err
		for f := range h.todo {
			f()
		}
		home.enter()
		close(done)
		// The thread stays: processes of other tests that were started from it
		// before it was this host's, and that end with their parent (Pdeathsig),
		// would end with it.
		select {}
	}()
	tb.Cleanup(func() {
		close(h.todo)
		<-done
	})
	err := <-ready
	switch {
	case err != nil && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS)):
		need.Missing(tb, fmt.Errorf("makes a host of its own out of namespaces, which takes root: %w", err))
	case err != nil:
		tb.Fatal(err)
	}
	return h
}

// Do runs f on the host: sockets it opens, files it opens and processes it
// starts are there. Goroutines that f starts are not.
func (h *Host) Do(f func() error) error {
	done := make(chan error)
	h.todo <- func() { done <- f() }
	return <-done
}

// Program returns a program that runs the given one on the host, whichever goroutine starts it.
func (h *Host) Program(tb testing.TB, path string) string {
	tb.Helper()
	var thread string
	if err := h.Do(func() error { thread = fmt.Sprintf("/proc/%d/task/%d/ns/", os.Getpid(), unix.Gettid()); return nil }); err != nil {
		tb.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=%[1]snet --uts=%[1]suts --ipc=%[1]sipc --mount=%[1]smnt -- %[2]s \"$@\"\n", thread, path)
	name := filepath.Join(tb.TempDir(), filepath.Base(path))
	// A process that is forked while the file is open for writing keeps it from being run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		tb.Fatal(err)
	}
	return name
}

// kinds are the namespaces that a host has of its own.
var kinds = map[string]int{"net": unix.CLONE_NEWNET, "uts": unix.CLONE_NEWUTS, "mnt": unix.CLONE_NEWNS, "ipc": unix.CLONE_NEWIPC}

// namespaces are open files of a thread's, by their kinds.
type namespaces map[string]*os.File

// ownNamespaces are those that this thread is in.
func ownNamespaces() (namespaces, error) {
	own := namespaces{}
	for kind := range kinds {
		f, err := os.Open("/proc/thread-self/ns/" + kind)
		if err != nil {
			return own, err
		}
		own[kind] = f
	}
	return own, nil
}

// enter moves this thread into namespaces, and closes the files.
func (n namespaces) enter() {
	for kind, f := range n {
		unix.Setns(int(f.Fd()), kinds[kind]) // they end with this process in any case
		f.Close()
	}
}

// enter moves this thread into the host.
func (s Spec) enter() error {
	all := 0
	for _, flag := range kinds {
		all |= flag
	}
	if err := unix.Unshare(all); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep the mounts to itself: %w", err)
	}
	for there, here := range s.Folders {
		if there == "/etc" {
			if err := keepLoaderCache(here); err != nil {
				return err
			}
		}
		if err := unix.Mount(here, there, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", there, err)
		}
	}
	return SetAddrs(s.Addrs...)
}

// keepLoaderCache lets programs of this machine find their libraries on a host
// whose /etc is another folder.
func keepLoaderCache(etc string) error {
	const name = "ld.so.cache"
	b, err := os.ReadFile(filepath.Join("/etc", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(etc, name), b, 0o644)
}
