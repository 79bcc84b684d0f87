package watcher

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/watcher/schedule"
)

func unitState(load, active, file string) daemon.UnitState {
	return daemon.UnitState{LoadState: load, ActiveState: active, UnitFileState: file}
}

func TestTheUnitIsStartedOnlyForTheFirstGoodFileAndIfItIsEnabledAndDown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state daemon.UnitState
		start bool // the option
		want  string
	}{
		{"enabled and down", unitState("loaded", "inactive", "enabled"), true, "start"},
		{"not wanted", unitState("loaded", "inactive", "enabled"), false, ""},
		{"disabled", unitState("loaded", "inactive", "disabled"), true, ""},
		{"masked", unitState("masked", "inactive", "masked"), true, ""},
		{"failed", unitState("loaded", "failed", "enabled"), true, ""},
		{"there is none", unitState("not-found", "inactive", ""), true, ""},
		{"active", unitState("loaded", "active", "enabled"), true, ""},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.config.Start = tt.start
			h.unit = &fakeUnit{state: tt.state, started: h.chmpx.begin}
			h.leave(1)
			h.start()
			h.pass(time.Minute)
			h.wantJobs("") // as long as there is no file
			h.join(1)
			h.pass(schedule.Hurry + time.Second)
			h.wantJobs(tt.want)
			if tt.want == "start" {
				h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=1")
			}
			h.chmpx.stop() // and it stays so
			h.change(2)
			h.edit(edits["deleted"])
			h.pass(time.Minute)
			h.wantJobs(tt.want) // and nothing for a second file
		})
	}
}

func TestWhatIsDoneToARunningUnitForANewFile(t *testing.T) {
	for _, tt := range []struct {
		name      string
		reload    Reload
		canReload bool
		want      string
	}{
		{"auto, no reload job", ReloadAuto, false, ""},
		{"auto, a reload job", ReloadAuto, true, "reload"},
		{"restart", ReloadRestart, true, "restart"},
		{"none", ReloadNone, true, ""},
	} {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.config.Reload = tt.reload
			h.applied()
			h.stop()
			h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled"), restarted: h.chmpx.begin}
			h.unit.state.CanReload = tt.canReload
			h.start()
			h.pass(time.Minute)
			h.wantJobs("") // nothing without a new file
			h.change(2)
			h.pass(time.Second)
			h.wantJobs(tt.want)
			h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=2")
		})
	}
}

func TestWithoutSystemdTheLogSaysSoOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.unit = &fakeUnit{fails: daemon.ErrNoSystemd}
		h.start()
		h.change(2)
		h.change(3)
		h.log.want(t, 1, "no systemd here")
		h.log.want(t, 0, "WARN")
	})
}

func TestAJobThatFailsIsToldAndTheFileStaysGood(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.unit = &fakeUnit{fails: daemon.ErrTimeout}
		h.applied()
		h.change(2)
		h.log.want(t, 1, "WARN", "chmpx's unit")
		h.pass(time.Second)
		h.log.want(t, 1, "chmpx runs the current slave.ini", "revision=2")
	})
}

// A unit whose reload hangs for as long as systemd lets it must not keep the
// next servers from the file.
func TestANewerTextSupersedesAJobThatHangs(t *testing.T) {
	for _, c := range []struct {
		job    string
		reload Reload
		hold   time.Duration
		texts  int
	}{
		{"reload", ReloadAuto, 0, 1}, {"reload", ReloadAuto, time.Minute, 1}, {"reload", ReloadAuto, 0, 3},
		{"restart", ReloadRestart, 0, 1}, {"restart", ReloadRestart, time.Minute, 2},
	} {
		onHost(t, fmt.Sprintf("%s, hold %v, %d texts", c.job, c.hold, c.texts), func(t *testing.T, h *host) {
			h.api.Hold(c.hold)
			h.config.Reload = c.reload
			h.unit = &fakeUnit{state: unitState("loaded", "active", "enabled"), restarted: h.chmpx.begin}
			h.unit.state.CanReload = true
			h.applied()
			h.unit.set(func(u *fakeUnit) { u.lasts = 90 * time.Second })
			h.change(2)
			h.pass(5 * time.Second)
			h.says("revision 2 with 2 servers, run by chmpx since ", "; waiting for systemd's job of chmpx's unit")
			for n := range c.texts {
				h.join(3 + n)
				h.send(AskNow)
				h.pass(3 * time.Second)
				h.wantListed(3+n, "the newer text waits for the job")
			}
			h.unit.set(func(u *fakeUnit) { u.lasts = 0 })
			h.pass(2 * time.Minute)
			h.log.want(t, 1, "chmpx runs the current slave.ini", "revision="+strconv.Itoa(2+c.texts))
		})
	}
}

func TestAChmpxThatAnEarlierAgentDidNotLiveToStartIsStarted(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.start() // without systemd: nobody starts chmpx
		h.stop()
		h.unit = &fakeUnit{state: unitState("loaded", "inactive", "enabled"), started: h.chmpx.begin}
		h.start()
		h.pass(3 * time.Second)
		if jobs := h.unit.jobs(); jobs != "start" {
			t.Fatalf("jobs: %q", jobs)
		}
		h.stop()
		h.chmpx.stop() // by the operator, so that the next agent leaves it alone
		h.start()
		h.pass(time.Minute)
		h.wantJobs("start")
	})
}
