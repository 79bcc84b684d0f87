package main

import (
	"log/slog"
	"path/filepath"
	"runtime"

	"k2hdkc-slave-agent/cmd/metrics"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// startMetrics begins to count, and shows the counts where the options want it. The caller closes
// what it returns. An address that cannot be listened at is an error.
func (p *program) startMetrics(o *options.Options) (*metrics.Exposer, error) {
	if err := checkWritten(o); err != nil {
		return nil, err
	}
	p.metrics = &metrics.Exposer{Metrics: metrics.New(versionName(), runtime.Version(), p.out.dropped)}
	err := p.metrics.TakePassed()
	if err == nil {
		err = o.Blame("metrics-listen", p.metrics.Listen(metrics.Socket(o.MetricsListen)))
	}
	if err != nil {
		p.metrics.Close()
		return nil, err
	}
	p.metrics.WriteTo(o.MetricsTextfile, p.logger(o))
	return p.metrics, nil
}

// moveMetrics shows the metrics where other options want it. What cannot be done is logged, and the
// socket of before stays.
func (p *program) moveMetrics(o *options.Options, log *slog.Logger) {
	if err := o.Blame("metrics-listen", p.metrics.Listen(metrics.Socket(o.MetricsListen))); err != nil {
		log.Warn("cannot listen for metrics at the new address; the agent goes on as before", "error", err)
	}
	p.metrics.WriteTo(o.MetricsTextfile, log)
}

// observe is who counts the requests to K2HR3; nil: nobody does.
func (p *program) observe() func(k2hr3.Asked) {
	if p.metrics == nil {
		return nil
	}
	return p.metrics.Metrics.Asked
}

// dropped is how many records nobody has read the log for.
func (out *outlet) dropped() (n int64) {
	for _, b := range []*service.Backlog{out.journal, out.stderr} {
		if b != nil {
			n += b.Dropped()
		}
	}
	return n
}

// textfileDir is the folder of metrics-textfile; empty: there is none.
func textfileDir(o *options.Options) string {
	if o.MetricsTextfile == "" {
		return ""
	}
	return filepath.Dir(o.MetricsTextfile)
}
