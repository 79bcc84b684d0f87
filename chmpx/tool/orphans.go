package tool

import (
	"os"
	"sync"
	"syscall"
)

// children is held for reading as long as a program runs, so that whoever gets it for writing knows
// that none of this process's children is one that Run waits for.
var children sync.RWMutex

// reapOrphans ends what processes that have ended still are, if this is the first process of a
// container: the kernel makes it the parent of what a program leaves behind, and nobody else waits
// for that. Where another program runs, its end comes and does so.
func reapOrphans() {
	if os.Getpid() != 1 || !children.TryLock() {
		return
	}
	defer children.Unlock()
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 && err != syscall.EINTR {
			return
		}
	}
}
