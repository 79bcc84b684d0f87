package metrics

import (
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"k2hdkc-slave-agent/cmd/status"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Bounds of the histograms' buckets, in seconds. A K2HR3 whose store is down takes about 14 s to
// say so (docs/k2hr3.md 0.6), and chmpx has the option confirm to take a file, once or twice.
var (
	requestSeconds   = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 15, 20, 30}
	confirmedSeconds = []float64{.25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300}
)

// Metrics are the agent's counts and its latest status. All methods may be called from several
// goroutines, and none of them blocks.
type Metrics struct {
	build   string // labels of build_info
	dropped func() int64

	counts                 *vm.Set
	requests               map[k2hr3.Outcome]*vm.Counter
	refused                map[string]*vm.Counter
	replacements, restarts *vm.Counter
	requestTook, confirmed *vm.PrometheusHistogram
	latest                 atomic.Pointer[status.Document]
	changed                chan struct{} // holds one thing at most: something is new
}

// New returns metrics that count from zero. version and goVersion are the program's; dropped says
// how many log records were dropped so far.
func New(version, goVersion string, dropped func() int64) *Metrics {
	set := vm.NewSet()
	m := &Metrics{
		build:        labels("version", version, "goversion", goVersion),
		dropped:      dropped,
		counts:       set,
		requests:     map[k2hr3.Outcome]*vm.Counter{},
		refused:      map[string]*vm.Counter{},
		replacements: set.NewCounter(prefix + "replacements_total"),
		restarts:     set.NewCounter(prefix + "chmpx_restarts_total"),
		requestTook:  set.NewPrometheusHistogramExt(prefix+"k2hr3_request_seconds", requestSeconds),
		confirmed:    set.NewPrometheusHistogramExt(prefix+"change_to_confirmed_seconds", confirmedSeconds),
		changed:      make(chan struct{}, 1),
	}
	// A rate needs the count from zero on.
	for _, o := range k2hr3.Outcomes() {
		m.requests[o] = set.NewCounter(prefix + "k2hr3_requests_total" + labels("outcome", string(o)))
	}
	for _, v := range []string{"dangerous", "reject", "no_server", "other"} {
		m.refused[v] = set.NewCounter(prefix + "refused_total" + labels("verdict", v))
	}
	set.RegisterMetricsWriter(m.writeStatus)
	return m
}

// Asked counts a request to K2HR3.
func (m *Metrics) Asked(r k2hr3.Asked) {
	m.requests[r.Outcome].Inc()
	if r.Took > 0 {
		m.requestTook.Update(r.Took.Seconds())
	}
	m.touch()
}

// Refused counts a text of K2HR3's that was not put in place: "dangerous" or "reject" as `check`
// says, "no_server", or any other word for another reason.
func (m *Metrics) Refused(verdict string) {
	c, ok := m.refused[verdict]
	if !ok {
		c = m.refused["other"]
	}
	c.Inc()
	m.touch()
}

// Replaced counts a replacement of slave.ini.
func (m *Metrics) Replaced() {
	m.replacements.Inc()
	m.touch()
}

// Restarted counts a restart of chmpx's unit by the agent.
func (m *Metrics) Restarted() {
	m.restarts.Inc()
	m.touch()
}

// Confirmed counts a change that chmpx has taken, so long after K2HR3 told of it.
func (m *Metrics) Confirmed(after time.Duration) {
	m.confirmed.Update(after.Seconds())
	m.touch()
}

// Show makes d the status that the metrics show. The caller does not change it afterwards.
func (m *Metrics) Show(d status.Document) {
	m.latest.Store(&d)
	m.touch()
}

func (m *Metrics) touch() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}
