package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
)

// lateEvery is how often folders are looked for that were not there when the
// agent started.
const lateEvery = 10 * time.Second

// young is how old a folder is at most that may have come after systemd has
// settled where the agent may write, and before the agent's first look. It is
// less than the unit's RestartSec, so that the next start has settled the matter.
const young = 4 * time.Second

// lateFolders are folders that were missing when systemd started the agent.
// The unit lets the agent write in some folders and nowhere else, and which of
// them are there is settled when it is started: one that comes later is there
// for reading only, so that chmpxstatus cannot open chmpx's memory in it.
type lateFolders struct {
	missing []string
	ticker  *time.Ticker                         // nil: there are none to look for
	access  func(path string, mode uint32) error // access(2)
	age     func(path string) time.Duration      // large if it is not known
}

// age is how long ago a folder was made.
func age(path string) time.Duration {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Hour
	}
	return time.Since(time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)))
}

// newLateFolders finds those that are missing now, or were a moment ago. access
// is access(2), age how long ago a folder was made.
func newLateFolders(o *options.Options, access func(path string, mode uint32) error, age func(path string) time.Duration) *lateFolders {
	l := &lateFolders{access: access, age: age}
	if !underSystemd() {
		return l
	}
	for _, dir := range []string{o.AntpickaxDir, daemon.MemoryDir, filepath.Dir(o.Output)} {
		if l.late(dir) && !slices.Contains(l.missing, dir) {
			l.missing = append(l.missing, dir)
		}
	}
	if len(l.missing) > 0 {
		l.ticker = time.NewTicker(lateEvery)
	}
	return l
}

func (l *lateFolders) late(dir string) bool {
	if errors.Is(l.access(dir, unix.F_OK), fs.ErrNotExist) {
		return true
	}
	return errors.Is(l.access(dir, unix.W_OK), unix.EROFS) && l.age(dir).Abs() < young
}

// look returns a channel that has something when check is to be called.
func (l *lateFolders) look() <-chan time.Time {
	if l.ticker == nil {
		return nil
	}
	return l.ticker.C
}

func (l *lateFolders) stop() {
	if l.ticker != nil {
		l.ticker.Stop()
		l.ticker = nil
	}
}

// check returns an error, which it has logged, if the agent has to be started
// anew because of a folder that has come. One that can be written in, or is
// kept from it by something that another start would not change, is not looked
// for any more.
func (l *lateFolders) check(log *slog.Logger) error {
	for _, dir := range slices.Clone(l.missing) {
		err := l.access(dir, unix.W_OK)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, unix.EROFS):
			log.Error("a folder has come since the agent was started, and its unit lets it write there only from the next start on; the agent ends to be started anew", "folder", dir)
			return errSaid
		}
		l.missing = slices.DeleteFunc(l.missing, func(d string) bool { return d == dir })
	}
	if len(l.missing) == 0 {
		l.stop()
	}
	return nil
}

// explainRights adds to an error for want of a right how the unit's limits are
// widened, where there is a unit.
func explainRights(err error) error {
	if err == nil || !underSystemd() || !lacksRight(err) {
		return err
	}
	return fmt.Errorf("%w; the unit lets the agent write only in its usual folders, give files to no other owner and reach no other user's memory; "+
		"what the configuration (owner, group, output, state-dir, …) needs beyond that is granted by `systemctl daemon-reload && systemctl restart %s`", err, options.Program)
}

// lacksRight: EINVAL is what chown says of an owner that the unit's user
// namespace does not have.
func lacksRight(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EINVAL)
}
