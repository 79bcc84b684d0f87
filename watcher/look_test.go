package watcher

import (
	"testing"
	"time"
)

// A chmpx that was stopped between the latest probe and a replacement was not ended by that.
func TestAChmpxThatEndedJustBeforeTheReplacementDidNotEndByIt(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied()
		h.chmpx.stop()
		h.join(2)
		h.send(AskNow)
		if !h.lists(2) {
			t.Fatal("server 2 is not in the file")
		}
		h.pass(time.Second)
		h.chmpx.start(t)
		h.pass(10 * time.Second)
		h.log.want(t, 0, "ERROR")
		if !h.lists(2) {
			t.Error("the file was restored to the one before")
		}
	})
}

// A chmpx that was restarted between the latest probe and a replacement has the tables of its new
// start, however large those of the one before were.
func TestAChmpxThatWasRestartedJustBeforeTheReplacementIsJudgedAsItIs(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		h.applied() // its tables have room for 256 nodes
		h.cluster.SetText(set("MAXCHMPX", "4")(h.cluster.Text()))
		h.askNow()
		h.pass(10 * time.Second)
		h.restart(0) // and now for 4
		text := dangers["MAXCHMPX"](h.cluster.Text())
		h.cluster.SetText(text)
		h.send(AskNow)
		h.log.want(t, 1, "WARN", "RESOURCE waits for a restart of chmpx")
		if h.revision() != 2 {
			t.Errorf("chmpx got revision %d", h.revision())
		}
		h.restart(time.Second)
		h.pass(10 * time.Second)
		h.runsThe(text)
	})
}
