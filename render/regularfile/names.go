package regularfile

import (
	"errors"
	"io/fs"
)

// CheckNames returns an error if Go's resolver, which opens files by itself at a look-up of a name
// and lets no context end that, would hang on one of them or read it for ever.
func CheckNames() error { return checkNames("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf") }

// checkNames reads the files, since some of the kernel's only look like regular ones.
func checkNames(paths ...string) error {
	var wrong []error
	for _, path := range paths {
		if _, err := Read(path, Small); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}
