package chmpx

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Verdict is what happens to a chmpx that gets a configuration.
type Verdict int

const (
	// Accept: chmpx loads it, starts on it, and survives a live reload of it.
	Accept Verdict = iota
	// Dangerous: chmpx starts on it, but breaks later or on a live reload.
	Dangerous
	// Reject: the load fails, and a running chmpx exits; or a fresh start fails.
	Reject
)

var verdicts = [...]string{Accept: "accept", Dangerous: "dangerous", Reject: "reject"}

func (v Verdict) String() string { return verdicts[v] }

// Finding is one remark on a configuration.
type Finding struct {
	// Line counts from 1; 0 means the whole file.
	Line int
	// Key is the configuration key it is about, or "".
	Key string
	// Verdict is what this finding alone makes of the file. Accept marks a note.
	Verdict Verdict
	// Cause: something in the text is not to chmpx what it looks like, and other findings may
	// follow from that: a byte order mark, from which a GROUP that is missing follows.
	Cause bool
	// Rule is one of the Rule constants.
	Rule string
	// Text says what is wrong, what chmpx does then, and what to do about it.
	Text string
}

// String is the finding as `check` prints it: "LINE: text", with "file" for a line if it is about
// the whole file.
func (f Finding) String() string {
	if f.Line == 0 {
		return "file: " + f.Text
	}
	return strconv.Itoa(f.Line) + ": " + f.Text
}

// InWords is the finding within a message: "line LINE: text", or the text alone if it is about the
// whole file.
func (f Finding) InWords() string {
	if f.Line == 0 {
		return f.Text
	}
	return "line " + f.String()
}

// Report is the judgement of one configuration.
type Report struct {
	// Verdict is the worst of all findings.
	Verdict Verdict
	// Findings are ordered: causes first, then by verdict, worst first, then by line.
	Findings []Finding
	// Config is nil if the load would fail.
	Config *Config
	// Self is the entry that chmpx takes for this host's when it starts, nil if it
	// finds none. It points into Config.
	Self *Node
}

// Has reports whether a finding of that rule was made.
func (r Report) Has(rule string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Rule == rule })
}

// Grave are the findings for which a file is not put in place, and their causes.
func (r Report) Grave() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Verdict == Accept && !f.Cause })
}

// Only reports whether there are grave findings, and each is of one of these rules.
func (r Report) Only(rules ...string) bool {
	grave := r.Grave()
	return len(grave) > 0 && !slices.ContainsFunc(grave, func(f Finding) bool { return !slices.Contains(rules, f.Rule) })
}

// Why is the first few of the grave findings in a line.
func (r Report) Why() string {
	const most = 3
	var texts []string
	grave := r.Grave()
	for i, f := range grave {
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more", len(grave)-most))
			break
		}
		texts = append(texts, f.InWords())
	}
	return strings.Join(texts, "; ")
}

// Weigh adds the verdict of program, which runs chmpx's own loader, on the same file, if the two
// disagree on whether it loads. refusal is why it does not load there; empty: it loads. A file that
// loads there may still be refused here for other reasons.
func (r *Report) Weigh(program, refusal string) {
	f := Finding{Rule: RuleSecondOpinion}
	switch {
	case refusal == "" && r.Config == nil:
		f.Text = program + " loads it, which this agent does not: this is worth a bug report"
		r.Findings = append(r.Findings, f)
		return
	case refusal == "" || r.Verdict == Reject:
		return
	case r.Verdict == Accept:
		f.Text = program + " refuses what this agent accepts: " + refusal
	default:
		f.Text = program + " does not load it: " + refusal
	}
	f.Verdict, r.Verdict = Reject, Reject
	at := 0
	for at < len(r.Findings) && r.Findings[at].Cause {
		at++
	}
	r.Findings = slices.Insert(r.Findings, at, f)
}

// maxFindings is how many findings of one rule and key are listed one by one;
// a file with thousands of bad nodes should not fill the journal.
const maxFindings = 8

// findings collects findings, and counts those of one kind.
type findings struct {
	list  []Finding
	count map[findingKind]int
	worst Verdict
	// lost are the keys that chmpx does not read, by the finding that says why.
	lost map[lostKey]int
}

// lostKey is a key that chmpx does not read, and the line of the finding that says why. Its value
// in findings.lost is the line of the node's section that it is lost for; 0: [GLOBAL], or the file.
type lostKey struct {
	key  string
	line int
}

type findingKind struct {
	rule, key string
	verdict   Verdict
}

func (f *findings) add(v Verdict, rule string, line int, key, format string, args ...any) {
	f.worst = max(f.worst, v)
	if f.count == nil {
		f.count = make(map[findingKind]int)
	}
	kind := findingKind{rule, key, v}
	f.count[kind]++
	if f.count[kind] > maxFindings {
		return
	}
	f.list = append(f.list, Finding{Line: line, Key: key, Verdict: v, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// sorted returns the findings, worst first, and mentions those left out.
func (f *findings) sorted() []Finding {
	last := make(map[findingKind]int, len(f.count))
	for i, x := range f.list {
		last[findingKind{x.Rule, x.Key, x.Verdict}] = i
	}
	for kind, n := range f.count {
		if n > maxFindings {
			f.list[last[kind]].Text += fmt.Sprintf(" (and %d more of this kind)", n-maxFindings)
		}
	}
	f.count = nil
	f.markCauses()
	// sort's functions are there once; slices' are there once for each type, which takes 7 KB.
	sort.SliceStable(f.list, func(i, j int) bool {
		a, b := f.list[i], f.list[j]
		switch {
		case a.Cause != b.Cause:
			return a.Cause
		case a.Verdict != b.Verdict && !a.Cause:
			return a.Verdict > b.Verdict
		}
		return a.Line < b.Line
	})
	return f.list
}

// markCauses marks what other findings follow from: damage to the text, and a line for which chmpx
// does not read a key that another finding is about.
func (f *findings) markCauses() {
	for i := range f.list {
		x := &f.list[i]
		switch {
		case x.Verdict == Accept:
			x.Cause = f.lostFor(x.Line)
		case x.Rule == RuleBytes || x.Rule == RuleCut || x.Rule == RuleDroppedLine:
			x.Cause = true
		}
	}
}

// lostFor tells whether a grave finding is about a key that is lost for what is said of a line.
func (f *findings) lostFor(line int) bool {
	return slices.ContainsFunc(f.list, func(g Finding) bool {
		in, lost := f.lost[lostKey{g.Key, line}]
		return lost && g.Verdict != Accept && (g.Line == 0 || g.Line == in || in == 0 && g.Rule == RuleRequiredKey)
	})
}

// quote makes text from the file safe in a message: shortened, escaped, quoted.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// clip is quote without the quotes.
func clip(s string) string {
	q := quote(s)
	end := strings.LastIndexByte(q, '"')
	return q[1:end] + q[end+1:]
}
