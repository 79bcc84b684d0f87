package fakechmpx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Fault is something a stand-in does wrong on request. A fault is a file of its
// name in the folder faults of the state directory, so shell scripts can set it too.
type Fault string

// The faults there are. One that is taken once removes its file when it strikes.
const (
	// FaultStatusHang makes chmpxstatus hang for as long as it is set.
	FaultStatusHang Fault = "status-hang"
	// FaultLoadDelay makes every load of chmpx last, from reading the file on, as
	// with a slow resolver. The value is a duration such as 300ms; without one the
	// load lasts until the fault is cleared, and Loading tells that it is under way.
	FaultLoadDelay Fault = "load-delay"
	// FaultAbsorb makes the next load an absorbed one (D.6). Taken once.
	FaultAbsorb Fault = "absorb"
	// FaultDropEvent makes chmpx not handle the next event of its file. Taken once;
	// of a replacement, chmpx is left with a watch on nothing.
	FaultDropEvent Fault = "drop-event"
	// FaultWatchLost makes chmpx lose its watch at the next event. Taken once.
	FaultWatchLost Fault = "watch-lost"
	// FaultCrashAtStart makes every start of chmpx end in SIGSEGV.
	FaultCrashAtStart Fault = "crash-at-start"
	// FaultConftestHang makes chmpxconftest hang for as long as it is set.
	FaultConftestHang Fault = "conftest-hang"
)

func (d StateDir) faultFile(f Fault) string { return filepath.Join(string(d), "faults", string(f)) }

// Inject sets a fault. Only FaultLoadDelay has a value.
func (d StateDir) Inject(f Fault, value string) error {
	return replaceFile(d.faultFile(f), []byte(value))
}

// Clear takes a fault away. It is no error when it is not set.
func (d StateDir) Clear(f Fault) error {
	err := os.Remove(d.faultFile(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Has reports whether a fault is set.
func (d StateDir) Has(f Fault) bool {
	_, err := os.Lstat(d.faultFile(f))
	return err == nil
}

// take reports whether a fault is set, and clears it.
func (d StateDir) take(f Fault) bool { return os.Remove(d.faultFile(f)) == nil }

// Loading reports whether a load is being held up by [FaultLoadDelay].
func (d StateDir) Loading() bool { return d.Has(loading) }

// loading is no fault, but a mark in the same folder.
const loading Fault = "loading"

// slow makes a load last longer, if it is to.
func (d StateDir) slow() {
	b, err := os.ReadFile(d.faultFile(FaultLoadDelay))
	if err != nil {
		return
	}
	if err := d.Inject(loading, ""); err != nil {
		return
	}
	defer d.Clear(loading)
	if wait, err := time.ParseDuration(trim(string(b))); err == nil {
		time.Sleep(wait)
		return
	}
	for d.Has(FaultLoadDelay) {
		time.Sleep(time.Millisecond)
	}
}
