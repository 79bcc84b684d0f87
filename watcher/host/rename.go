package host

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// naming are the files that tell what a host is called besides the kernel.
var naming = []string{"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"}

// Renaming notices that this host may be called otherwise than before, without asking anybody. It
// is for one goroutine.
type Renaming struct {
	files []string
	known string // what the name was made of when Seen returned true last, or at first
	last  string // at the latest call
}

// NewRenaming returns one that knows what the host is called now.
func NewRenaming() *Renaming { return newRenaming(naming) }

func newRenaming(files []string) *Renaming {
	now := madeOf(files)
	return &Renaming{files, now, now}
}

// Seen reports, once, whether the name may have changed. Whoever renames a host writes several
// files: Seen waits until they are as they were at the call before.
func (r *Renaming) Seen() bool {
	now := madeOf(r.files)
	settled := now == r.last
	r.last = now
	if !settled || now == r.known {
		return false
	}
	r.known = now
	return true
}

// madeOf is what this host's name is made of: what the kernel has, and the versions of the files.
func madeOf(files []string) string {
	host, err := os.Hostname()
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v", host, err)
	for _, name := range files {
		fmt.Fprintf(&b, "; %s", version(name))
	}
	return b.String()
}

// version tells one version of a file from another, without opening it.
func version(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return err.Error()
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %d bytes of %d.%09d", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec)
}
