// Command bench measures the agent beside what keeps such a file elsewhere: the shell helper of
// today, consul-template and confd. tests/BENCHMARKS.md has what comes of it:
//
//	go run ./tests/bench -update    # measures all, and writes tests/BENCHMARKS.md
//	go run ./tests/bench            # prints it
//
// What measures are the benchmarks of this folder, and what they print goes to standard error, in
// benchstat's format. Without the peers they run as others do:
//
//	go test -run '^$' -bench . -benchtime 20x ./tests/bench
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"k2hdkc-slave-agent/tests/realagent"
)

// What is measured, by the names that the benchmarks have for it.
const (
	agentRing      = "agent-ring" // K2HR3 does not hold requests, the ring tells of changes
	agentHeld      = "agent-held" // K2HR3 holds requests
	timer          = "timer"
	consulTemplate = "consul-template"
	confd          = "confd"
)

func main() {
	update := flag.Bool("update", false, "write tests/BENCHMARKS.md in place of printing it")
	changes := flag.Int("changes", 20, "how many changes are followed")
	rest := flag.Int("rest", 66, "for how many seconds each is watched at rest; from 66 on the agent asks in them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command(ctx, *update, *changes, *rest)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, update bool, changes, rest int) error {
	dir, err := os.MkdirTemp("", "k2hdkc-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := measure(ctx, dir, changes, rest)
	if err != nil {
		return err
	}
	text, err := document(m)
	if err != nil {
		return err
	}
	if !update {
		fmt.Fprint(os.Stdout, text)
		return nil
	}
	return os.WriteFile(filepath.Join(realagent.Root(), "tests", "BENCHMARKS.md"), []byte(text), 0o644)
}
