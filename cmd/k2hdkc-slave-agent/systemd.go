package main

import (
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
)

// manager is the service manager that may have started the agent, as the agent
// speaks to it (sd_notify(3)). Without one it is silent.
type manager struct {
	// send sends one message; it is replaced in tests.
	send func(state string)

	mu     sync.Mutex
	status string // how the service is
	remark string // what else the operator should know
	told   string // the text that was sent last
}

func newManager() *manager {
	return &manager{send: func(state string) { sddaemon.SdNotify(false, state) }}
}

// underSystemd reports whether systemd has started the agent as a service, so
// that what the agent may do is the unit's to say.
func underSystemd() bool {
	return os.Getenv("NOTIFY_SOCKET") != "" || os.Getenv("INVOCATION_ID") != ""
}

// isAwaited reports whether a service manager waits to be told how this process
// is, as it does of nothing that a person runs.
func isAwaited() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// aliveEvery is how often systemd is to be told that the agent is alive: three
// times in the time after which it would be restarted. 0: nobody asks.
func aliveEvery() time.Duration {
	limit, err := sddaemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return limit / 3
}

func (m *manager) ready()    { m.send(sddaemon.SdNotifyReady) }
func (m *manager) stopping() { m.send(sddaemon.SdNotifyStopping) }
func (m *manager) alive()    { m.send(sddaemon.SdNotifyWatchdog) }

// reloading begins a reload, which ready ends. systemd 253 and later wants to
// know when it began, for units of Type=notify-reload; others let that pass.
func (m *manager) reloading() {
	m.send(sddaemon.SdNotifyReloading + "\n" + sddaemon.SdNotifyMonotonicUsec())
}

// say tells how the service is, in one line.
func (m *manager) say(status string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
	m.sendStatus()
}

// note adds a remark to whatever is said, until there is another; empty: none.
func (m *manager) note(remark string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remark = remark
	m.sendStatus()
}

// sendStatus sends the text if it is another than before. The caller holds mu.
func (m *manager) sendStatus() {
	text := m.status
	if m.remark != "" {
		text += "; " + m.remark
	}
	if text = plain(text); text != m.told && text != "" {
		m.told = text
		m.send("STATUS=" + text)
	}
}

// plain makes a text one line: the next one would be a message of its own.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
