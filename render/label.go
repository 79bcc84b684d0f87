package render

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// labelAttr is where the kernel keeps a file's SELinux context.
const labelAttr = "security.selinux"

// copyLabel gives the new file the SELinux label of the one it replaces. A temporary file gets its
// directory's label, which a confined chmpx may not be allowed to read.
func copyLabel(from string, to *os.File) error {
	label := make([]byte, 256)
	n, err := unix.Lgetxattr(from, labelAttr, label)
	if err != nil {
		// No label, or a file system or kernel that knows none.
		return nil
	}
	err = unix.Fsetxattr(int(to.Fd()), labelAttr, label[:n], 0)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return os.NewSyscallError("label", err)
}
