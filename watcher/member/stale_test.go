package member

import (
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Each text of K2HR3's has the entry that cannot be removed, or that has come back.
func TestAStaleEntryThatStaysIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		before staleEntry
		says   string
	}{
		"it cannot be removed": {staleEntry{}, "the agent cannot take out of the role a pod that ended without leaving"},
		"it comes back":        {staleEntry{removed: true}, "another pod reaches K2HR3 from this one's address"},
	} {
		onHost(t, name, func(t *testing.T, h *host) {
			h.net.Close()
			own, err := k2hr3.ParseCUK(fakek2hr3.PodCUK("slave-0", addr, "10.20.0.1", "now"))
			noError(t, err)
			h.CUK = own
			known := Identity{Role: h.Role.String(), CUK: own.String(), Address: addr}
			stale := fakek2hr3.PodCUK("slave-0", addr, "10.20.0.1", "before")
			h.stale = map[string]staleEntry{stale: c.before}
			for range 5 {
				time.Sleep(2 * staleAgain)
				h.RemoveStale(t.Context(), known, []string{stale})
			}
			if n := strings.Count(h.log.String(), c.says); n != 1 {
				t.Errorf("said %d times:\n%s", n, h.log.String())
			}
		})
	}
}
