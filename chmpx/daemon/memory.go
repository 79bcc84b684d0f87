package daemon

import (
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// memory reads chmpx's shared memory without chmpxstatus, which costs a process for each look and
// is an event to chmpx (docs/chmpx.md J.2). So is each close of the file, which is why it stays
// open. It serves one run of chmpx at a time, and only once it has shown the same of it as
// chmpxstatus, which takes chmpx's locks. Whatever looks wrong ends its use; chmpxstatus tells then
// what is.
type memory struct {
	file   *os.File // nil: not in use
	info   os.FileInfo
	pidfd  *os.File // of chmpx's process
	layout layout
	status Status    // as it was seen last
	since  time.Time // it has shown the same as chmpxstatus

	// other is a run of chmpx of which it did not show the same, and mismatches how often.
	other      Status
	mismatches int
}

const (
	// trusted is how long memory is used without a comparison.
	trusted = 10 * time.Minute
	// mostMismatches for one run of chmpx: something may change between the two looks.
	mostMismatches = 3
	// mostReads is how often memory reads what changes under it.
	mostReads = 4
)

// look returns the status of the chmpx of this GROUP and SELFCTLPORT, and whether there is one
// that can be relied on.
func (m *memory) look(group string, ctlPort int) (Status, bool) {
	if m.file == nil {
		return Status{}, false
	}
	if m.status.Group == group && max(m.status.Self.CtlPort, 0) == ctlPort && time.Since(m.since) < trusted {
		if st, err := m.read(); err == nil && st.SameProcess(m.status) && st.Group == group && m.lives() {
			m.status = st
			return st, true
		}
	}
	m.close()
	return Status{}, false
}

// unchanged tells whether what was read for st, the latest status, is still there, and chmpx with
// it.
func (m *memory) unchanged(st Status) bool {
	return m.file != nil && time.Since(m.since) < trusted && sameStatus(st, m.status) && m.runs() && m.layout.unchanged()
}

// read reads the memory until it says what it said before, as before or just now: half of a change
// is seen once.
func (m *memory) read() (Status, error) {
	before := m.status
	for range mostReads {
		st, err := m.layout.status()
		if err != nil {
			return st, err
		}
		if sameStatus(st, before) {
			return before, nil
		}
		before = st
	}
	return Status{}, errors.New("chmpx's memory changes all the time")
}

// lives tells whether chmpx's process has not ended, and the memory is the one at its path.
func (m *memory) lives() bool {
	now, err := os.Stat(m.file.Name())
	return err == nil && os.SameFile(now, m.info) && m.runs()
}

// runs tells whether chmpx's process has not ended.
func (m *memory) runs() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(m.pidfd.Fd()), Events: unix.POLLIN}}, 0)
	return n == 0 && err == nil
}

// compare begins to use the memory at path if it shows what chmpxstatus has shown just now.
func (m *memory) compare(path string, st Status) {
	if st.SameProcess(m.other) && m.mismatches == mostMismatches {
		return
	}
	m.close()
	if err := m.open(path, st); err == nil {
		m.status = st
		if seen, err := m.read(); err == nil && sameStatus(seen, st) && m.lives() {
			m.since = time.Now()
			return
		}
	}
	m.close()
	if !st.SameProcess(m.other) {
		m.other, m.mismatches = st, 0
	}
	m.mismatches++
}

// open opens the memory, and finds its process.
func (m *memory) open(path string, st Status) (err error) {
	process, err := openProcess(st.PID)
	if err != nil {
		return err
	}
	file, err := regularfile.Open(path)
	if err != nil {
		process.Close()
		return err
	}
	info, err := file.Stat()
	if err != nil {
		process.Close()
		file.Close()
		return err
	}
	m.file, m.info, m.pidfd = file, info, process
	m.layout = layout{ReaderAt: file, size: info.Size()}
	return nil
}

// close ends the use of the memory.
func (m *memory) close() {
	if m.file == nil {
		return
	}
	m.file.Close()
	m.pidfd.Close()
	m.file = nil
}

// sameStatus tells whether two statuses say the same.
func sameStatus(a, b Status) bool {
	return a.SameProcess(b) && a.Group == b.Group && a.Revision == b.Revision && a.MaxNodes == b.MaxNodes && a.FreeNodes == b.FreeNodes &&
		a.Clients == b.Clients && a.SSL == b.SSL && a.Self == b.Self &&
		slices.Equal(a.Servers, b.Servers) && slices.Equal(a.Slaves, b.Slaves)
}
