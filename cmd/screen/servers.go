package screen

import (
	"fmt"
	"strings"

	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/cmd/status"
)

const (
	// allServers is how many servers are all shown. Of more, those that need attention are, up to
	// this number too.
	allServers = 20
	// stateWidth is the widest column of states in a narrow table.
	stateWidth = 20
)

// servers is a row for each server node: first those that need attention.
func (p *page) servers(d status.Document) {
	file, ring := 0, 0
	var rows, good []status.Server
	for _, s := range d.Servers {
		if s.InFile {
			file++
		}
		if s.InRing {
			ring++
		}
		if attention(d, s) {
			rows = append(rows, s)
		} else {
			good = append(good, s)
		}
	}
	bad := len(rows)
	head := line{text: fmt.Sprintf("%d in the file", file)}
	if known(d) {
		head.text += fmt.Sprintf(", %d in the ring", ring)
		switch {
		case bad > 0:
			head.ink = yellow
			head.text += fmt.Sprintf("; %d not as they should be", bad)
			if bad == 1 {
				head.text = strings.Replace(head.text, "not as they", "not as it", 1)
			}
		case len(good) > 0:
			head.text += ", all up"
		}
	}
	p.section("Servers", head)
	if len(d.Servers) == 0 {
		return
	}
	rest := ""
	if len(d.Servers) <= allServers {
		rows = append(rows, good...)
	} else {
		var more []string
		if bad > allServers {
			rows = rows[:allServers]
			more = append(more, fmt.Sprintf("%d more that are not as they should be", bad-allServers))
		}
		if len(good) > 0 {
			words := "%d more"
			if known(d) {
				words = "%d that are up, in the file and in the ring"
			}
			more = append(more, fmt.Sprintf(words, len(good)))
		}
		rest = "and " + strings.Join(more, " and ") + "; --json lists them all"
	}
	p.table(d, rows, bad)
	if rest != "" {
		p.section("", line{ink: dim, text: rest})
	}
}

// known tells whether the document says which servers chmpx has.
func known(d status.Document) bool { return d.Chmpx.Seen && d.Chmpx.Running }

// attention: a server is not as it should be.
func attention(d status.Document, s status.Server) bool {
	return known(d) && (!s.InFile || !s.InRing || s.RingState != "up" || s.Connections == 0)
}

// table draws rows, of which the first bad ones need attention.
func (p *page) table(d status.Document, rows []status.Server, bad int) {
	if len(rows) == 0 {
		return
	}
	cells := [][]string{{"NAME", "PORT", "STATE", "FILE", "RING"}}
	for _, s := range rows {
		cells = append(cells, []string{prose.Plain(s.Name), fmt.Sprint(s.CtlPort), state(d, s), yes(s.InFile), inRing(d, s)})
	}
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, c := range row {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	indent := margin
	if p.Width > 0 {
		if p.Width < narrow {
			indent, widths[2] = 2, min(widths[2], stateWidth)
		}
		taken := indent
		for _, w := range widths[1:] {
			taken += w + 2
		}
		widths[0] = min(widths[0], max(p.Width-taken, 8))
	}
	for i, row := range cells {
		var b strings.Builder
		for j, c := range row {
			b.WriteString(pad(c, widths[j]) + "  ")
		}
		i := i - 1
		color := black
		switch {
		case i < 0:
			color = dim
		case i < bad:
			color = yellow
		}
		p.lines = append(p.lines, strings.Repeat(" ", indent)+p.paint(color, strings.TrimRight(b.String(), " ")))
	}
}

// state is what chmpx makes of a server.
func state(d status.Document, s status.Server) string {
	switch {
	case !d.Chmpx.Seen:
		return "not seen"
	case !d.Chmpx.Running:
		return "–"
	case !s.InRing:
		return "chmpx does not have it"
	case s.RingState == "":
		return "not known"
	case s.Connections == 0 && s.RingState == "up":
		return "up, not connected"
	}
	return prose.Plain(s.RingState)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func inRing(d status.Document, s status.Server) string {
	switch {
	case !d.Chmpx.Seen:
		return "?"
	case !d.Chmpx.Running:
		return "–"
	}
	return yes(s.InRing)
}
