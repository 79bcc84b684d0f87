package service

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRestart says that the agent has to exit, so that systemd restarts it. The log says why.
var ErrRestart = errors.New("the agent has to be restarted")

// lookEvery is how often Folders looks for the missing folders.
const lookEvery = 10 * time.Second

// young is how old a folder is at most that may have come after systemd settled where the agent
// may write, and before the agent's first look. It is less than the unit's RestartSec, so that the
// next start has settled the matter.
const young = 4 * time.Second

// Folders watches for folders that were missing when systemd started the agent. The unit lets the
// agent write in some folders and nowhere else, and systemd settles at the start which of them are
// there: the agent can only read in one that comes later, and chmpxstatus cannot open chmpx's
// memory there.
type Folders struct {
	missing []string
	ticker  *time.Ticker // nil: none is missing
	system  filesystem
}

// filesystem is what Folders asks of the kernel.
type filesystem interface {
	access(path string, mode uint32) error // access(2)
	age(path string) time.Duration         // of a folder; large if it is not known
}

// NewFolders returns one that watches for those of dirs that are missing now, or were a moment ago;
// an empty one is none.
// The caller ends it with Stop.
func NewFolders(dirs ...string) *Folders { return newFolders(kernel{}, dirs) }

func newFolders(system filesystem, dirs []string) *Folders {
	f := &Folders{system: system}
	if !Supervised() {
		return f
	}
	for _, dir := range dirs {
		if dir != "" && f.isMissing(dir) && !slices.Contains(f.missing, dir) {
			f.missing = append(f.missing, dir)
		}
	}
	if len(f.missing) > 0 {
		f.ticker = time.NewTicker(lookEvery)
	}
	return f
}

func (f *Folders) isMissing(dir string) bool {
	if errors.Is(f.system.access(dir, unix.F_OK), fs.ErrNotExist) {
		return true
	}
	return errors.Is(f.system.access(dir, unix.W_OK), unix.EROFS) && f.system.age(dir).Abs() < young
}

// Tick returns a channel that receives whenever Check is to be called; nil: never.
func (f *Folders) Tick() <-chan time.Time {
	if f.ticker == nil {
		return nil
	}
	return f.ticker.C
}

// Stop ends the watch.
func (f *Folders) Stop() {
	if f.ticker != nil {
		f.ticker.Stop()
		f.ticker = nil
	}
}

// Check returns ErrRestart, and logs why, if a missing folder has come and the agent cannot write
// in it until it is restarted. It stops looking for a folder that the agent can write in, or that
// it could not write in after a restart either.
func (f *Folders) Check(log *slog.Logger) error {
	for _, dir := range slices.Clone(f.missing) {
		err := f.system.access(dir, unix.W_OK)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, unix.EROFS):
			log.Error("a folder has come after the agent started, and the unit lets the agent write there only after a restart; the agent exits for that", "folder", dir)
			return ErrRestart
		}
		f.missing = slices.DeleteFunc(f.missing, func(d string) bool { return d == dir })
	}
	if len(f.missing) == 0 {
		f.Stop()
	}
	return nil
}

// kernel is the filesystem outside of tests.
type kernel struct{}

func (kernel) access(path string, mode uint32) error { return unix.Access(path, mode) }

func (kernel) age(path string) time.Duration {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Hour
	}
	return time.Since(time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)))
}
