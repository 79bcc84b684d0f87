package host

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/chmpx"
)

// A name service that takes its time is waited for once, not with each file.
func TestTheNameServiceIsAskedBesideTheJudgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := Local{look: func(context.Context) (chmpx.Host, error) {
			asked++
			time.Sleep(5 * time.Second)
			return chmpx.Host{Name: "vm-7"}, nil
		}}
		takes := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			host, err := h.Facts(t.Context())
			if err != nil || host.Name != "vm-7" {
				t.Fatalf("%+v, %v", host, err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		}
		takes(5 * time.Second)
		takes(0)
		time.Sleep(factsLast + time.Second)
		takes(0)
		synctest.Wait()
		time.Sleep(6 * time.Second)
		takes(0)
		if asked != 2 {
			t.Errorf("asked %d times, want once at first and once when that was old", asked)
		}
	})
}
