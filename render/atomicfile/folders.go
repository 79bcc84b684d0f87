package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeFolders makes the folder at path, and those above it that are not there, with this mode
// whatever the umask: who is to find the files in it may be another user. A folder that is there
// stays as it is.
func MakeFolders(path string, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if above := filepath.Dir(path); above != path {
		if err := MakeFolders(above, mode); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, mode)
	if errors.Is(err, fs.ErrExist) { // somebody else has made it, or it is no folder
		return os.MkdirAll(path, mode)
	}
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, mode|info.Mode()&fs.ModeSetgid) // which it has from the one above
}
