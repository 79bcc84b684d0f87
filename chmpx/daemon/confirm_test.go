package daemon

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Unix(1770000100, 0)

// look is one scripted answer of chmpxstatus.
type look struct {
	st  Status
	err error
}

func TestConfirmation(t *testing.T) {
	const limit = 4 * time.Second
	running := func(pid, revision int) look {
		return look{st: Status{PID: pid, Started: epoch, Revision: revision}}
	}
	absent := look{err: fmt.Errorf("probe: %w", ErrNotRunning)}
	hangs := look{err: ErrTimeout}
	before := &Status{PID: 10, Started: epoch, Revision: 6}
	tests := []struct {
		name   string
		before *Status
		looks  []look // the last one repeats
		want   Outcome
		at     time.Duration // after the rename
	}{
		{"at the first look", before, []look{running(10, 7)}, Confirmed, 60 * time.Millisecond},
		{"at the third look", before, []look{running(10, 6), running(10, 6), running(10, 7)}, Confirmed, 420 * time.Millisecond},
		{"a busy chmpx takes its time", before, []look{running(10, 6), hangs, hangs, running(10, 7)}, Confirmed, 900 * time.Millisecond},
		{"restarted on the new revision", before, []look{absent, running(11, 7)}, Confirmed, 180 * time.Millisecond},
		{"restarted on an older one", before, []look{running(11, 6), running(11, 6), running(11, 7)}, Confirmed, 420 * time.Millisecond},
		{"gone", before, []look{absent}, Gone, 180 * time.Millisecond},
		{"gone after some looks", before, []look{running(10, 6), running(10, 6), absent}, Gone, 900 * time.Millisecond},
		{"one look in a restart is not gone", before, []look{absent, running(10, 6), absent, running(10, 7)}, Confirmed, 900 * time.Millisecond},
		{"a failed look between does not make it less gone", before, []look{absent, hangs, absent}, Gone, 420 * time.Millisecond},
		{"did not run, comes up", nil, []look{absent, absent, absent, running(11, 7)}, Confirmed, 900 * time.Millisecond},
		{"did not run, comes up and dies", nil, []look{absent, running(11, 6), absent}, Gone, 900 * time.Millisecond},
		{"did not run and does not come up", nil, []look{absent}, Gone, limit},
		{"late", before, []look{running(10, 6)}, Late, limit},
		{"late on a newer revision than ours", before, []look{running(10, 9)}, Late, limit},
		{"cannot be looked at, but was late before", before, []look{running(10, 6), hangs}, Unknown, limit},
		{"not installed", before, []look{{err: fmt.Errorf("x: %w", ErrNotInstalled)}}, Unknown, 60 * time.Millisecond},
		{"cannot be run", before, []look{{err: fmt.Errorf("x: %w", ErrCannotRun)}}, Unknown, 60 * time.Millisecond},
		{"no access", before, []look{{err: fmt.Errorf("x: %w", ErrNoAccess)}}, Unknown, 60 * time.Millisecond},
		{"a foreign format", before, []look{{err: ErrFormat}}, Unknown, limit},
		{"any other failure", before, []look{{err: errors.New("fork: no memory")}}, Unknown, limit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConfirmation(7, tt.before, epoch, limit)
			outcome, at := drive(c, tt.looks)
			if outcome != tt.want || at != tt.at {
				t.Errorf("%v after %v, want %v after %v", outcome, at, tt.want, tt.at)
			}
		})
	}
}

// drive looks when it is told to, in virtual time, until the outcome is final.
func drive(c *Confirmation, looks []look) (Outcome, time.Duration) {
	at := FirstProbe
	for i := 0; i < 1000; i++ {
		l := looks[min(i, len(looks)-1)]
		outcome, next := c.Probed(epoch.Add(at), l.st, l.err)
		if outcome != Pending {
			return outcome, at
		}
		at += next
	}
	return Pending, at
}

func TestConfirmationPausesGrowToASecondAndEndOnTheLimit(t *testing.T) {
	c := NewConfirmation(7, nil, epoch, 5*time.Second)
	at, outcome := FirstProbe, Pending
	var pauses []time.Duration
	for outcome == Pending {
		var next time.Duration
		outcome, next = c.Probed(epoch.Add(at), Status{Revision: 6}, nil)
		pauses = append(pauses, next)
		at += next
	}
	ms := time.Millisecond
	want := []time.Duration{120 * ms, 240 * ms, 480 * ms, 960 * ms, 1000 * ms, 1000 * ms, 1000 * ms, 140 * ms, 0}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}
