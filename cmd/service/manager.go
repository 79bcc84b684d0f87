package service

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the service manager that may have started the agent, as the agent speaks to it
// (sd_notify(3)). Without one it is silent. No call waits for the service manager: it may hang.
type Manager struct {
	out  Outbox[string]     // messages that it has yet to take
	send func(state string) // hands over one message

	mu      sync.Mutex
	status  string
	warning string
	sent    string // the text that was sent last
}

// NewManager returns the manager of this process.
func NewManager() *Manager {
	m := &Manager{}
	m.out.Send = func(state string) { daemon.SdNotify(false, state) }
	m.send = m.put
	return m
}

// put queues a message. It takes the place of an earlier one of its kind that the service manager
// has not taken yet, so there are never more than there are kinds, and the latest counts.
func (m *Manager) put(state string) {
	kind, _, _ := strings.Cut(state, "=")
	m.out.Update(func(waiting []string) []string {
		waiting = slices.DeleteFunc(waiting, func(s string) bool {
			return strings.HasPrefix(s, kind+"=")
		})
		return append(waiting, state)
	})
}

// Flush waits until the service manager has taken all messages, or ctx ends.
func (m *Manager) Flush(ctx context.Context) { m.out.Flush(ctx) }

// Supervised reports whether systemd has started the agent as a service, so that the unit decides
// what the agent may do.
func Supervised() bool {
	return os.Getenv("NOTIFY_SOCKET") != "" || os.Getenv("INVOCATION_ID") != ""
}

// Notified reports whether a service manager waits for this process to say how it is. It does not
// for a process that a person started.
func Notified() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// AliveEvery is how often to call Alive: three times in the time after which systemd would restart
// the agent. 0: never.
func AliveEvery() time.Duration {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return limit / 3
}

// Ready says that the agent does its work, or does it again after Reloading.
func (m *Manager) Ready() { m.send(daemon.SdNotifyReady) }

// Stopping says that the agent is about to exit.
func (m *Manager) Stopping() { m.send(daemon.SdNotifyStopping) }

// Alive is the agent's sign of life.
func (m *Manager) Alive() { m.send(daemon.SdNotifyWatchdog) }

// Reloading begins a reload, which Ready ends. systemd 253 and later wants to know when it began,
// for units of Type=notify-reload; others ignore that.
func (m *Manager) Reloading() {
	m.send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Status says how the agent is, on one line.
func (m *Manager) Status(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = text
	m.update()
}

// Warning adds a warning to each status, until there is another one; empty: none.
func (m *Manager) Warning(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warning = text
	m.update()
}

// update sends the text if it is another than before. The caller holds mu.
func (m *Manager) update() {
	text := m.status
	if m.warning != "" {
		text += "; " + m.warning
	}
	if text = oneLine(text); text != m.sent && text != "" {
		m.sent = text
		m.send("STATUS=" + text)
	}
}

// oneLine removes line ends: what follows one would be a message of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
