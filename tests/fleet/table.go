package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// seed is that of the table and the plots.
const seed = 1

// run runs scenarios, prints what comes of them and, with update, writes that into tests/fleet.
func run(update bool, only, policy string) error {
	var table strings.Builder
	for _, sc := range scenarios() {
		if !strings.Contains(sc.name, only) {
			continue
		}
		rows := sc.rows(policy)
		fmt.Fprint(os.Stdout, rows)
		table.WriteString(rows)
	}
	if !update {
		return nil
	}
	dir := filepath.Join("tests", "fleet")
	if err := replaceBetween(filepath.Join(dir, "README.md"), "table", table.String()); err != nil {
		return err
	}
	for _, p := range plots() {
		if err := os.WriteFile(filepath.Join(dir, p.file), []byte(p.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// rows is a scenario as Markdown: a heading, and a row for each policy and column.
func (sc scenario) rows(policy string) string {
	var b strings.Builder
	processes := "one process"
	if sc.setup.processes > 1 {
		processes = fmt.Sprintf("%d processes", sc.setup.processes)
	}
	fmt.Fprintf(&b, "\n### %s\n\n%s; %s.\n\n", sc.name, sc.what, processes)
	b.WriteString("| policy | abandoned requests | requests/s | worst second | busy | longest wait | timeouts | " + sc.rightWords() + " |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	var rows []*string
	var playing sync.WaitGroup
	for _, p := range ways() {
		if policy != "" && p.name != policy || sc.ways != nil && !slices.Contains(sc.ways, p.name) {
			continue
		}
		for _, cost := range []bool{false, true} {
			if cost && sc.setup.slaves > 10000 {
				continue
			}
			text := new(string)
			rows = append(rows, text)
			playing.Go(func() { *text = sc.row(p, cost) })
		}
	}
	playing.Wait()
	for _, text := range rows {
		b.WriteString(*text)
	}
	return b.String()
}

func (sc scenario) row(p way, cost bool) string {
	o := sc.play(p, cost, seed)
	word := "dropped"
	if cost {
		word = "worked on"
	}
	return fmt.Sprintf("| %s | %s | %.1f | %d | %.0f %% | %s | %.1f %% | %s |\n", p.name, word, o.mean, o.worst,
		100*min(o.busy, 1), short(o.wait), 100*min(o.timeoutShare(), 1), o.right())
}

func (sc scenario) rightWords() string {
	if sc.right == "" {
		return "right after (p50, p99, max)"
	}
	return sc.right
}

// right says how long it took.
func (o *outcome) right() string {
	if len(o.rights)+o.never == 0 {
		return "–"
	}
	if len(o.rights)+o.never == 1 {
		return short(o.at(1))
	}
	text := short(o.at(.5)) + ", " + short(o.at(.99)) + ", " + short(o.at(1))
	if o.never > 0 {
		text += fmt.Sprintf("; %d not yet", o.never)
	}
	return text
}

func short(d time.Duration) string {
	switch {
	case d < 0:
		return "not yet"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f min", d.Minutes())
}

// replaceBetween replaces what a file has between two markers.
func replaceBetween(path, marker, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+marker+" -->\n", "<!-- end -->\n"
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, found := strings.Cut(rest, end)
	if !ok || !found {
		return fmt.Errorf("%s has no %q and %q", path, begin, end)
	}
	return os.WriteFile(path, []byte(head+begin+text+"\n"+end+tail), 0o644)
}

// play plays a scenario.
func (sc scenario) play(p way, cost bool, seed uint64) outcome {
	return sc.run(sc.settled(p, cost, seed))
}

// settled is the fleet of a scenario that has found its pace.
func (sc scenario) settled(p way, cost bool, seed uint64) *fleet {
	u := sc.setup
	u.policy, u.holds, u.abandonedCost, u.seed = p.make, p.hold, cost, seed
	f := newFleet(u)
	if !u.fresh {
		f.settle(p.adapts)
	}
	return f
}

// wayOf returns a policy by its name.
func wayOf(name string) way {
	for _, p := range ways() {
		if p.name == name {
			return p
		}
	}
	panic("there is no policy " + name)
}

// scenarioOf returns a scenario by its name.
func scenarioOf(name string) scenario {
	for _, sc := range scenarios() {
		if sc.name == name {
			return sc
		}
	}
	panic("there is no scenario " + name)
}
