package chmpxunit

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// UserNamespaces tries whether this host, or container, lets a process have a
// namespace of users. The process that gets one ends before it runs anything: there
// is no program of that name.
func UserNamespaces() bool {
	if _, err := os.Stat("/proc/self/ns/user"); err != nil {
		return false
	}
	_, err := os.StartProcess("/proc/self/no-such-program", []string{""}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER},
	})
	return errors.Is(err, fs.ErrNotExist)
}
