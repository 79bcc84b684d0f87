package member

import (
	"context"
	"errors"
	"time"

	"k2hdkc-slave-agent/watcher/k2hr3"
)

// staleAgain is how long a member is left alone that K2HR3 was asked to remove and did not.
const staleAgain = time.Minute

// staleEntry is a member at this host's address that K2HR3 was asked to remove.
type staleEntry struct {
	asked   time.Time
	removed bool // a member that comes back after that is no stale one
	told    bool // it was logged that this does not help, which comes up with each text of K2HR3's
}

// RemoveStale takes members of the role out that were pods of this pod's address and ended without
// leaving: K2HR3 removes none of them, and chmpx takes their entry and this pod's for one
// (docs/flavours.md 0.4). cuks are those of entries with this host's NAME, other than its own.
// known is what Keep returned. It does so only where it is certain that the address is this pod's
// alone: it is that of its CUK and not the node's, and K2HR3 knows the pod by it; and only with
// what is a CUK of a pod with that address. It reports whether K2HR3 has removed any.
func (m *Member) RemoveStale(ctx context.Context, known Identity, cuks []string) (removed bool) {
	own, ok := k2hr3.PodOf(m.CUK)
	if !ok || m.own(known) != known || own.IP != known.Address || own.IP == own.NodeIP {
		return false
	}
	for _, text := range cuks {
		cuk, err := k2hr3.ParseCUK(text)
		pod, ok := k2hr3.PodOf(cuk)
		before, asked := m.stale[text]
		switch {
		case err != nil, cuk == m.CUK, !ok, pod.IP != own.IP:
			continue
		case before.removed:
			if !before.told {
				m.stale[text] = staleEntry{asked: before.asked, removed: true, told: true}
				m.Log.Warn("another pod reaches K2HR3 from this one's address; chmpx takes the two for one node", "pod", pod.Name, "address", pod.IP, "cuk", text)
			}
			continue
		case asked && time.Since(before.asked) < staleAgain:
			continue
		}
		if m.stale == nil {
			m.stale = map[string]staleEntry{}
		}
		m.stale[text] = staleEntry{asked: time.Now(), told: before.told}
		switch err := m.unregister(ctx, m.Client, cuk); {
		case err == nil:
			removed = true
			m.stale[text] = staleEntry{asked: time.Now(), removed: true}
			m.Log.Info("a pod that ended without leaving is taken out of the role; this pod has its address now", "pod", pod.Name, "address", pod.IP, "cuk", text)
		case errors.Is(err, k2hr3.ErrNotMember), ctx.Err() != nil: // somebody else has removed it
		case !before.told:
			m.stale[text] = staleEntry{asked: time.Now(), told: true}
			m.Log.Warn("the agent cannot take out of the role a pod that ended without leaving; this pod has its address now", "pod", pod.Name, "address", pod.IP, "cuk", text, "error", err)
		}
	}
	return removed
}
