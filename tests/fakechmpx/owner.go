package fakechmpx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// mayTake fails if another user's chmpx has left its state behind: one that is not root cannot move
// that aside (K.4).
func (d StateDir) mayTake(group string, ctlPort int) error {
	path := d.Path(group, ctlPort)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || os.Geteuid() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("could not move %s of uid %d aside", path, st.Uid)
	}
	return nil
}
