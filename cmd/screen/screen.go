package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/cmd/status"
)

// Screen is what a document is shown on, and when.
type Screen struct {
	Now    time.Time // times are shown in its location, and ages as of it
	Width  int       // in columns; 0: no terminal, and no line is broken
	Colour bool
	// Redraws: the screen can be drawn over, and has Height lines.
	Redraws bool
	Height  int
}

// narrow is the width below which times lose their seconds and tables their margin.
const narrow = 80

// margin is where the text begins, right of what it is about.
const margin = 12

// Text is the whole screen: the verdict, what is wrong, and what the agent knows.
func (s Screen) Text(d status.Document) string { return strings.Join(s.lines(d), "\n") + "\n" }

// Redraw is Text for a screen that Redraws: drawn over what is there, and cut to its height.
func (s Screen) Redraw(d status.Document) string {
	lines := s.lines(d)
	if s.Height > 2 && len(lines) > s.Height-1 {
		left := len(lines) - (s.Height - 2)
		lines = append(lines[:s.Height-2], s.paint(dim, fmt.Sprintf("… and %s more", prose.Count(left, "line"))))
	}
	return home + strings.Join(lines, clearLine+"\n") + clearLine + "\n" + clearRest
}

// What a terminal does by itself: go to the first line, delete what is right of the cursor, delete
// what is below it.
const (
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

func (s Screen) lines(d status.Document) []string {
	p := page{Screen: s}
	p.verdict(d)
	p.conditions(d)
	p.blank()
	p.identity(d)
	p.k2hr3(d)
	p.file(d)
	p.chmpx(d)
	p.servers(d)
	p.changes(d)
	p.agent(d)
	var notes []line
	for _, n := range d.Notes {
		notes = append(notes, line{text: n})
	}
	p.section("Notes", notes...)
	return p.lines
}

// Brief is the verdict and the file, on one line.
func (s Screen) Brief(d status.Document) string {
	text, ink := s.summary(d)
	text = s.paint(ink, text)
	if d.File.Present {
		text += fmt.Sprintf("; revision %d with %s", d.File.Revision, prose.Count(d.File.Servers, "server"))
	}
	return text + "\n"
}

// summary is the verdict in words: "healthy since 3 d 4 h", "degraded: chmpx has not taken revision
// 18 (since 40 s)".
func (s Screen) summary(d status.Document) (string, ink) {
	color := green
	switch d.Health {
	case status.Degraded:
		color = yellow
	case status.Failed:
		color = red
	}
	health := string(d.Health)
	if health == "" {
		health = "unknown"
	}
	if c := cause(d.Conditions); c != nil {
		return health + ": " + prose.Plain(c.Message) + s.since(" (since %s)", c.Since), color
	}
	return health + s.since(" since %s", d.Since), color
}

// since is how long something has been so, in a phrase; empty if that is not known.
func (s Screen) since(phrase string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf(phrase, span(s.Now.Sub(t)))
}

// cause is the condition that the health comes from: of the worst that count, the first that no
// other one causes. nil: none counts.
func cause(list []status.Condition) *status.Condition {
	for _, severity := range []status.Severity{status.Error, status.Warning} {
		var first *status.Condition
		for i := range list {
			c := &list[i]
			if c.Status != status.Active || c.Severity != severity {
				continue
			}
			if !slices.ContainsFunc(c.DependsOn, func(code string) bool { return isActive(list, code) }) {
				return c
			}
			if first == nil {
				first = c
			}
		}
		if first != nil {
			return first
		}
	}
	return nil
}

func isActive(list []status.Condition, code string) bool {
	return slices.ContainsFunc(list, func(c status.Condition) bool { return c.Code == code && c.Status == status.Active })
}

// ink is how a piece of text is drawn.
type ink string

const (
	black  ink = ""
	bold   ink = "1"
	dim    ink = "2"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
)

func (s Screen) paint(i ink, text string) string {
	if !s.Colour || i == black || text == "" {
		return text
	}
	return "\x1b[" + string(i) + "m" + text + "\x1b[0m"
}

// line is a line of a section, which may become several.
type line struct {
	ink  ink
	head string // in front of the text; what the text has of further lines is below the text
	text string
}

// page collects a screen's lines.
type page struct {
	Screen
	lines []string
}

func (p *page) blank() { p.lines = append(p.lines, "") }

// room is the width right of the margin; 0: no limit.
func (p *page) room(left int) int {
	if p.Width == 0 {
		return 0
	}
	return max(p.Width-left, 20)
}

// section adds lines under a label at the left.
func (p *page) section(label string, lines ...line) {
	for _, l := range lines {
		head, text := prose.Plain(l.head), prose.Plain(l.text)
		indent := len([]rune(head))
		for _, part := range prose.Wrap(text, p.room(margin+indent)) {
			p.lines = append(p.lines, strings.TrimRight(p.paint(bold, label)+pad("", margin-len(label))+p.paint(l.ink, head+part), " "))
			label, head = "", strings.Repeat(" ", indent)
		}
	}
}

// at is a moment: with the date and seconds where there is room.
func (p *page) at(t time.Time) string {
	t = t.In(p.Now.Location())
	if p.Width > 0 && p.Width < narrow {
		return t.Format("01-02 15:04")
	}
	return t.Format(time.DateTime)
}

// ago is how long ago something was.
func (p *page) ago(t time.Time) string { return span(p.Now.Sub(t)) + " ago" }
