package watcher

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/watcher/schedule"
)

// refusals are texts that must not be put in place.
var refusals = []struct {
	name string
	text func(good string) string
	says string
}{
	{"one that does not load", func(s string) string { return strings.Replace(s, "= SLAVE", "= SLAVES", 1) }, "reject"},
	{"one without this host", func(s string) string { return strings.ReplaceAll(s, ownAddr, "10.20.0.99") }, "reject"},
	{"one that overruns chmpx's tables", func(s string) string {
		return strings.Replace(s, "MAXCHMPX            = 256", "MAXCHMPX = 1", 1)
	}, "dangerous"},
	{"one with another deployment's placeholders", func(s string) string {
		return strings.ReplaceAll(s, "__SELF_INSTANCE_ID__", "%%SELF_CONTAINER_CUK%%")
	}, `SELFCUK is still the placeholder "%%SELF_CONTAINER_CUK%%"`},
	{"one with another deployment's date alone, which chmpx would take", func(s string) string {
		return strings.Replace(s, "Mon, 03 Feb 2025 09:00:00  0000", "%%FILE_DOWNLOAD_DATE%%", 1)
	}, `DATE of [GLOBAL] is still the placeholder "%%FILE_DOWNLOAD_DATE%%"`},
	{"one whose other node was registered with a placeholder", func(s string) string {
		return s + "\n[SLVNODE]\nNAME = 10.20.0.77\nCTLPORT = 8031\nCUK = %%SELF_CONTAINER_CUK%%\nCUSTOM_ID_SEED = slv-77\n"
	}, `CUK of the [SLVNODE] "10.20.0.77" has the placeholder "%%SELF_CONTAINER_CUK%%"`},
	{"one with a placeholder in a section that chmpx skips", func(s string) string {
		return s + "\n[K2HDKC]\nLOGDIR = __LOG_DIR__\n"
	}, "set flavour = openstack"},
	{"an empty one", func(string) string { return "" }, "reject"},
	{"half of one", func(s string) string { return s[:len(s)/2] }, ""},
	{"a web page", func(string) string { return "<html><body>sorry</body></html>" }, "reject"},
	{"one without servers", func(s string) string { return without(s, "SVRNODE") }, ""},
}

func TestARefusedTextLeavesTheFileAndALaterGoodOneIsApplied(t *testing.T) {
	for _, tt := range refusals {
		for _, hold := range []time.Duration{0, time.Minute} {
			onHost(t, tt.name+" hold "+hold.String(), func(t *testing.T, h *host) {
				h.blind = true
				h.api.Hold(hold)
				h.applied()
				unchanged := h.untouched()
				etag := h.savedState().ETag
				good := h.cluster.Text()
				h.cluster.SetText(tt.text(good))
				h.pass(70 * time.Second)
				h.forget()
				h.pass(20 * time.Minute)
				unchanged()
				for _, r := range h.reads() {
					if r.IfNoneMatch != etag {
						t.Errorf("If-None-Match %q is not the ETag of what was applied, %q", r.IfNoneMatch, etag)
					}
				}
				if slices.Contains(gaps(h.reads()), settle) {
					t.Error("a text that was refused before is waited for to settle")
				}
				if n := len(h.reads()); n < 20 || n > 100 {
					t.Errorf("%d reads in 20 minutes", n)
				}
				if n := h.log.count("RESOURCE not applied; slave.ini unchanged", tt.says); n < 2 || n > 5 {
					t.Errorf("the refusal was logged %d times", n)
				}
				for _, words := range []string{"line 0", "register this host again"} {
					h.log.want(t, 0, words)
				}

				h.cluster.SetText(good) // with the ETag of what is in place
				h.pass(2 * time.Minute)
				unchanged()
				h.log.want(t, 1, "usable again")
				h.cluster.ClearText()
				h.join(2)
				h.pass(70 * time.Second)
				h.wantListed(2, "a later good text is not applied")
			})
		}
	}
}

func TestARefusedTextIsNoFirstFile(t *testing.T) {
	for _, tt := range refusals {
		onHost(t, tt.name, func(t *testing.T, h *host) {
			h.cluster.SetText(tt.text(h.textWithSelf()))
			h.start()
			h.pass(time.Minute)
			if h.file() != "" || len(h.texts()) != 0 {
				t.Fatal("it was staged")
			}
			h.log.want(t, 1, "RESOURCE not applied; there is no slave.ini yet")
			h.log.want(t, 0, "unchanged")
			h.cluster.ClearText()
			h.pass(schedule.Hurry + schedule.LeastPause)
			h.wantListed(1, "the good one that follows is not applied")
		})
	}
}

// A check-command may be a script that writes to what it is to look at.
func TestAFileThatTheSecondOpinionAltersDoesNotGoLive(t *testing.T) {
	for _, parked := range []bool{false, true} {
		onHost(t, fmt.Sprintf("parked=%v", parked), func(t *testing.T, h *host) {
			h.applied()
			before := h.file()
			alter := func(context.Context) error {
				path := filepath.Join(h.dir, ".slave.next.ini")
				if parked {
					path = h.config.File.ParkedPath()
				}
				return os.WriteFile(path, nil, 0o644)
			}
			h.object(alter)
			text := h.cluster.Text()
			if parked {
				text = dangers["GROUP"](text)
			} else {
				text = set("REPLICA", "0")(text)
			}
			h.cluster.SetText(text)
			h.askNow()
			h.pass(5 * time.Second)
			if h.file() != before {
				t.Errorf("the file is\n%s", h.file())
			}
			h.log.want(t, 1, "WARN", "cannot replace slave.ini", "is not as the agent wrote it")
			if s := h.line(); !strings.HasPrefix(s, "cannot replace slave.ini since ") {
				t.Errorf("the status line is %q", s)
			}
			h.object(nil)
			h.pass(10 * time.Minute)
			if parked {
				h.restartsInto(text, time.Second)
			} else {
				h.runsThe(text)
			}
			h.noTemporary()
		})
	}
}

// What waits is looked at once more before it takes its place.
func TestAParkedFileThatSomebodyHasAlteredDoesNotGoLive(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		text := h.waits()
		noError(t, os.WriteFile(h.config.File.ParkedPath(), nil, 0o644))
		h.restart(time.Second)
		if h.file() == "" {
			t.Error("the file is empty")
		}
		h.pass(time.Minute)
		h.log.want(t, 1, "ERROR", "cannot replace slave.ini while chmpx is down", "is not as the agent wrote it")
		h.restartsInto(text, time.Second)
	})
}
