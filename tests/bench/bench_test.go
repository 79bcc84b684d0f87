package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fatal"
)

// BenchmarkChange is the way of a change, a server that joins or leaves: from the service's answer
// to slave.ini, to chmpx, which runs it, and to who has seen that. It begins at the moment at which
// the service has the change, or from which on the ring tells of it, and these come at random, more
// than a second apart, as the agent replaces its file once a second at most. What is run each
// minute is run at once.
func BenchmarkChange(b *testing.B) { each(b, benchmarkChange) }

// spans are what was measured, by the name of the metric.
type spans map[string][]time.Duration

func (t spans) add(what string, from, to time.Time) { t[what] = append(t[what], to.Sub(from)) }

func benchmarkChange(b *testing.B, w *world, t tool) {
	var confirmed <-chan time.Time
	if t.once == nil {
		_, confirmed = t.start(w)
	} else {
		run(b, t.once(w))
		w.startChmpx()
	}
	took := spans{}
	asked, ended := w.requests(), 0
	for b.Loop() {
		if t.once == nil {
			time.Sleep(1100*time.Millisecond + rand.N(700*time.Millisecond))
		}
		if w.change(took, t, confirmed) {
			ended++
		}
	}
	b.ReportMetric(float64(w.requests()-asked)/float64(b.N), "requests/op")
	b.ReportMetric(float64(ended)/float64(b.N), "ended/op")
	took.report(b)
}

// change lets a change happen and takes the times of what it causes. ended: chmpx did, of reading
// the file while it was written, and is started again at once.
func (w *world) change(took spans, t tool, confirmed <-chan time.Time) (ended bool) {
	w.tb.Helper()
	before := w.running()
	for _, c := range []chan time.Time{w.answered, w.replaced} {
		drain(c)
	}
	w.version++
	w.set()
	if t.rings {
		fatal.If(w.tb, w.state.SetRing(w.rings[w.version%2]...))
	}
	at := time.Now()
	if t.once != nil {
		run(w.tb, t.once(w))
	}
	if ended = w.runs(before); ended {
		w.startChmpx()
	}
	told := time.Now()
	answered := w.next(w.answered)
	took.add("answered", at, answered)
	took.add("file", answered, w.last(w.replaced))
	took.add("told", answered, told)
	took.add("all", at, told)
	if confirmed != nil {
		took.add("confirmed", answered, w.next(confirmed))
	}
	return ended
}

// next is the next time that comes.
func (w *world) next(c <-chan time.Time) time.Time {
	w.tb.Helper()
	select {
	case at := <-c:
		return at
	case <-deadline(w.tb).Done():
		w.tb.Fatal("what has to happen after a change does not")
		return time.Time{}
	}
}

// last is the last time that has come so far: a file that is written in place changes twice.
func (w *world) last(c <-chan time.Time) time.Time {
	at := w.next(c)
	for len(c) > 0 {
		at = <-c
	}
	return at
}

func drain(c <-chan time.Time) {
	for len(c) > 0 {
		<-c
	}
}

// report reports half of the times, and all but one in a hundred.
func (t spans) report(b *testing.B) {
	for what, took := range t {
		slices.Sort(took)
		ms := func(i int) float64 { return float64(took[min(i, len(took)-1)]) / float64(time.Millisecond) }
		b.ReportMetric(ms(len(took)/2), what+"-p50-ms")
		b.ReportMetric(ms(len(took)*99/100), what+"-p99-ms")
	}
}

// BenchmarkRest is what is needed while nothing happens. One round is a second of that, or one run
// of what is run each minute, which is all it needs in that minute.
func BenchmarkRest(b *testing.B) { each(b, benchmarkRest) }

func benchmarkRest(b *testing.B, w *world, t tool) {
	if t.once != nil {
		benchmarkRuns(b, w, t)
		return
	}
	pid, _ := t.start(w)
	time.Sleep(settles)
	asked, before := w.requests(), spentBy(b, pid)
	for b.Loop() {
		time.Sleep(time.Second)
	}
	now := spentBy(b, pid)
	minute := func(n float64) float64 { return n / b.Elapsed().Minutes() }
	b.ReportMetric(minute(ms(now.cpu-before.cpu)), "cpu-ms/min")
	b.ReportMetric(minute(float64(now.waits-before.waits)), "wakeups/min")
	b.ReportMetric(minute(float64(w.requests()-asked)), "requests/min")
	for _, m := range []struct{ file, key, metric string }{
		{"status", "VmRSS", "rss-KiB"}, {"status", "VmHWM", "peak-KiB"}, {"status", "RssAnon", "anon-KiB"}, {"smaps_rollup", "Pss", "pss-KiB"},
	} {
		b.ReportMetric(memory(b, pid, m.file, m.key), m.metric)
	}
}

func benchmarkRuns(b *testing.B, w *world, t tool) {
	run(b, t.once(w))
	asked := w.requests()
	var cpu time.Duration
	var waits, peak int64
	for b.Loop() {
		u := run(b, t.once(w))
		cpu += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		waits += u.Nvcsw
		peak = max(peak, u.Maxrss)
	}
	n := float64(b.N)
	b.ReportMetric(ms(cpu)/n, "cpu-ms/run")
	b.ReportMetric(float64(waits)/n, "wakeups/run")
	b.ReportMetric(float64(w.requests()-asked)/n, "requests/run")
	b.ReportMetric(float64(peak), "peak-KiB")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// BenchmarkHour is how often the peers ask in an hour without changes, and what that costs.
// Each blocking query is answered after a 300th of its time: a round of one second is five minutes.
func BenchmarkHour(b *testing.B) {
	each(b, func(b *testing.B, w *world, t tool) {
		if t.name != consulTemplate && t.name != confd {
			b.Skip("its schedule is counted in virtual time: anHour")
		}
		w.consul.faster = 300
		pid, _ := t.start(w)
		asked, before := w.requests(), spentBy(b, pid)
		for b.Loop() {
			time.Sleep(5 * time.Minute / w.consul.faster)
		}
		now, hours := spentBy(b, pid), b.Elapsed().Hours()*float64(w.consul.faster)
		b.ReportMetric(float64(w.requests()-asked)/hours, "requests/hour")
		b.ReportMetric(ms(now.cpu-before.cpu)/hours, "cpu-ms/hour")
		b.ReportMetric(float64(now.waits-before.waits)/hours, "wakeups/hour")
	})
}
