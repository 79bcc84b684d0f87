// Command skipped counts the tests that were skipped, by why, in several runs of
// go test -json, whose output is in the files that it is given. A test that ran in
// one of them was not skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	runs := runs{}
	for _, name := range os.Args[1:] {
		f, err := os.Open(name)
		if err == nil {
			err = runs.read(f)
			f.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "skipped:", err)
			os.Exit(1)
		}
	}
	runs.print(os.Stdout)
}

// test is what became of one test.
type test struct {
	ran bool
	why string // it was skipped, last
}

// runs are all tests, by package and name.
type runs map[string]*test

// said is the line of a test that says something, such as why it is skipped.
var said = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)\n$`)

func (r runs) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return err
		}
		if e.Test == "" {
			continue
		}
		name := strings.TrimPrefix(e.Package, "k2hdkc-slave-agent/") + " " + e.Test
		if r[name] == nil {
			r[name] = &test{}
		}
		switch e.Action {
		case "output":
			if m := said.FindStringSubmatch(e.Output); m != nil {
				r[name].why = m[1]
			}
		case "pass", "fail":
			r[name].ran = true
		}
	}
	return lines.Err()
}

func (r runs) print(to io.Writer) {
	skipped, count := map[string][]string{}, 0
	for name, t := range r {
		if !t.ran {
			skipped[t.why] = append(skipped[t.why], name)
			count++
		}
	}
	fmt.Fprintf(to, "%d of %d tests were skipped\n", count, len(r))
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(to, "%d: %s\n", len(skipped[why]), why)
		for _, name := range slices.Sorted(slices.Values(skipped[why])) {
			fmt.Fprintf(to, "\t%s\n", name)
		}
	}
}
