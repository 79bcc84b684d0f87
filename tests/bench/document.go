package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// page is tests/BENCHMARKS.md but for what is measured.
//
//go:embed BENCHMARKS.md.tmpl
var page string

func newPage() *template.Template {
	return template.Must(template.New("BENCHMARKS.md").Parse(page))
}

// document writes tests/BENCHMARKS.md.
func document(m measured) (string, error) {
	var b strings.Builder
	err := newPage().Execute(&b, map[string]any{
		"Machine": m.machine, "Changes": m.changes, "Rest": m.rest, "Settles": text(settles.Seconds(), "s"),
		"RingTells": text(ringTells.Seconds(), "s"), "Fresh": text(m.fresh(), "s"), "Peers": versions(),
		"Ratios": m.ratioTable(), "Bounds": m.boundTable(), "Better": m.better(),
		"Change": m.changeTable(), "AtRest": m.restTable(), "Needs": m.needTable(),
	})
	return b.String(), err
}

func versions() string {
	var all []string
	for _, p := range peers {
		all = append(all, fmt.Sprintf("%s %s (`%s`)", p.name, p.version, p.module))
	}
	return strings.Join(all, ", ")
}

// others are the columns of what the agent is compared with.
var others = []string{"the timer, each minute", "the timer, as fresh", consulTemplate, confd}

func (m measured) ratioTable() string {
	t := newTable(append([]string{"the agent's by that of"}, others...)...)
	for _, n := range m.demands() {
		t.row(n.what, each4(n.others, func(other float64) string { return percent(n.agent / other) })...)
	}
	return t.String()
}

func (m measured) needTable() string {
	t := newTable(append([]string{"", "the agent"}, others...)...)
	for _, n := range m.demands() {
		t.row(n.what, append([]string{text(n.agent, n.unit)}, each4(n.others, func(v float64) string { return text(v, n.unit) })...)...)
	}
	return t.String()
}

func each4(values [4]float64, cell func(float64) string) (cells []string) {
	for _, v := range values {
		cells = append(cells, cell(v))
	}
	return cells
}

// better are the demands in which another is better, so that nobody has to look for them.
func (m measured) better() string {
	var b strings.Builder
	for _, n := range m.demands() {
		var less []string
		for i, other := range n.others {
			if n.agent > other {
				less = append(less, others[i]+" "+text(other, n.unit))
			}
		}
		if less != nil {
			fmt.Fprintf(&b, "- %s (the agent %s): %s\n", n.what, text(n.agent, n.unit), strings.Join(less, "; "))
		}
	}
	return b.String()
}

// boundTable is the bounds that the project has set itself.
func (m measured) boundTable() string {
	t := newTable("bound", "measured", "holds")
	for _, bound := range m.bounds() {
		holds := map[bool]string{true: "yes", false: "**no**"}[bound.ratio <= bound.most]
		if !known(bound.ratio) {
			holds = "not measured"
		}
		t.row(bound.what, percent(bound.ratio), holds)
	}
	return t.String()
}

// tools are the columns of the tables of each tool, by the name it has there.
var tools = []struct{ name, title string }{
	{agentRing, "agent"}, {agentHeld, "agent, held"}, {timer, "timer"}, {consulTemplate, consulTemplate}, {confd, confd},
}

func toolTable() *table {
	heads := []string{""}
	for _, t := range tools {
		heads = append(heads, t.title)
	}
	return newTable(heads...)
}

// each is a row with a cell for each tool.
func (t *table) each(what string, cell func(tool string) string) {
	var cells []string
	for _, tool := range tools {
		cells = append(cells, cell(tool.name))
	}
	t.row(what, cells...)
}

func (m measured) changeTable() string {
	t := toolTable()
	for _, r := range []struct{ what, metric string }{
		{"the ring or the service has it → answer", "answered"},
		{"answer → file", "file"},
		{"answer → chmpx runs it", "told"},
		{"answer → the tool knows that", "confirmed"},
		{"all, until chmpx runs it", "all"},
	} {
		t.each(r.what, func(tool string) string {
			p50, p99 := m.of("Change", tool, r.metric+"-p50-ms"), m.of("Change", tool, r.metric+"-p99-ms")
			if !known(p50) {
				return missing
			}
			return text(p50, "") + ", " + text(p99, "ms")
		})
	}
	t.each("requests for it", func(tool string) string { return text(m.of("Change", tool, "requests/op"), "") })
	t.each("changes that ended chmpx", func(tool string) string { return percent(m.of("Change", tool, "ended/op")) })
	return t.String()
}

func (m measured) restTable() string {
	t := toolTable()
	t.each("CPU a minute, children included", func(tool string) string { return text(m.cpu(tool), "ms") })
	t.each("of a core", func(tool string) string { return percent(m.cpu(tool) / 60_000) })
	t.each("wake-ups a minute", func(tool string) string { return text(m.wakes(tool), "") })
	for _, r := range []struct{ what, metric string }{
		{"resident", "rss-KiB"},
		{"of it anonymous", "anon-KiB"},
		{"resident, pages that others have too divided (PSS)", "pss-KiB"},
		{"resident at most", "peak-KiB"},
	} {
		t.each(r.what, func(tool string) string { return text(m.of("Rest", tool, r.metric), "KiB") })
	}
	return t.String()
}

// table is one of Markdown.
type table struct{ strings.Builder }

func newTable(heads ...string) *table {
	t := &table{}
	t.row(heads[0], heads[1:]...)
	t.WriteString(strings.Repeat("|---", len(heads)) + "|\n")
	return t
}

func (t *table) row(what string, cells ...string) {
	fmt.Fprintf(t, "| %s | %s |\n", what, strings.Join(cells, " | "))
}

// missing is a cell without a figure.
const missing = "–"

// percent is a ratio; many times as much is no percentage to a reader.
func percent(r float64) string {
	if r >= 10 {
		return text(r, "×")
	}
	return text(100*r, "%")
}

// text is a figure with three digits.
func text(v float64, unit string) string {
	if !known(v) {
		return missing
	}
	digits := 0
	for _, below := range []float64{100, 10, 1} {
		if v < below {
			digits++
		}
	}
	if v == float64(int(v)) {
		digits = 0
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, v, unit))
}
