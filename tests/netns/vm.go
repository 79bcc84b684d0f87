package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Spec says what is particular to a host.
type Spec struct {
	Name  string   // host name
	Addrs []string // beside those of the loopback; there is no route to any other
	// Folders of this machine that the host has at a path of its own. One at /etc
	// gets a copy of this machine's ld.so.cache: programs find their libraries there.
	Folders map[string]string // path there: path here
}

// loaderCache tells the dynamic loader where the libraries are that it does not
// find in its few built-in folders: those in /usr/local/lib, for one.
const loaderCache = "/etc/ld.so.cache"

// Host is a host that lives for as long as its test. A thread of this process
// lives in its namespaces.
type Host struct {
	todo chan func()
}

// New makes a host. The test is skipped where that is not allowed.
func New(tb testing.TB, spec Spec) *Host {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root: it makes a host of its own out of namespaces")
	}
	h := &Host{todo: make(chan func())}
	done := make(chan struct{})
	ready := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread and the host end together
		ready <- spec.enter()
		for f := range h.todo {
			f()
		}
	}()
	tb.Cleanup(func() {
		close(h.todo)
		<-done
	})
	if err := <-ready; errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		tb.Skipf("may not make namespaces here: %v", err)
	} else if err != nil {
		tb.Fatal(err)
	}
	return h
}

// Do runs f on the host: sockets it opens, files it opens and processes it
// starts are there. Goroutines that f starts are not. A process that asks for it
// (Pdeathsig) ends with the host.
func (h *Host) Do(f func() error) error {
	done := make(chan error)
	h.todo <- func() { done <- f() }
	return <-done
}

// enter moves this thread into the host.
func (s Spec) enter() error {
	const all = unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWNS | unix.CLONE_NEWIPC
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
		if there == filepath.Dir(loaderCache) {
			if err := copyLoaderCache(here); err != nil {
				return err
			}
		}
		if err := unix.Mount(here, there, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", there, err)
		}
	}
	return setAddrs(s.Addrs)
}

// copyLoaderCache puts this machine's loader cache, if it has one, into a folder.
func copyLoaderCache(dir string) error {
	cache, err := os.ReadFile(loaderCache)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(loaderCache)), cache, 0o644)
}
