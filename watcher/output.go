package watcher

import (
	"slices"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// output is the file: what is in place, and what is known of it.
type output struct {
	file     inPlace
	revision int          // the latest that was put in place
	etag     string       // of the text that was applied last
	replaced daemon.Inode // the file before the one in place

	safe   inPlace // the version that chmpx was last seen to run
	banned string  // digest of the text that ended chmpx
	spared string  // digest of one that is tried again, or was, when chmpx runs the version before

	refused string  // the text; empty: the latest was not refused
	refusal trouble // K2HR3's text is refused, or cannot be written
}

// inPlace is one version of the file.
type inPlace struct {
	bytes []byte
	sum   string
	// config is nil while there is no file that chmpx could load.
	config *chmpx.Config
	// good: the file was accepted, and is worth being put back.
	good bool
	// digest tells the texts of K2HR3 apart, whatever revision they got; empty: the
	// version was found in place.
	digest string
	// ran: chmpx was seen to run these bytes under an earlier revision, so they end no chmpx.
	ran bool
}

// recall sets what was saved before the agent was started.
func (o *output) recall(revision int) { o.revision = revision }

// adopt takes a file that was found in place for the current one.
func (o *output) adopt(b []byte, report chmpx.Report) {
	o.file = inPlace{bytes: b, sum: sum(b), config: report.Config, good: report.Verdict == chmpx.Accept}
	if report.Config != nil {
		o.revision = later(o.revision, report.Config.FileVersion)
	}
}

// none reports whether there is no slave.ini.
func (o *output) none() bool { return o.file.bytes == nil }

// putInPlace takes note of a candidate that has replaced the file old.
func (o *output) putInPlace(c candidate, old daemon.Inode) {
	ran := c.again && (o.file.ran || o.safe.good && o.safe.sum == o.file.sum)
	o.file = inPlace{bytes: c.bytes, sum: sum(c.bytes), config: c.report.Config, good: true, digest: c.digest, ran: ran}
	o.revision = c.report.Config.FileVersion
	o.replaced = old
}

// restore takes note that a version from before is in place again.
func (o *output) restore(before inPlace) {
	o.file = before
	o.etag = ""
}

// knownETag is that of the text in place. Without a good file the text is
// wanted even if it is the same.
func (o *output) knownETag() string {
	if !o.file.good {
		return ""
	}
	return o.etag
}

// tag sets the ETag of the text in place, and reports whether it is another.
func (o *output) tag(etag string) (changed bool) {
	changed = o.etag != etag
	o.etag = etag
	return changed
}

// accept ends what was wrong with the text that is in place.
func (o *output) accept() {
	o.refused = ""
	o.refusal.end("the RESOURCE is usable again")
}

// replaces ends what was wrong with the text, for another one has replaced the file, which
// the log says.
func (o *output) replaces() {
	o.refused = ""
	o.refusal.over()
}

// refuse takes note of a text that must not be put in place, and reports whether that is new.
func (o *output) refuse(a k2hr3.Answer) bool {
	was := o.refused
	o.refused = a.Text
	return was != a.Text
}

// confirmed takes note that chmpx runs the current slave.ini.
func (o *output) confirmed() {
	o.restored()
	if o.banned == o.spared {
		o.allow()
	}
}

// canRestore reports whether chmpx ran another file before this one. The same bytes under another
// revision are none: what somebody else wrote in between has ended chmpx, and not they.
func (o *output) canRestore() bool {
	return o.safe.good && o.safe.sum != o.file.sum && !o.file.ran
}

// restoreSafe makes the version that chmpx ran last the one that belongs in place, and bans the
// text that ended chmpx; sparing: until chmpx has run that version again, the first time.
func (o *output) restoreSafe(sparing bool) {
	o.banned = o.file.digest
	switch {
	case o.spared == o.banned: // it has been tried again
		o.spared = ""
	case sparing:
		o.spared = o.banned
	}
	o.file = o.safe
	o.etag = ""
}

// restored takes note that the version that chmpx ran last is in place.
func (o *output) restored() { o.safe = o.file }

// ban is why the banned text is not put in place.
func (o *output) ban() string {
	if o.banned == o.spared {
		return "chmpx ended just when it got this text; the agent keeps the previous slave.ini, and tries this one again as soon as chmpx runs that"
	}
	return "chmpx ended when it loaded this text; the agent keeps the previous slave.ini until K2HR3 has another text (`systemctl reload k2hdkc-slave-agent` tries it again)"
}

// allow lifts the ban.
func (o *output) allow() { o.banned = "" }

// place is where the file lists the host of a CUK among the slaves, -1 if it
// does not, and how many slaves it lists.
func (o *output) place(cuk string) (place, slaves int) {
	if o.file.config == nil {
		return -1, 0
	}
	list := o.file.config.Slaves
	return slices.IndexFunc(list, func(n chmpx.Node) bool { return n.CUK == cuk }), len(list)
}

// nextRevision differs from every one that chmpx may know. runs is what it was
// last seen to run, nil if it does not run.
func (o *output) nextRevision(runs *daemon.Status) int {
	latest := o.revision
	if runs != nil {
		latest = later(latest, runs.Revision)
	}
	return render.NextRevision(latest)
}

// later returns which of two revisions was given later. They start again at 1
// after the largest, so the one that is less than half a round ahead is it. What
// is no revision is earlier than any.
func later(a, b int) int {
	if a < 1 || b < 1 {
		return max(a, b)
	}
	ahead := b - a
	if ahead > render.MaxRevision/2 || ahead < 0 && ahead >= -render.MaxRevision/2 {
		return a
	}
	return b
}
