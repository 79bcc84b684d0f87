package fakechmpx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Fault is something a stand-in does wrong on request. A fault is a file of its
// name in the folder faults of the state directory, so shell scripts can set it too.
type Fault string

// FaultConftestHang makes chmpxconftest hang for as long as it is set.
const FaultConftestHang Fault = "conftest-hang"

func (d StateDir) faultFile(f Fault) string { return filepath.Join(string(d), "faults", string(f)) }

// Inject sets a fault.
func (d StateDir) Inject(f Fault) error { return replaceFile(d.faultFile(f), nil) }

// Clear takes a fault away. It is no error when it is not set.
func (d StateDir) Clear(f Fault) error {
	err := os.Remove(d.faultFile(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d StateDir) has(f Fault) bool {
	_, err := os.Lstat(d.faultFile(f))
	return err == nil
}
