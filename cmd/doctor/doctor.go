package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schema names the format of a Report. Fields are only ever added to it.
const Schema = "k2hdkc-slave-agent/doctor/v1"

// Limit is how long all checks together take at most.
const Limit = 8500 * time.Millisecond

// Status is what came of a check.
type Status string

// What comes of a check.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Warning Status = "warning" // it works, and somebody should look at it
	Skipped Status = "skipped" // there is nothing to look at, it cannot be seen, or another check comes first
)

// Result is one check's.
type Result struct {
	ID       string `json:"id"`
	Status   Status `json:"status"`
	LookedAt string `json:"looked_at"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy"`
	// Needs are the checks that have to be good first, where that is why this one is skipped.
	Needs []string `json:"needs"`
}

// Report is what all checks have found.
type Report struct {
	Schema string   `json:"schema"`
	OK     bool     `json:"ok"` // nothing has failed
	Checks []Result `json:"checks"`
}

// check is one row of the table.
type check struct {
	id string
	// about says what the check looks at, for whoever reads that it was skipped.
	about string
	// needs are the checks whose failure makes this one meaningless.
	needs []string
	// behind are checks earlier in the table whose findings this one uses where they are good.
	behind []string
	look   func(context.Context, *exam) *finding
}

// finding is what a check finds.
type finding struct {
	status   Status
	lookedAt string // empty: what the check is about
	message  string
	remedy   string
	// because are checks, earlier in the table, of which this is a consequence if they have failed.
	because []string
	// waits is the check, anywhere in the table, without which there is nothing to look at.
	waits string
	// blind: it cannot be seen, so that the checks that need this one see nothing either.
	blind bool
}

func good(format string, args ...any) *finding {
	return &finding{status: OK, message: fmt.Sprintf(format, args...)}
}

func bad(remedy, format string, args ...any) *finding {
	return &finding{status: Failed, message: fmt.Sprintf(format, args...), remedy: remedy}
}

func warn(remedy, format string, args ...any) *finding {
	return &finding{status: Warning, message: fmt.Sprintf(format, args...), remedy: remedy}
}

func skip(format string, args ...any) *finding {
	return &finding{status: Skipped, message: fmt.Sprintf(format, args...)}
}

// unseen is what only root can see.
func unseen(format string, args ...any) *finding {
	return skip("run as root to see %s", fmt.Sprintf(format, args...))
}

// blind makes of a finding that it cannot be seen, so that the checks that need this one have
// nothing to look at either.
func blind(f *finding) *finding {
	f.blind = true
	return f
}

// at says what was looked at.
func (f *finding) at(format string, args ...any) *finding {
	f.lookedAt = fmt.Sprintf(format, args...)
	return f
}

// after names the checks whose failure is the cause of this one's.
func (f *finding) after(ids ...string) *finding {
	f.because = append(f.because, ids...)
	return f
}

// table lists the checks, causes before consequences.
func table() []check {
	return slices.Concat(configurationChecks(), wayChecks(), k2hr3Checks(), agentChecks(), fileChecks(), unitChecks(), chmpxChecks(), applicationChecks())
}

// IDs lists the checks' ids, in the order in which they are reported.
func IDs() []string {
	var ids []string
	for _, c := range table() {
		ids = append(ids, c.id)
	}
	return ids
}

// Select returns the ids of a list such as "tcp,file" and of all checks that these need. An id that
// there is none of is an error; an empty list means all.
func Select(list string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return IDs(), nil
	}
	wanted := map[string]bool{}
	for id := range strings.SplitSeq(list, ",") {
		if id = strings.TrimSpace(id); !slices.Contains(IDs(), id) {
			return nil, fmt.Errorf("there is no check %.40q: the checks are %s", id, strings.Join(IDs(), ", "))
		}
		wanted[id] = true
	}
	all := table()
	for i := len(all) - 1; i >= 0; i-- { // what a check needs comes before it
		for _, need := range all[i].needs {
			wanted[need] = wanted[need] || wanted[all[i].id]
		}
	}
	return slices.DeleteFunc(IDs(), func(id string) bool { return !wanted[id] }), nil
}

// Run makes the checks called ids, as Select returns them, and calls tell for each result in the
// order of the table, as soon as it and all before it are known. It returns within Limit.
func Run(ctx context.Context, s Subject, ids []string, tell func(Result)) Report {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	x := newExam(ctx, s)
	checks := slices.DeleteFunc(table(), func(c check) bool { return !slices.Contains(ids, c.id) })
	r := Report{Schema: Schema, OK: true, Checks: []Result{}}
	found := x.begin(ctx, checks)
	firsts := map[string]string{} // the first cause of what is not good, by the check that is not
	for i, c := range checks {
		result := resolve(c, found[i](), firsts)
		if result.Status == Failed {
			r.OK = false
		}
		r.Checks = append(r.Checks, result)
		tell(result)
	}
	return r
}

// resolve makes a result of what a check has found, given the first causes so far.
func resolve(c check, f *finding, firsts map[string]string) Result {
	r := Result{ID: c.id, Status: f.status, LookedAt: f.lookedAt, Message: f.message, Remedy: f.remedy, Needs: []string{}}
	if r.LookedAt == "" {
		r.LookedAt = c.about
	}
	blames := c.needs
	if f.status != OK {
		blames = append(slices.Clone(blames), f.because...)
	}
	for _, id := range blames {
		if first, ok := firsts[id]; ok {
			r.Status, r.Message, r.Remedy, r.Needs = Skipped, "needs "+first, "", []string{first}
			firsts[c.id] = first
			return r
		}
	}
	if f.waits != "" {
		r.Message, r.Needs = "needs "+f.waits, []string{f.waits}
	}
	if f.status == Failed || f.blind {
		firsts[c.id] = c.id
	}
	return r
}

// begun is a check that was begun.
type begun struct {
	done  chan struct{}
	found *finding
	// stops: the checks that need this one have nothing to look at. It is set once done is closed.
	stops bool
}

// begin starts all checks, each as soon as those it needs are done, and returns for each a function
// that waits for what it finds. A check that needs one which is not good does not look.
func (x *exam) begin(ctx context.Context, checks []check) []func() *finding {
	all := map[string]*begun{}
	called := func(ids []string) (list []*begun) {
		for _, id := range ids {
			if b := all[id]; b != nil {
				list = append(list, b)
			}
		}
		return list
	}
	var found []func() *finding
	for _, c := range checks {
		b := &begun{done: make(chan struct{})}
		needs, behind := called(c.needs), called(c.behind)
		go func() {
			defer close(b.done)
			for _, before := range behind {
				<-before.done
			}
			for _, need := range needs {
				<-need.done
				b.stops = b.stops || need.stops
			}
			if b.stops {
				b.found = &finding{status: Skipped}
				return
			}
			b.found = c.bounded(ctx, x)
			b.stops = b.found.status == Failed || b.found.blind
		}()
		all[c.id] = b
		found = append(found, func() *finding {
			<-b.done
			return b.found
		})
	}
	return found
}

// bounded looks, until ctx ends at the latest: what a check waits for may not end with that.
func (c check) bounded(ctx context.Context, x *exam) *finding {
	result := make(chan *finding, 1)
	go func() { result <- c.look(ctx, x) }()
	select {
	case f := <-result:
		return f
	case <-ctx.Done():
	}
	select { // what ended with ctx knows more
	case f := <-result:
		return f
	case <-time.After(100 * time.Millisecond):
		return bad("something that this check looks at hangs: a disk, a name service, or a program; run doctor again with --only "+c.id,
			"no result within %v", Limit)
	}
}
