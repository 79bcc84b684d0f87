package preparechmpx

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

const (
	uid, gid = 990, 991 // chmpx's
	app      = 1001     // a program that has joined
	one      = "orders.0123456789abcdef"
	two      = "orders.00000000000000ff"
	three    = "orders.0000000000000100"
)

const ini = "[GLOBAL]\nFILEVERSION = 1\nGROUP = orders\nMODE = SLAVE\nDELIVERMODE = HASH\nSELFCTLPORT = 8022\nMAXMQSERVER = 8\nMAXMQCLIENT = 128\n" +
	"[SVRNODE]\nNAME = 192.0.2.31\nPORT = 8020\nCTLPORT = 8021\n[SLVNODE]\nNAME = localhost\nCTLPORT = 8022\n"

// stage is a host where chmpx is about to start.
type stage struct {
	host
	t    *testing.T
	said bytes.Buffer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	if os.Geteuid() != 0 {
		need.Missing(t, errors.New("needs root, which prepares for others"))
	}
	dir := t.TempDir()
	s := &stage{t: t, host: host{
		file: filepath.Join(dir, "slave.ini"), memory: filepath.Join(dir, "antpickax"), queues: filepath.Join(dir, "mqueue"),
		proc: filepath.Join(dir, "proc"), msgMax: filepath.Join(dir, "msg_max"), uid: uid, gid: gid, closed: true,
	}}
	s.log = slog.New(slog.NewTextHandler(&s.said, nil))
	for _, d := range []string{s.memory, s.queues, s.proc} {
		fatal.If(s.t, os.Mkdir(d, 0o777))
	}
	s.put(s.file, ini, 0, 0o644)
	s.put(s.msgMax, "10\n", 0, 0o644)
	return s
}

func (s *stage) put(path, text string, owner int, mode fs.FileMode) {
	s.t.Helper()
	fatal.If(s.t, os.WriteFile(path, []byte(text), mode))
	fatal.If(s.t, os.Chmod(path, mode))
	fatal.If(s.t, os.Chown(path, owner, owner))
}

// state and queue lay what somebody's chmpx has, or has left.
func (s *stage) state(owner int) {
	s.put(filepath.Join(s.memory, "orders-8022.chmpx"), "", owner, 0o644)
	s.put(filepath.Join(s.memory, "orders-8022.k2h"), "", owner, 0o644)
}

func (s *stage) queue(name string, owner int) { s.put(filepath.Join(s.queues, name), "", owner, 0o666) }

// runs adds a process that has files open.
func (s *stage) runs(pid int, comm string, open ...string) {
	dir := filepath.Join(s.proc, fmt.Sprint(pid))
	fatal.If(s.t, os.MkdirAll(filepath.Join(dir, "fd"), 0o755))
	fatal.If(s.t, os.WriteFile(filepath.Join(dir, "comm"), []byte(comm+"\n"), 0o644))
	for i, path := range open {
		fatal.If(s.t, os.Symlink(path, filepath.Join(dir, "fd", fmt.Sprint(i))))
	}
}

// left are the files of chmpx's and its queues.
func (s *stage) left() (list []string) {
	for _, dir := range []string{s.memory, s.queues} {
		entries, err := os.ReadDir(dir)
		fatal.If(s.t, err)
		for _, e := range entries {
			list = append(list, e.Name())
		}
	}
	return list
}

func TestWhatIsInTheWayIsRemoved(t *testing.T) {
	state := []string{"orders-8022.chmpx", "orders-8022.k2h"}
	for _, c := range []struct {
		name string
		lay  func(s *stage)
		want []string
		says string
	}{
		{"nothing was left", func(*stage) {}, nil, ""},
		{"root's chmpx was killed", func(s *stage) { s.state(0); s.queue(one, 0); s.queue(two, 0) }, nil, "what a chmpx of another user had left is removed"},
		{"and a program of root's still has it open", func(s *stage) { s.state(0); s.queue(one, 0); s.runs(7, "app", filepath.Join(s.queues, one)) }, nil, "files=3"},
		{"and the host was rebooted", func(s *stage) { s.state(0) }, nil, "files=2"},
		{"its files were deleted", func(s *stage) { s.queue(one, 0) }, nil, "files=1"},
		{"its own chmpx was killed", func(s *stage) { s.state(uid); s.queue(one, uid) }, append(slices.Clone(state), one), ""},
		{"a program that has joined waits for the next chmpx", func(s *stage) { s.queue(one, app); s.runs(7, "app", filepath.Join(s.queues, one)) }, []string{one}, ""},
		{"it waits while root's chmpx is cleared", func(s *stage) {
			s.state(0)
			s.queue(one, app)
			s.queue(two, 0)
			s.runs(7, "app", filepath.Join(s.queues, one), filepath.Join(s.queues, two))
		}, []string{one}, "files=3"},
		{"another chmpx of the group runs on this host", func(s *stage) {
			s.state(0)
			s.queue(one, 0)
			s.queue(two, 0)
			s.runs(7, "chmpx", filepath.Join(s.queues, one))
		}, []string{one}, "files=3"},
		{"a program of root's has joined another chmpx of the group", func(s *stage) {
			s.state(0)
			s.queue(one, 0)
			s.queue(two, 0)
			s.queue(three, 0)
			s.runs(7, "chmpx", filepath.Join(s.queues, one))
			s.runs(8, "k2hdkc", filepath.Join(s.queues, one), filepath.Join(s.queues, two))
		}, []string{two, one}, "files=3"},
		{"other names", func(s *stage) {
			s.queue("orders2.0123456789abcdef", 0)
			s.queue("orders.1", 0)
			s.queue("orders.0123456789abcdeg", 0)
			s.put(filepath.Join(s.memory, "orders-8023.chmpx"), "", 0, 0o644)
		}, []string{"orders-8023.chmpx", "orders.0123456789abcdeg", "orders.1", "orders2.0123456789abcdef"}, ""},
		{"chmpx runs as root", func(s *stage) { s.uid = 0; s.state(uid); s.queue(one, uid) }, append(slices.Clone(state), one), ""},
		{"the file does not load", func(s *stage) { s.put(s.file, "[GLOBAL]\n", 0, 0o644); s.state(0) }, state, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			c.lay(s)
			if err := s.prepare(); err != nil {
				t.Error(err)
			}
			if got := s.left(); !slices.Equal(got, c.want) {
				t.Errorf("left is %q, want %q", got, c.want)
			}
			if said := s.said.String(); !strings.Contains(said, c.says) || c.says == "" && said != "" {
				t.Errorf("it says %q, want %q", said, c.says)
			}
		})
	}
}

func TestAChmpxThatRunsKeepsItsMemory(t *testing.T) {
	s := newStage(t)
	s.state(0)
	s.queue(one, 0)
	s.runs(7, "chmpx", filepath.Join(s.memory, "orders-8022.chmpx"))
	if err := s.prepare(); err == nil || !strings.Contains(err.Error(), "another chmpx, of uid 0, runs on ") {
		t.Errorf("error %v", err)
	}
	if got := s.left(); len(got) != 3 {
		t.Errorf("left is %q", got)
	}
}

func TestWhoMayGoIntoTheFolder(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   fs.FileMode // of the folder that is there; 0: there is none
		gid    int
		closed bool
		want   fs.FileMode
		group  int
	}{
		{"as chmpx's package makes it", 0o777, gid, true, fs.ModeSetgid | 0o770, gid},
		{"there is none", 0, gid, true, fs.ModeSetgid | 0o770, gid},
		{"chmpx lets everybody in", 0o777, gid, false, fs.ModeSetgid | 0o777, gid},
		{"a unit without a group", 0o755, -1, true, 0o755, 0},
		{"a unit without a group, and no folder", 0, -1, true, 0o777, 0},
	} {
		s := newStage(t)
		fatal.If(s.t, os.Remove(s.memory))
		if c.mode != 0 {
			fatal.If(s.t, os.Mkdir(s.memory, c.mode))
			fatal.If(s.t, os.Chmod(s.memory, c.mode))
		}
		for range 2 {
			if err := Folder(s.memory, c.gid, c.closed); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			info, err := os.Stat(s.memory)
			fatal.If(s.t, err)
			if got := int(info.Sys().(*syscall.Stat_t).Gid); info.Mode()&^fs.ModeDir != c.want || got != c.group {
				t.Errorf("%s: %v of group %d, want %v of %d", c.name, info.Mode(), got, c.want, c.group)
			}
		}
	}
}

func TestChmpxsUserCanReadItsFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  fs.FileMode
		owner int
		uid   int
		want  string // mode and group afterwards
	}{
		{"everybody may", 0o644, 0, uid, "644 0"},
		{"root alone may", 0o640, 0, uid, "640 991"},
		{"its owner alone may", 0o600, 0, uid, "640 991"},
		{"its own file", 0o600, uid, uid, "600 990"},
		{"root runs chmpx", 0o600, 0, 0, "600 0"},
	} {
		s := newStage(t)
		s.put(s.file, ini, c.owner, c.mode)
		s.uid = c.uid
		if err := s.prepare(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		info, err := os.Stat(s.file)
		fatal.If(s.t, err)
		if got := fmt.Sprintf("%o %d", info.Mode().Perm(), info.Sys().(*syscall.Stat_t).Gid); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestQueuesAreDeepEnough(t *testing.T) {
	for _, c := range []struct{ now, want string }{{"10\n", "136"}, {"135\n", "136"}, {"136\n", "136\n"}, {"1025\n", "1025\n"}} {
		s := newStage(t)
		s.put(s.msgMax, c.now, 0, 0o644)
		if err := s.prepare(); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(s.msgMax); err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(c.want) {
			t.Errorf("%q becomes %q, want %q (%v)", c.now, got, c.want, err)
		}
	}
	s := newStage(t)
	fatal.If(s.t, os.Remove(s.msgMax))
	fatal.If(s.t, os.Symlink("/proc/version", s.msgMax)) // which nobody may write
	if err := s.prepare(); err == nil {
		t.Error("no error though it cannot be raised")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"a", "b"}} {
		if got := Main(args); got != 2 {
			t.Errorf("%q: status %d", args, got)
		}
	}
}
