package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// run runs the scenarios and prints what comes of them.
func run(update bool, only, policy string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	for _, sc := range scenarios() {
		if only != "" && !strings.Contains(sc.name, only) {
			continue
		}
		for _, p := range ways() {
			if policy != "" && p.name != policy {
				continue
			}
			for _, cost := range []bool{false, true} {
				began := time.Now()
				o := sc.play(p, cost, 1)
				fmt.Fprintf(w, "%s\t%s\t%v\t%.1f\t%d\t%.0f %%\t%v\t%.1f %%\t%v\t%v\t%v\t%d\t%v\n", sc.name, p.name, cost, o.mean, o.worst, 100*o.busy,
					o.wait.Round(10*time.Millisecond), 100*o.timeoutShare(), o.at(.5).Round(100*time.Millisecond), o.at(.99).Round(100*time.Millisecond), o.at(1).Round(100*time.Millisecond), o.never, time.Since(began).Round(time.Millisecond))
				w.Flush()
			}
		}
	}
	_ = update
	return nil
}

// play plays a scenario.
func (sc scenario) play(p way, cost bool, seed uint64) outcome {
	u := sc.setup
	u.policy, u.holds, u.abandonedCost, u.seed = p.make, p.hold, cost, seed
	f := newFleet(u)
	if !u.fresh {
		f.settle(p.adapts)
	}
	return sc.run(f)
}
