package main

import (
	"fmt"
	"strings"
	"time"
)

// plot is requests a second, over time.
type plot struct {
	file, title string
	to          time.Duration
	step        time.Duration
	top         float64
	lines       []line
	marks       []mark
}

type line struct {
	name, colour string
	values       []float64 // one for each step
}

// mark is a time at which something happens.
type mark struct {
	at   time.Duration
	name string
}

// plots are those of the README.
func plots() []plot {
	cold := plot{file: "cold-start.svg", title: "10,000 slaves start at once, one process: requests a second (a minute's mean)",
		to: 6 * time.Hour, step: 2 * time.Minute, top: 40}
	large := scenarioOf("steady, 10,000 slaves")
	for _, l := range []struct{ name, colour string }{{"crude rule", "#c60"}, {"agent", "#06c"}} {
		u := large.setup
		u.policy, u.seed = wayOf(l.name).make, seed
		f := newFleet(u)
		f.pass(cold.to)
		cold.add(f, l.name, l.colour, 0)
	}
	gone := plot{file: "outage.svg", title: "10,000 slaves, K2HR3 away for 10 minutes, one process: requests a second (10 seconds' mean)",
		to: 45 * time.Minute, step: 10 * time.Second, top: 40, marks: []mark{{10 * time.Minute, "K2HR3 goes"}, {20 * time.Minute, "it is back"}}}
	for _, l := range []struct{ name, colour string }{{"timer in phase", "#999"}, {"crude rule", "#c60"}, {"agent", "#06c"}} {
		f := large.settled(wayOf(l.name), false, seed)
		from := f.elapsed()
		f.pass(10 * time.Minute)
		f.leave()
		f.pass(outage)
		f.server.comeBack()
		f.pass(25 * time.Minute)
		gone.add(f, l.name, l.colour, from)
	}
	load := plot{file: "overload.svg", title: "10,000 slaves, K2HR3 at half speed for an hour, one process: requests a second (a minute's mean)",
		to: 2*time.Hour + 30*time.Minute, step: time.Minute, top: 40, marks: []mark{{30 * time.Minute, "half speed"}, {90 * time.Minute, "full speed"}}}
	for _, l := range []struct{ name, colour string }{{"crude rule", "#c60"}, {"agent", "#06c"}} {
		f := large.settled(wayOf(l.name), false, seed)
		from := f.elapsed()
		f.pass(30 * time.Minute)
		f.server.slowness = 2
		f.pass(time.Hour)
		f.server.slowness = 1
		f.pass(time.Hour)
		load.add(f, l.name, l.colour, from)
	}
	return []plot{cold, gone, load}
}

// add adds what a fleet asked from then on.
func (p *plot) add(f *fleet, name, colour string, from time.Duration) {
	l := line{name: name, colour: colour}
	for at := from; at < from+p.to; at += p.step {
		l.values = append(l.values, f.server.count.between(at, at+p.step, 1).mean)
	}
	p.lines = append(p.lines, l)
}

const (
	width, height    = 900.0, 300.0
	left, upper      = 45.0, 45.0
	right, lowerEdge = 20.0, 35.0
)

func (p *plot) x(d time.Duration) float64 {
	return left + (width-left-right)*float64(d)/float64(p.to)
}

func (p *plot) y(v float64) float64 {
	return upper + (height-upper-lowerEdge)*(1-min(v, p.top)/p.top)
}

// svg draws the plot.
func (p *plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n"+`<text x="%.0f" y="18" font-weight="bold">%s</text>`+"\n", width, height, left, p.title)
	for v := 0.0; v <= p.top; v += 10 {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, p.y(v), width-right, left-6, p.y(v)+4, v)
	}
	fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#c00" stroke-dasharray="6 4"/><text x="%.1f" y="%.1f" text-anchor="end" fill="#c00">what one process answers</text>`+"\n",
		left, p.y(20), width-right, width-right, p.y(20)-4)
	for i := range 7 {
		at := p.to * time.Duration(i) / 6
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%.0f min</text>`+"\n", p.x(at), height-12, at.Minutes())
	}
	for _, m := range p.marks {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1f" stroke="#888" stroke-dasharray="2 3"/><text x="%.1f" y="%.1f" fill="#555">%s</text>`+"\n",
			p.x(m.at), upper, height-lowerEdge, p.x(m.at)+4, upper+12, m.name)
	}
	for i, l := range p.lines {
		var path strings.Builder
		for n, v := range l.values {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(n, 1)], p.x(time.Duration(n)*p.step), p.y(v))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/><text x="%.1f" y="36" fill="%s">%s</text>`+"\n", path.String(), l.colour, left+float64(i)*150, l.colour, l.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
