package main

import (
	"fmt"
	"math"
	"time"
)

// none stands for a figure that was not measured. All that is made of it is none too.
var none = math.NaN()

// known says whether a figure, and all that it is made of, was measured.
func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// of is one figure of a benchmark.
func (m measured) of(bench, tool, metric string) float64 {
	v, ok := m.results[bench+"/"+tool][metric]
	if !ok {
		return none
	}
	return v
}

// ringTells is how long after K2HR3 chmpx's ring knows of a server at most (tests/fleet).
const ringTells = 2 * time.Second

// fresh is how old what chmpx runs may be, in seconds, when a server has joined or left and K2HR3
// does not hold requests: until the ring tells, and then until chmpx runs the file.
func (m measured) fresh() float64 { return ringTells.Seconds() + m.late(agentRing) }

// timerFresh is the same of a timer each minute.
func (m measured) timerFresh() float64 { return 60 + m.late(timer) }

// late is how long after the ring, or the service, chmpx runs a change, in seconds.
func (m measured) late(tool string) float64 {
	return m.of("Change", tool, "all-p99-ms") / 1000
}

// cpu is what is used at rest in a minute, in milliseconds, children included.
func (m measured) cpu(tool string) float64 { return m.atRest(tool, "cpu-ms") }

// wakes is how often somebody is woken at rest in a minute.
func (m measured) wakes(tool string) float64 { return m.atRest(tool, "wakeups") }

// atRest is what is needed in a minute. Where none of a peer's few queries has come in the time it
// was watched, those of BenchmarkHour are added.
func (m measured) atRest(tool, metric string) float64 {
	if tool == timer {
		return m.of("Rest", tool, metric+"/run")
	}
	rest, queries := m.of("Rest", tool, metric+"/min"), m.of("Hour", tool, metric+"/hour")
	if m.of("Rest", tool, "requests/min") == 0 && known(queries) {
		return rest + queries/60
	}
	return rest
}

// resident is the memory at rest, in MiB.
func (m measured) resident(tool string) float64 {
	return m.of("Rest", tool, "rss-KiB") / 1024
}

// requests is how often the service is asked in an hour, without changes.
func (m measured) requests(tool string) float64 {
	if tool == timer {
		return 60 * m.of("Rest", tool, "requests/run")
	}
	return m.of("Hour", tool, "requests/hour")
}

func mebi(sizes map[string]int64) func(string) float64 {
	return func(tool string) float64 {
		n, ok := sizes[tool]
		if !ok {
			return none
		}
		return float64(n) / (1 << 20)
	}
}

// The sizes of a cluster between which the agent comes to ask less often.
const (
	fewSlaves  = 20
	manySlaves = 100
)

// demand is one thing that is needed, in a number of which less is better: by the agent, and by the
// others. As fresh is the timer run so often that it is no later than the agent.
type demand struct {
	what, unit string
	agent      float64
	others     [4]float64
}

// demands are all of them.
func (m measured) demands() []demand {
	runs := 60 / m.fresh() // in a minute, of a timer as fresh
	rate := func(what, unit string, agent float64, of func(string) float64) demand {
		return demand{what, unit, agent, [4]float64{of(timer), runs * of(timer), of(consulTemplate), of(confd)}}
	}
	once := func(what string, agent float64, of func(string) float64) demand {
		return demand{what, "MiB", agent, [4]float64{none, none, of(consulTemplate), of(confd)}}
	}
	programs, packages := mebi(m.programs), mebi(m.packages)
	return []demand{
		rate(fmt.Sprintf("requests an hour, up to %d slaves", fewSlaves), "", anHour(fewSlaves, 0), m.requests),
		rate(fmt.Sprintf("requests an hour, %d slaves and more", manySlaves), "", anHour(manySlaves, 0), m.requests),
		rate("requests an hour, held", "", anHour(fewSlaves, time.Minute), m.requests),
		rate("CPU a minute", "ms", m.cpu(agentRing), m.cpu),
		rate("CPU a minute, held", "ms", m.cpu(agentHeld), m.cpu),
		rate("wake-ups a minute", "", m.wakes(agentRing), m.wakes),
		rate("wake-ups a minute, held", "", m.wakes(agentHeld), m.wakes),
		once("resident memory", max(m.resident(agentRing), m.resident(agentHeld)), m.resident),
		once("program", programs(agentRing), programs),
		once("package", packages(agentRing), packages),
		{"a server joins → chmpx runs it, at worst", "s", m.fresh(), [4]float64{m.timerFresh(), m.fresh(), none, none}},
		{"the same, held", "s", m.late(agentHeld), [4]float64{m.timerFresh(), m.fresh(), m.late(consulTemplate), m.late(confd)}},
	}
}

// bound is one that the project has set itself: a ratio, and how large it may be.
type bound struct {
	what        string
	ratio, most float64
}

func (m measured) bounds() []bound {
	n := m.demands()
	few, many, cpu, memory := n[0], n[1], n[3], n[7]
	return []bound{
		{fmt.Sprintf("≤ 40 %% of the timer's requests, as fresh, up to %d slaves", fewSlaves), few.agent / few.others[1], .4},
		{fmt.Sprintf("≤ 40 %% of the timer's requests, as fresh, %d slaves and more", manySlaves), many.agent / many.others[1], .4},
		{fmt.Sprintf("≤ 40 %% of those of the timer each minute, up to %d slaves", fewSlaves), few.agent / few.others[0], .4},
		{fmt.Sprintf("≤ 40 %% of those of the timer each minute, %d slaves and more", manySlaves), many.agent / many.others[0], .4},
		{"≤ 10 % of the timer's CPU, as fresh", cpu.agent / cpu.others[1], .1},
		{"less resident memory than consul-template", memory.agent / memory.others[2], 1},
		{"less resident memory than confd", memory.agent / memory.others[3], 1},
	}
}
