package cloudinit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// event is something of a boot that a timeline has.
type event struct {
	at   time.Time
	what string
}

// timeline is when a machine became a slave node, from the logs of those who
// did that. It begins with cloud-init.
func (n *node) timeline() (events []event) {
	n.tb.Helper()
	events = append(n.cloudInitEvents(), n.agentEvents()...)
	for unit, what := range map[string]string{agentUnit: "the agent is started", chmpxUnit: "chmpx is started"} {
		text := n.run(`systemctl show "$1" --property=ExecMainStartTimestamp --timestamp=us+utc --value`, unit)
		at, err := time.Parse("Mon 2006-01-02 15:04:05.999999 MST", text)
		if err != nil {
			n.tb.Fatal(err)
		}
		events = append(events, event{at, what})
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	return events
}

// cloudInitSigns are what cloud-init logs about its parts, whose names have "-"
// in them, or "_" in newer versions.
var cloudInitSigns = []struct{ text, what string }{
	{"finish: init-network/config-write-files", "files are written"},
	{"finish: modules-config/config-apt-configure", "apt knows the repository"},
	{"finish: modules-final/config-package-update-upgrade", "packages are installed"},
	{"start: modules-final/config-scripts-user", "the script begins"},
	{"finish: modules-final/config-scripts-user", "the script has ended"},
	{"finish: modules-final: SUCCESS", "cloud-init has finished"},
}

// cloudInitEvents are the beginning, and the ends of the parts of cloud-init
// that matter here.
func (n *node) cloudInitEvents() (events []event) {
	n.tb.Helper()
	for line := range strings.Lines(n.run("cat /var/log/cloud-init.log")) {
		stamp, text, ok := strings.Cut(line, " - ")
		at, err := time.Parse("2006-01-02 15:04:05,000", stamp)
		if !ok || err != nil {
			continue
		}
		if events == nil {
			events = append(events, event{at, "cloud-init begins"})
		}
		for _, sign := range cloudInitSigns {
			if strings.Contains(strings.ReplaceAll(text, "_", "-"), sign.text) {
				events = append(events, event{at, sign.what})
			}
		}
	}
	if events == nil {
		n.tb.Fatal("/var/log/cloud-init.log has no time in it")
	}
	return events
}

// agentEvents are what the agent says first.
func (n *node) agentEvents() (events []event) {
	n.tb.Helper()
	out := n.run("journalctl --quiet --boot --no-pager --output=json --unit=" + agentUnit)
	for sign, what := range map[string]string{
		"registered with K2HR3":        "K2HR3 has registered the host",
		"slave.ini replaced":           "the first file is in place",
		"chmpx runs the file in place": "chmpx is confirmed to run the file",
	} {
		for line := range strings.Lines(out) {
			var m message
			if err := json.Unmarshal([]byte(line), &m); err != nil || !strings.Contains(m.Text, sign) {
				continue
			}
			events = append(events, event{m.time(n.tb), what})
			break
		}
	}
	return events
}

// show prints a timeline and returns how long it took from the first event to
// the one that is named.
func (n *node) show(events []event, last string) time.Duration {
	n.tb.Helper()
	var b strings.Builder
	took := time.Duration(-1)
	for _, e := range events {
		since := e.at.Sub(events[0].at)
		fmt.Fprintf(&b, "%8.2f s  %s\n", since.Seconds(), e.what)
		if e.what == last {
			took = since
		}
	}
	n.tb.Logf("the first boot:\n%s", b.String())
	if took < 0 {
		n.tb.Errorf("the timeline does not have %q", last)
	}
	return took
}
