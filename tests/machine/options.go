package machine

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Options say what a machine is like at its first boot.
type Options struct {
	// Suite is the Debian it runs; empty: [Bookworm].
	Suite string
	// Name is its host name, maybe with a domain; empty: "vm.machine.example".
	Name string
	// Outside are names, by blanks, by which it knows the test's end of the cable,
	// besides "outside".
	Outside string
	// Files are on its disk.
	Files []File
	// UserData is for cloud-init, which runs only if this is not empty.
	UserData string
	// InstanceID is what cloud-init takes this machine for; empty: one that no
	// other machine has.
	InstanceID string
	// Disk is the Snapshot of another machine that this one starts from, in place
	// of a disk with nothing but Debian. Its own files are put there on top.
	Disk string
	// Reboots is how often it reboots by itself before its first boot is complete.
	Reboots int
	// Plugged is called before the first boot, when there is a cable: a test can
	// listen at its own end from then on.
	Plugged func(host, machine netip.Addr) error
}

// plugged calls Plugged.
func (o Options) plugged(c cable) error {
	if o.Plugged == nil {
		return nil
	}
	return o.Plugged(c.outside, c.inside)
}

// File is one file of a machine, root's. Its folders are made if need be.
type File struct {
	Path string
	Mode fs.FileMode // 0: 0644
	Text string
	From string // a file of the host that is copied in place of Text
	Link string // a symbolic link to this, in place of Text
}

func (o Options) suite() string { return cmp.Or(o.Suite, Bookworm) }

// fqdn and short are its host name with and without a domain.
func (o Options) fqdn() string { return cmp.Or(o.Name, "vm.machine.example") }

func (o Options) short() string {
	name, _, _ := strings.Cut(o.fqdn(), ".")
	return name
}

// files returns all that makes this machine different from any other.
func (o Options) files(c cable) []File {
	hosts := fmt.Sprintf("127.0.0.1 localhost\n%s %s %s\n%s outside %s\n", c.inside, o.fqdn(), o.short(), c.outside, o.Outside)
	list := []File{
		{Path: "/etc/hostname", Text: o.short() + "\n"},
		{Path: "/etc/hosts", Text: hosts},
		{Path: "/etc/resolv.conf", Text: "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"},
	}
	if o.UserData == "" {
		list = append(list, File{Path: "/etc/cloud/cloud-init.disabled"})
	} else {
		seed := "/var/lib/cloud/seed/nocloud/"
		id := cmp.Or(o.InstanceID, fmt.Sprintf("machine-%d", time.Now().UnixNano()))
		meta := fmt.Sprintf("instance-id: %s\nlocal-hostname: %s\n", id, o.fqdn())
		list = append(list, File{Path: seed + "meta-data", Text: meta}, File{Path: seed + "user-data", Mode: 0o600, Text: o.UserData})
	}
	return append(list, o.Files...)
}

// pack writes files as a tar.
func pack(w io.Writer, files []File) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		if err := packFile(t, f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return t.Close()
}

func packFile(t *tar.Writer, f File) error {
	text := []byte(f.Text)
	if f.From != "" {
		var err error
		if text, err = os.ReadFile(f.From); err != nil {
			return err
		}
	}
	h := &tar.Header{
		Name: strings.TrimPrefix(f.Path, "/"), Mode: int64(cmp.Or(f.Mode, 0o644).Perm()),
		Size: int64(len(text)), ModTime: time.Now().Truncate(time.Second), Uname: "root", Gname: "root",
	}
	if f.Link != "" {
		h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.Link, 0
	}
	if err := t.WriteHeader(h); err != nil || f.Link != "" {
		return err
	}
	_, err := t.Write(text)
	return err
}
