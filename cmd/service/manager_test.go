package service

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorded is a manager whose messages are kept.
func recorded() (m *Manager, sent *[]string) {
	sent = new([]string)
	return &Manager{send: func(state string) { *sent = append(*sent, state) }}, sent
}

func TestStatusIsSentWhenItChanges(t *testing.T) {
	m, sent := recorded()
	m.Warning("") // there is nothing to say yet
	m.Status("registering")
	m.Status("registering")
	m.Status("revision 1 with 2 servers")
	m.Warning("one thing more")
	m.Warning("one thing more")
	m.Status("revision 2 with 2 servers")
	m.Warning("")
	m.Status("two\nlines: \x1b[1m\xff")
	want := []string{
		"STATUS=registering",
		"STATUS=revision 1 with 2 servers",
		"STATUS=revision 1 with 2 servers; one thing more",
		"STATUS=revision 2 with 2 servers; one thing more",
		"STATUS=revision 2 with 2 servers",
		"STATUS=two lines:  [1m?",
	}
	if diff := cmp.Diff(want, *sent); diff != "" {
		t.Error(diff)
	}
}

// A systemd that hangs holds up nobody, and finds the latest of each kind when it goes on.
func TestAServiceManagerThatHangs(t *testing.T) {
	conn := socket(t)
	t.Setenv("NOTIFY_SOCKET", conn.LocalAddr().String())
	fill(t, conn)
	m := NewManager()
	const statuses = 1000
	for i := range statuses {
		m.Status(strconv.Itoa(i))
		m.Alive()
	}
	m.Reloading()
	m.Ready()
	m.Stopping()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if m.Flush(ctx); ctx.Err() == nil {
		t.Fatal("systemd has taken all of it")
	}
	var sent []string
	for len(sent) == 0 || sent[len(sent)-1] != "STOPPING=1" {
		sent = append(sent, strings.SplitN(string(receive(t, conn)), "\n", 2)[0])
	}
	want := []string{"STATUS=" + strconv.Itoa(statuses-1), "WATCHDOG=1", "RELOADING=1", "READY=1", "STOPPING=1"}
	if !slices.Equal(sent[len(sent)-len(want):], want) {
		t.Errorf("%d messages, at the end %q", len(sent), sent[max(0, len(sent)-8):])
	}
	m.Flush(t.Context())
}

func TestReloadingTellsWhenItBegan(t *testing.T) {
	m, sent := recorded()
	m.Reloading()
	m.Ready()
	if len(*sent) != 2 || (*sent)[1] != "READY=1" {
		t.Fatalf("sent %q", *sent)
	}
	match := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)\n?$`).FindStringSubmatch((*sent)[0])
	if match == nil {
		t.Fatalf("sent %q", (*sent)[0])
	}
	if usec, _ := strconv.ParseInt(match[1], 10, 64); usec <= 0 {
		t.Errorf("began at %d", usec)
	}
}

func TestHowOftenSystemdWantsSignsOfLife(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0},
		{"180000000", own, time.Minute},
		{"180000000", "", time.Minute},
		{"180000000", "1", 0}, // meant for another process
		{"soon", own, 0},
		{"0", own, 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := AliveEvery(); got != c.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: every %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}
