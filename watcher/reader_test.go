package watcher

import (
	"io/fs"
	"os"
	"testing"
	"time"

	"k2hdkc-slave-agent/render"
)

// asNobody has chmpx run as a user who is not the file's owner.
func (h *host) asNobody() {
	h.chmpx.set(func(c *fakeChmpx) {
		c.reader = &render.Reader{UID: 65534, Groups: []int{65534}, Elsewhere: true}
	})
}

func (h *host) chmod(path string, mode fs.FileMode) {
	h.t.Helper()
	noError(h.t, os.Chmod(path, mode))
}

// Only what chmpx surely could not read is held back, and no longer than that is so.
func TestAFileThatChmpxCouldNotReadIsHeldBack(t *testing.T) {
	for _, tt := range []struct {
		name     string
		bar, let func(h *host)
		at       time.Duration // let is noticed so late at most
		says     string
	}{
		{"the mode of the file", func(h *host) { h.chmod(h.config.File.Path, 0o600) },
			func(h *host) { h.edit(func(path string) error { return os.Chmod(path, 0o644) }) }, 5 * time.Second, "mode 0600, owner 0:0"},
		{"the mode of its folder", func(h *host) { h.chmod(h.dir, 0o700) },
			func(h *host) { h.chmod(h.dir, 0o755) }, calmPause + 5*time.Second, "cannot enter " + "/"},
		{"chmpx's user", func(h *host) { h.chmod(h.config.File.Path, 0o600) },
			func(h *host) {
				h.chmpx.set(func(c *fakeChmpx) { c.reader = &render.Reader{All: true} })
				h.chmpx.start(h.t)
			}, calmPause + 5*time.Second, "uid 65534"},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.config.Interval = time.Hour
			h.asNobody()
			h.applied()
			unchanged := identify(t, h.config.File.Path)
			tt.bar(h)
			h.join(2)
			h.askNow()
			h.pass(30 * time.Second)
			if identify(t, h.config.File.Path) != unchanged || h.lists(2) {
				t.Fatal("slave.ini was replaced")
			}
			h.wants(Failed, "file_unwritable")
			h.log.want(t, 1, "WARN", "cannot replace slave.ini", tt.says)
			h.forget()
			tt.let(h)
			h.pass(tt.at)
			h.wantListed(2, "chmpx could read it now")
			h.chmpx.setRing(1, 2)
			h.pass(time.Minute)
			h.wants(Healthy, "")
			if n := len(h.reads()); n > 2 {
				t.Errorf("K2HR3 was asked %d times", n)
			}
		})
	}
}

// What nobody can tell keeps nothing back.
func TestAFileThatChmpxMayBeAbleToReadIsReplaced(t *testing.T) {
	for name, reader := range map[string]*render.Reader{
		"no process to be seen": nil,
		"root":                  {All: true},
		"the owner":             {UID: os.Geteuid()},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			h.chmpx.set(func(c *fakeChmpx) { c.reader = reader })
			h.applied()
			h.chmod(h.config.File.Path, 0o600)
			h.change(2)
			h.pass(time.Minute)
			h.log.want(t, 0, "WARN")
		})
	}
}

// A text that waits for a restart of chmpx waits for its right to read the file first: the restart
// would end it.
func TestNoTextIsParkedThatChmpxCouldNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.RestartUnconfirmed = true
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled")}
		h.unit.restarted = func() error {
			h.chmpx.stop()
			time.Sleep(time.Second)
			return h.chmpx.begin()
		}
		h.asNobody()
		h.applied()
		h.chmod(h.config.File.Path, 0o600)
		text := dangers["GROUP"](h.cluster.Text())
		h.cluster.SetText(text)
		h.askNow()
		h.pass(time.Minute)
		h.wantJobs("")
		h.wants(Failed, "file_unwritable")
		h.log.want(t, 0, "restart")

		h.edit(func(path string) error { return os.Chmod(path, 0o644) })
		h.pass(10 * time.Second)
		h.wantJobs("restart")
		h.runsThe(text)
	})
}

// Where servers have refused a chmpx that cannot read the file, it is not restarted either.
func TestAHalfConnectedChmpxIsNotRestartedOnAFileThatItCannotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.Heal = HealIdle
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled"), restarted: h.chmpx.begin}
		h.join(3)
		h.chmpx.setRing(1, 3)
		h.asNobody()
		h.applied()
		h.refuse(3)
		h.chmpx.start(t)
		h.chmod(h.config.File.Path, 0o600)
		h.pass(5 * time.Minute)
		h.wantJobs("")
		if h.log.count("chmpx is half connected", "mode 0600") == 0 {
			t.Error("the log does not say why it is not restarted")
		}
		h.refuse()
		h.chmod(h.config.File.Path, 0o644)
		h.pass(90 * time.Second)
		if h.connected() != 2 {
			t.Error("chmpx is not healed")
		}
	})
}

// A chmpx that cannot read the file in place is not restarted into it, but as soon as it can.
func TestAChmpxIsNotRestartedOnAFileThatItCannotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.config.RestartUnconfirmed = true
		h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled")}
		h.unit.restarted = h.chmpx.begin
		h.applied()
		h.chmpx.set(func(c *fakeChmpx) { c.deaf = true })
		h.change(2)
		h.asNobody()
		h.chmod(h.config.File.Path, 0o600)
		h.pass(2*h.config.Confirm + leastRestart)
		h.wantRevision(2)
		h.wantJobs("")
		h.log.want(t, 1, "ERROR", "chmpx does not load slave.ini: it cannot read it", "mode 0600")
		h.log.want(t, 0, "restart chmpx")

		h.edit(func(path string) error { return os.Chmod(path, 0o644) })
		h.pass(2*h.config.Confirm + 2*time.Second)
		h.wantJobs("restart")
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=3")
	})
}
