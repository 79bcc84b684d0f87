package metrics

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"k2hdkc-slave-agent/cmd/status"
)

// prefix is what the names of all metrics begin with.
const prefix = "k2hdkc_slave_"

// Family is one metric with all its label values.
type Family struct {
	Name string // without prefix
	Type string // counter, gauge or histogram
	Help string
}

// Families lists all metrics that there may be.
func Families() []Family {
	return []Family{
		{"build_info", "gauge", "The version of the agent."},
		{"info", "gauge", "Which role this host belongs to, and by which CUK."},
		{"healthy", "gauge", "1 if the agent is healthy, 0 if it is degraded or failed."},
		{"condition", "gauge", "1 if something is as the code says, for long enough to count; see docs/status.md."},
		{"member", "gauge", "1 if K2HR3 counts this host among the members of its role, else 0."},
		{"k2hr3_requests_total", "counter", "Requests to K2HR3 by what came of them, each try counted."},
		{"k2hr3_last_success_timestamp_seconds", "gauge", "When K2HR3 last answered with the RESOURCE, or that it has not changed."},
		{"k2hr3_request_seconds", "histogram", "How long K2HR3 took to answer, but for requests that it held."},
		{"applied_revision", "gauge", "The revision of slave.ini in place."},
		{"confirmed_revision", "gauge", "The revision that chmpx runs; none while it does not run or cannot be seen."},
		{"change_to_confirmed_seconds", "histogram", "From K2HR3's answer with a change until chmpx ran it."},
		{"servers", "gauge", "Server nodes of slave.ini or of chmpx's ring, by state in the ring."},
		{"refused_total", "counter", "Texts of K2HR3's that were not put in place, by verdict."},
		{"replacements_total", "counter", "Replacements of slave.ini."},
		{"chmpx_restarts_total", "counter", "Restarts of chmpx's unit by the agent."},
		{"log_dropped_total", "counter", "Log records that were dropped because nobody read the log."},
	}
}

// Text returns all metrics in Prometheus's text format, version 0.0.4.
func (m *Metrics) Text() []byte {
	var samples bytes.Buffer
	m.counts.WritePrometheus(&samples)
	return explained(samples.String())
}

// explained adds help and type to samples, in front of the first of each family. The samples of a
// family follow each other.
func explained(samples string) []byte {
	byName := map[string]Family{}
	for _, f := range Families() {
		byName[prefix+f.Name] = f
	}
	var text bytes.Buffer
	var current string
	for line := range strings.Lines(samples) {
		name := line[:max(0, strings.IndexAny(line, "{ "))]
		if _, ok := byName[name]; !ok { // a part of a histogram
			name = name[:max(0, strings.LastIndexByte(name, '_'))]
		}
		if f, ok := byName[name]; ok && name != current {
			current = name
			fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n", name, f.Help, name, f.Type)
		}
		text.WriteString(line)
	}
	return text.Bytes()
}

// labels returns labels as they are written, from names and values in turn.
func labels(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		b.WriteString(pairs[i] + `="`)
		b.WriteString(escapes.Replace(strings.ToValidUTF8(pairs[i+1], "?")) + `"`)
	}
	return b.String() + "}"
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writeStatus writes what is taken from elsewhere at the moment of writing.
func (m *Metrics) writeStatus(w io.Writer) {
	vm.WriteGaugeUint64(w, prefix+"build_info"+m.build, 1)
	vm.WriteCounterUint64(w, prefix+"log_dropped_total", uint64(m.dropped()))
	if d := m.latest.Load(); d != nil {
		writeDocument(w, d)
	}
}

func writeDocument(w io.Writer, d *status.Document) {
	gauge := func(name string, value uint64) { vm.WriteGaugeUint64(w, prefix+name, value) }
	gauge("healthy", number(d.Health == status.Healthy))
	for _, c := range conditions(d) {
		gauge("condition"+labels("code", c.code), number(c.active))
	}
	if d.Identity.Role != "" || d.Identity.CUK != "" {
		gauge("info"+labels("role", d.Identity.Role, "cuk", d.Identity.CUK), 1)
	}
	if d.Membership.State == "member" || d.Membership.State == "unconfirmed" {
		gauge("member", number(d.Membership.State == "member"))
	}
	if !d.K2HR3.LastOK.IsZero() {
		vm.WriteGaugeFloat64(w, prefix+"k2hr3_last_success_timestamp_seconds", seconds(d.K2HR3.LastOK))
	}
	if d.File.Present {
		gauge("applied_revision", uint64(max(d.File.Revision, 0)))
	}
	if d.Chmpx.Seen && d.Chmpx.Running {
		gauge("confirmed_revision", uint64(max(d.Chmpx.Revision, 0)))
	}
	counts := map[string]uint64{}
	for _, s := range d.Servers {
		counts[serverState(s.RingState)]++
	}
	for _, state := range serverStates() {
		gauge("servers"+labels("state", state), counts[state])
	}
}

func number(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// condition is one that is there, or was.
type condition struct {
	code   string
	active bool
}

// conditions lists the conditions of a document, each code once.
func conditions(d *status.Document) (list []condition) {
	at := map[string]int{}
	for _, c := range d.Conditions {
		i, ok := at[c.Code]
		if !ok {
			i = len(list)
			at[c.Code] = i
			list = append(list, condition{code: c.Code})
		}
		list[i].active = list[i].active || c.Status == status.Active
	}
	return list
}

// serverStates are what serverState may return.
func serverStates() []string {
	return []string{"up", "joining", "leaving", "out_of_ring", "no_program", "refused", "down", "unseen"}
}

// serverState puts chmpx's state of a server, in words, into a class. Those besides "up" need
// attention, "unseen" (chmpx does not have it, or cannot be looked at) perhaps.
func serverState(words string) string {
	has := func(s string) bool { return strings.Contains(words, s) }
	switch {
	case words == "":
		return "unseen"
	case has("joining"):
		return "joining"
	case has("leaving"):
		return "leaving"
	case has("out of the ring"):
		return "out_of_ring"
	case has("no program"):
		return "no_program"
	case has("refused"):
		return "refused"
	case words == "up":
		return "up"
	}
	return "down"
}
