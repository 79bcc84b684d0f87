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
// is for one goroutine. The zero Renaming is ready for use.
type Renaming struct {
	files []string // nil: naming

	known string // what the name was made of when the last call returned true, or at the first one
	last  string // at the latest call
}

// Seen reports whether the name may have changed since it was last reported, or since the first
// call. Whoever renames a host writes several files: it is reported once they are as they were at
// the call before.
func (r *Renaming) Seen() bool {
	now := r.signature()
	settled := now == r.last
	r.last = now
	if r.known == "" {
		r.known = now
	}
	if !settled || now == r.known {
		return false
	}
	r.known = now
	return true
}

// signature is what the name is made of.
func (r *Renaming) signature() string {
	files := r.files
	if files == nil {
		files = naming
	}
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
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.ModTime().String()
	}
	return fmt.Sprintf("%d:%d %d bytes of %d.%09d", st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec)
}
