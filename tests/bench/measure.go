package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"k2hdkc-slave-agent/tests/realagent"
)

// results are what benchmarks report: by the benchmark and what it measures, such as
// "Change/confd", by the metric.
type results map[string]map[string]float64

const (
	// settles is how long each tool is left alone before it is watched at rest: the agent looks
	// more often after a change.
	settles = 15 * time.Second
	// hour is for how many rounds of BenchmarkHour an hour is.
	hour = 12
)

// measured is all that the document is made of.
type measured struct {
	results
	rest     int // seconds
	changes  int
	programs map[string]int64 // sizes in bytes; what is not there was not measured
	packages map[string]int64
	machine  string
}

// measure builds what is to be measured into dir, and runs the benchmarks. What cannot be built
// here is not measured; the agent can.
func measure(ctx context.Context, dir string, changes, rest int) (measured, error) {
	m := measured{rest: rest, changes: changes, results: results{}, programs: map[string]int64{}, packages: map[string]int64{}}
	bin, err := realagent.Build(dir, realagent.Release()...)
	if err != nil {
		return m, err
	}
	m.programs[agentRing] = size(bin)
	if deb, err := buildPackage(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no package is measured:", err)
	} else {
		m.packages[agentRing] = size(deb)
	}
	for _, p := range peers {
		if err := p.build(ctx, dir); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s is not measured: %v\n", p.name, err)
			continue
		}
		m.programs[p.name], m.packages[p.name] = size(p.path(dir)), packed(p.path(dir))
	}
	m.machine = machine()
	for _, run := range []struct {
		bench  string
		rounds int
	}{{"Change", changes}, {"Rest", rest}, {"Hour", hour}} {
		if err := m.run(ctx, dir, run.bench, run.rounds); err != nil {
			return m, err
		}
	}
	return m, nil
}

// run runs one benchmark and takes its results.
func (m measured) run(ctx context.Context, dir, bench string, rounds int) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark"+bench+"$", "-benchtime", strconv.Itoa(rounds)+"x", "-timeout", "20m", "./tests/bench")
	cmd.Dir = realagent.Root()
	cmd.Env = append(os.Environ(), envPeers+"="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stderr, &out), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go test -bench %s: %w", bench, err)
	}
	m.parse(out.String())
	return nil
}

var (
	benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s(.*)$`)
	benchPair = regexp.MustCompile(`(\S+) (\S+)`)
)

// parse reads what go test -bench prints.
func (r results) parse(out string) {
	for _, line := range benchLine.FindAllStringSubmatch(out, -1) {
		r[line[1]] = map[string]float64{}
		for _, pair := range benchPair.FindAllStringSubmatch(line[2], -1) {
			if v, err := strconv.ParseFloat(pair[1], 64); err == nil {
				r[line[1]][pair[2]] = v
			}
		}
	}
}

// buildPackage builds the deb of this machine's architecture.
func buildPackage(ctx context.Context, dir string) (string, error) {
	dist := filepath.Join(dir, "dist")
	cmd := exec.CommandContext(ctx, filepath.Join(realagent.Root(), "packaging", "build"))
	cmd.Env = append(os.Environ(), "ARCHES="+runtime.GOARCH, "DIST="+dist)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("packaging/build: %w\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dist, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("packaging/build has made %d debs", len(debs))
	}
	return debs[0], nil
}

func size(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// packed is how large a program is in an archive, as the peers' are.
func packed(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	w.Write(b)
	w.Close()
	return int64(out.Len())
}

var kernel = regexp.MustCompile(`\d+\.\d+`)

// machine says what was measured on, as far as that changes the figures.
func machine() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	loads := append(strings.Fields(string(load)), "unknown", "unknown")
	return fmt.Sprintf("%d processors (%s), Linux %s, %s; load average before the benchmarks %s (1 min), %s (5 min)",
		runtime.NumCPU(), runtime.GOARCH, kernel.Find(release), runtime.Version(), loads[0], loads[1])
}
