package watcher

import (
	"testing"
	"time"
)

// A change of the configuration, which begins another watcher, may come right after a replacement.
func TestTheNextWatcherKeepsThePaceOfTheOneBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.pace = new(Pace)
		h.applied()
		h.join(2)
		h.send(AskNow)
		h.pass(100 * time.Millisecond)
		if !h.lists(2) {
			t.Fatal("the file is not replaced at once")
		}
		h.stop()
		h.join(3)
		h.config.Interval = 30 * time.Second
		h.start()
		h.pass(2 * time.Second)
		if !h.lists(3) {
			t.Fatal("the next watcher does not replace the file")
		}
		h.checkPace()
	})
}
