package screen

import (
	"fmt"
	"strings"

	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/cmd/status"
)

func (p *page) verdict(d status.Document) {
	text, ink := p.summary(d)
	for _, part := range prose.Wrap(text, p.Width) {
		p.lines = append(p.lines, p.paint(ink, part))
	}
}

// conditions are those that there are, and the one that was.
func (p *page) conditions(d status.Document) {
	var lines []line
	add := func(how string, i ink, text, about string) {
		head := pad(how, 9)
		lines = append(lines, line{ink: i, head: head, text: text}, line{ink: dim, head: strings.Repeat(" ", len(head)), text: about})
	}
	if len(d.Conditions) > 0 || d.Previous != nil {
		p.blank()
	}
	for _, c := range d.Conditions {
		about := c.Code
		if !c.Since.IsZero() {
			about += ", since " + p.at(c.Since) + p.since(" (%s)", c.Since)
		}
		if len(c.DependsOn) > 0 {
			about += ", because of " + strings.Join(c.DependsOn, ", ")
		}
		if c.Status == status.Pending {
			add("pending", dim, c.Message, about+"; counts if it lasts")
			continue
		}
		i := black
		switch c.Severity {
		case status.Error:
			i = red
		case status.Warning:
			i = yellow
		}
		add(string(c.Severity), i, c.Message, about)
	}
	if c := d.Previous; c != nil {
		about := c.Code
		if !c.Since.IsZero() && !c.Until.IsZero() {
			about += ", " + p.at(c.Since) + " to " + p.at(c.Until) + " (" + span(c.Until.Sub(c.Since)) + ")"
		}
		add("before", dim, c.Message, about)
	}
	p.section("Conditions", lines...)
}

// longCUK is how long a CUK may be to be shown: that of a VM has 36 characters.
const longCUK = 64

func (p *page) identity(d status.Document) {
	known := func(s string) string {
		if s == "" {
			return "not known"
		}
		return s
	}
	p.section("Role", line{text: known(d.Identity.Role)})
	p.section("Resource", line{text: known(d.Identity.Resource)})
	cuk := known(d.Identity.CUK)
	if len(cuk) > longCUK { // a pod's, whose tag says more; --json has the whole
		cuk = cuk[:16] + "…"
	}
	host := "CUK " + cuk
	if d.Identity.Tag != "" {
		host += ", tag " + d.Identity.Tag
	}
	if d.Identity.Flavour != "" {
		host += ", flavour " + d.Identity.Flavour
	}
	p.section("Host", line{text: host})
	p.section("Member", p.membership(d.Membership))
}

func (p *page) membership(m status.Membership) line {
	checked := ""
	if !m.CheckedAt.IsZero() {
		checked = "; checked " + p.ago(m.CheckedAt)
	}
	why := ""
	if m.Message != "" {
		why = ": " + m.Message
	}
	switch m.State {
	case "member":
		return line{text: "yes" + p.since(", since %s", m.Since) + checked + why}
	case "unconfirmed":
		return line{ink: yellow, text: "not confirmed" + p.since(" since %s", m.Since) + checked + why}
	}
	return line{text: "not known yet" + why}
}

func (p *page) k2hr3(d status.Document) {
	k := d.K2HR3
	lines := []line{{text: "address not known"}}
	if k.API != "" {
		lines[0].text = k.API
	}
	answered := "has given no RESOURCE yet"
	if !k.LastOK.IsZero() {
		answered = "answered " + p.ago(k.LastOK)
	}
	if k.API == "" && k.LastOK.IsZero() {
		p.section("K2HR3", lines...)
		return
	}
	// What a daemon was about to do means nothing once it is gone.
	if live(d) {
		if next := p.next(k); next != "" {
			answered += "; " + next
		}
	}
	lines = append(lines, line{text: answered})
	if k.LastError != "" {
		failed := line{text: "failed: " + k.LastError, ink: dim}
		if !k.LastErrorAt.IsZero() {
			failed.text = "failed " + p.ago(k.LastErrorAt) + ": " + k.LastError
		}
		if !k.LastErrorAt.Before(k.LastOK) {
			failed.ink = yellow
		}
		lines = append(lines, failed)
	}
	p.section("K2HR3", lines...)
}

// next is when K2HR3 is asked, and why then.
func (p *page) next(k status.K2HR3) string {
	why := ""
	if k.NextWhy != "" {
		why = ": " + k.NextWhy
	}
	switch {
	case !k.AskingSince.IsZero() && k.Holds:
		return "holds the next request until something changes" + p.since(" (%s so far)", k.AskingSince)
	case !k.AskingSince.IsZero():
		return "asked" + p.since(" since %s", k.AskingSince) + why
	case k.NextAt.IsZero():
		return ""
	case k.NextAt.After(p.Now):
		return "polled, next in " + span(k.NextAt.Sub(p.Now)) + why
	}
	return "polled, next now" + why
}

// live tells whether a daemon is there that does what the document says.
func live(d status.Document) bool {
	return d.Agent.State == status.Running || d.Agent.State == status.NotConfigured
}

func (p *page) file(d status.Document) {
	f := d.File
	path := f.Path
	if path == "" {
		path = "slave.ini"
	}
	if f.Unknown {
		p.section("File", line{text: path}, line{ink: yellow, text: "cannot be seen"})
		return
	}
	if !f.Present {
		p.section("File", line{text: path}, line{ink: red, text: "there is no good one yet"})
		return
	}
	text := fmt.Sprintf("revision %d with %s", f.Revision, prose.Count(f.Servers, "server"))
	if f.Slaves > 0 {
		text += " and " + prose.Count(f.Slaves, "slave")
	}
	if !f.ReplacedAt.IsZero() {
		text += "; in place since " + p.at(f.ReplacedAt) + p.since(" (%s)", f.ReplacedAt)
	}
	p.section("File", line{text: path}, line{text: text})
}

func (p *page) chmpx(d status.Document) {
	c := d.Chmpx
	var first line
	switch {
	case !c.Seen:
		first = line{ink: dim, text: "not seen"}
	case !c.Running:
		first = line{ink: red, text: "does not run"}
	default:
		first = p.running(d)
	}
	lines := []line{first}
	if c.Unit != "" && c.UnitState != "" {
		lines = append(lines, line{text: c.Unit + ": " + c.UnitState})
	}
	p.section("chmpx", lines...)
}

func (p *page) running(d status.Document) line {
	c := d.Chmpx
	l := line{text: fmt.Sprintf("runs revision %d", c.Revision)}
	switch {
	case d.File.Present && c.Revision != d.File.Revision:
		l.ink = yellow
		l.text += fmt.Sprintf(", not %d", d.File.Revision)
	case !c.ConfirmedAt.IsZero():
		l.text += p.since(", confirmed %s ago", c.ConfirmedAt)
	}
	l.text += fmt.Sprintf("; pid %d", c.PID) + p.since(", up %s", c.StartedAt)
	switch c.Clients {
	case 0:
		l.text += "; no program has joined"
	case 1:
		l.text += "; 1 program has joined"
	default:
		l.text += fmt.Sprintf("; %d programs have joined", c.Clients)
	}
	return l
}

func (p *page) changes(d status.Document) {
	if len(d.Changes) == 0 {
		words := "none yet"
		if d.WrittenAt.IsZero() {
			words = "not known"
		}
		p.section("Changes", line{ink: dim, text: words})
		return
	}
	var lines []line
	for _, c := range d.Changes[:min(10, len(d.Changes))] {
		revision := fmt.Sprintf("revision %d", c.Revision)
		if p.Width > 0 && p.Width < narrow {
			revision = fmt.Sprint(c.Revision)
		}
		lines = append(lines, line{head: p.at(c.At) + "  " + revision + "  ", text: c.Words})
	}
	p.section("Changes", lines...)
}

func (p *page) agent(d status.Document) {
	a := d.Agent
	l := line{text: string(a.State)}
	switch a.State {
	case status.Running, status.NotConfigured:
		if a.State == status.NotConfigured {
			l = line{ink: yellow, text: "running, waits for a configuration"}
		}
		if a.PID != 0 {
			l.text += fmt.Sprintf(", pid %d", a.PID)
		}
		l.text += p.since(", up %s", a.StartedAt)
	case status.Hung, status.Stopped:
		l.ink = red
	case status.Unknown, "":
		l = line{ink: yellow, text: "cannot be seen"}
	}
	if d.Version != "" {
		l.text += ", version " + d.Version
	}
	if !live(d) {
		l.text += p.since("; its last sign of life is %s old", a.AliveAt)
	}
	lines := []line{l}
	if !live(d) && !d.WrittenAt.IsZero() {
		lines = append(lines, line{ink: dim, text: "what it saw and did is as of " + p.at(d.WrittenAt) + p.since(" (%s ago)", d.WrittenAt)})
	}
	p.section("Agent", append(lines, line{ink: dim, text: "shown at " + p.Now.Format("2006-01-02 15:04:05 MST")})...)
}
