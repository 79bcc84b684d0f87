package watcher

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// Verdict sums up how the agent, the file and chmpx are.
type Verdict string

// The verdicts.
const (
	Healthy  Verdict = "healthy"
	Degraded Verdict = "degraded" // it works, and something needs attention
	Failed   Verdict = "failed"   // the application cannot use the cluster, or soon not
)

// Severity is what a condition does to the verdict.
type Severity string

// The severities.
const (
	Info    Severity = "info"    // nothing
	Warning Severity = "warning" // degraded
	Error   Severity = "error"   // failed
)

// Code names a condition for ever: scripts and alerts use it.
type Code string

// The codes, causes before what they lead to. docs/status.md says what to do about each.
const (
	K2HR3Unreachable      Code = "k2hr3_unreachable"
	NotMember             Code = "not_member"
	ResourceUnreadable    Code = "resource_unreadable"
	NoServerListed        Code = "no_server"
	ResourceRefused       Code = "resource_refused"
	ResourceContradictory Code = "resource_contradictory"
	RestartNeeded         Code = "restart_needed"
	FileUnwritable        Code = "file_unwritable"
	NoFile                Code = "no_file"
	ChmpxUnseeable        Code = "chmpx_unseen"
	ChmpxNotRunning       Code = "chmpx_down"
	RevisionUnconfirmed   Code = "revision_unconfirmed"
	RingDiffers           Code = "ring_differs"
	HalfConnected         Code = "half_connected"
	CertificateMissing    Code = "certificate_missing"
	CertificateChanged    Code = "certificate_changed"
	ServerDown            Code = "server_down"
)

// rule is what there is to know of a condition beforehand.
type rule struct {
	code Code
	// How long it must last before it counts, with a good file in place and without.
	lasts, lastsWithoutFile time.Duration
	// What it does to the verdict, with a good file in place and without.
	severity, severityWithoutFile Severity
	causes                        []Code // what it may come from
}

// leastUnconfirmed is how long chmpx may show another revision than that of the file, if the option
// confirm does not say longer.
const leastUnconfirmed = 30 * time.Second

// rules has a row for each code. While a good file is in place and chmpx runs it, the application
// works whatever K2HR3 does, and most of what goes wrong there heals by itself.
var rules = []rule{
	{K2HR3Unreachable, time.Minute, 10 * time.Second, Warning, Error, nil},
	{NotMember, time.Minute, 10 * time.Second, Warning, Error, []Code{K2HR3Unreachable}},
	{ResourceUnreadable, time.Minute, 10 * time.Second, Warning, Error, []Code{NotMember}},
	{NoServerListed, 10 * time.Second, 10 * time.Second, Warning, Error, nil},
	{ResourceRefused, 10 * time.Second, 10 * time.Second, Warning, Error, nil},
	{ResourceContradictory, 0, 0, Warning, Warning, nil},
	{RestartNeeded, 10 * time.Second, 10 * time.Second, Warning, Error, nil},
	{FileUnwritable, 10 * time.Second, 10 * time.Second, Error, Error, nil},
	{NoFile, 0, 0, Error, Error, []Code{K2HR3Unreachable, NotMember, ResourceUnreadable, NoServerListed, ResourceRefused, RestartNeeded, FileUnwritable}},
	{ChmpxUnseeable, 30 * time.Second, 30 * time.Second, Warning, Warning, nil},
	{ChmpxNotRunning, 3 * time.Second, 3 * time.Second, Error, Error, []Code{NoFile}},
	{RevisionUnconfirmed, leastUnconfirmed, leastUnconfirmed, Warning, Warning, nil},
	{RingDiffers, time.Minute, time.Minute, Warning, Warning, []Code{K2HR3Unreachable, ResourceUnreadable, NoServerListed, ResourceRefused, RestartNeeded, FileUnwritable}},
	{HalfConnected, halfFor, halfFor, Warning, Warning, nil},
	{CertificateMissing, 10 * time.Second, 10 * time.Second, Error, Error, nil},
	{CertificateChanged, 10 * time.Second, 10 * time.Second, Warning, Warning, nil},
	{ServerDown, 30 * time.Second, 30 * time.Second, Warning, Warning, nil},
}

// Condition is something that is not as it should be, or was not.
type Condition struct {
	Code     Code
	Severity Severity
	// Active: it has lasted long enough to count. Until then it is pending.
	Active bool
	Since  time.Time
	Until  time.Time // when it ended; zero: it has not
	// Message says what is wrong, on one line. It stays the same while nothing changes.
	Message   string
	DependsOn []Code // those of the other conditions that are the cause of this one
}

// Health is the conditions, and what they come to.
type Health struct {
	Verdict Verdict
	Since   time.Time
	// Conditions has the active ones first, the worst of them before the others.
	Conditions List[Condition]
	Previous   *Condition // the active one that ended last; nil: none has
}

// sign is what is wrong at the moment.
type sign struct {
	code    Code
	message string
	// What is otherwise than the rule has it; zero: nothing is.
	severity Severity
	lasts    time.Duration
}

// health decides which of the things that are wrong count, and since when.
type health struct {
	next alarm // when a pending condition begins to count
	Health
}

// goOn begins with the health of the watcher before.
func (h *health) goOn(before Health) { h.Health = before }

// see takes all that is wrong. hasFile: a good file is in place.
func (h *health) see(now time.Time, signs []sign, hasFile bool) {
	if h.Verdict == "" {
		h.Verdict, h.Since = Healthy, now
	}
	h.next.clear()
	before := h.Conditions.Items()
	if len(signs) == 0 && len(before) == 0 {
		return
	}
	var next []Condition
	for _, r := range rules {
		i := slices.IndexFunc(signs, func(s sign) bool { return s.code == r.code })
		if i < 0 {
			continue
		}
		c, lasts := r.condition(now, signs[i], hasFile)
		if was := find(before, r.code); was != nil {
			c.Since, c.Active = was.Since, was.Active
		}
		if counts := c.Since.Add(lasts); !c.Active && now.Before(counts) {
			h.next.set(earliest(h.next, alarm{counts}))
		} else {
			c.Active = true
		}
		c.DependsOn = slices.DeleteFunc(slices.Clone(r.causes), func(code Code) bool {
			return !slices.ContainsFunc(signs, func(s sign) bool { return s.code == code })
		})
		next = append(next, c)
	}
	h.end(now, before, next)
	sort.SliceStable(next, func(a, b int) bool { return next[a].weight() > next[b].weight() })
	if !slices.EqualFunc(before, next, Condition.equal) {
		h.Conditions = ListOf(next...)
		h.judge(now)
	}
}

// condition makes a new condition of a sign, and returns how long it must last before it counts.
func (r rule) condition(now time.Time, s sign, hasFile bool) (c Condition, lasts time.Duration) {
	severity, lasts := r.severity, r.lasts
	if !hasFile {
		severity, lasts = r.severityWithoutFile, r.lastsWithoutFile
	}
	c = Condition{Code: r.code, Severity: cmp.Or(s.severity, severity), Since: now, Message: s.message}
	return c, cmp.Or(s.lasts, lasts)
}

// end takes note of the active condition that has ended.
func (h *health) end(now time.Time, before, next []Condition) {
	for _, c := range before {
		if c.Active && find(next, c.Code) == nil {
			c.Until = now
			h.Previous = &c
		}
	}
}

// judge sums up the conditions. A verdict that gets worse is so since what makes it worse began.
func (h *health) judge(now time.Time) {
	verdict, since := Healthy, now
	for _, c := range h.Conditions.Items() {
		worse := c.verdict()
		switch {
		case !c.Active || worse.rank() < verdict.rank():
		case worse.rank() > verdict.rank():
			verdict, since = worse, c.Since
		case c.Since.Before(since):
			since = c.Since
		}
	}
	switch {
	case verdict.rank() > h.Verdict.rank():
		h.Verdict, h.Since = verdict, since
	case verdict.rank() < h.Verdict.rank():
		h.Verdict, h.Since = verdict, now
	}
}

func (v Verdict) rank() int { return slices.Index([]Verdict{Healthy, Degraded, Failed}, v) }

func (c Condition) verdict() Verdict {
	switch c.Severity {
	case Error:
		return Failed
	case Warning:
		return Degraded
	}
	return Healthy
}

// weight orders conditions: active ones first, then by severity.
func (c Condition) weight() int {
	w := c.verdict().rank()
	if c.Active {
		w += 10
	}
	return w
}

func (c Condition) equal(d Condition) bool {
	return c.Code == d.Code && c.Severity == d.Severity && c.Active == d.Active && c.Since.Equal(d.Since) &&
		c.Message == d.Message && slices.Equal(c.DependsOn, d.DependsOn)
}

func find(list []Condition, code Code) *Condition {
	for i := range list {
		if list[i].Code == code {
			return &list[i]
		}
	}
	return nil
}
