package chmpx

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"k2hdkc-slave-agent/chmpx/ini"
)

// placeholderForm is what the deployments' templates leave to whoever reads a RESOURCE, as
// __SELF_INSTANCE_ID__ and %%SELF_CONTAINER_CUK%% (docs/k2hr3.md D.3). It is a word of its own in
// upper case, or between doubled percent signs, so that nothing real looks like it: host names have
// neither, a CUK in base64 has no percent sign and no word that two underscores begin and end,
// percent-encoding never doubles its sign, and paths like /srv/__data__ are in lower case, as
// orders__EU__1 is one word.
var placeholderForm = regexp.MustCompile(`\b__[A-Z][A-Z0-9_]*[A-Z0-9]__\b|%%[A-Za-z0-9_.-]+%%`)

// notReplaced says what a placeholder that is left tells: what kind of text it is.
func notReplaced(name string) string {
	kind := "OpenStack: set flavour = openstack"
	if strings.HasPrefix(name, "%%") {
		kind = "Kubernetes: set flavour = k8s"
	}
	return "nobody has replaced it. This looks like a RESOURCE of " + kind + "; where that is set, correct the template in K2HR3"
}

// Leftover returns a placeholder that is left in a value, whatever chmpx makes of it. Such a text
// is for another flavour than this host's, or its template has a fault: nobody knows what else in
// it is wrong.
func (r Report) Leftover() (Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Rule == RulePlaceholder })
	if i < 0 {
		return Finding{}, false
	}
	return r.Findings[i], true
}

// checkPlaceholders looks for placeholders in the values of all sections, also of those that chmpx
// does not read, but for SELFCUK, which checkSelf looks at.
func (l *loader) checkPlaceholders(b []byte) {
	if !bytes.Contains(b, []byte("__")) && !bytes.Contains(b, []byte("%%")) {
		return
	}
	var left []ini.Line // of the node whose section this is
	node := ""
	for line := range ini.Lines(b) {
		if line.Kind == ini.Section {
			l.leftInNode(left, node)
			left, node = nil, ""
			continue
		}
		inNode := line.Section == ini.SvrNode || line.Section == ini.SlvNode
		if inNode && line.Key == "NAME" {
			node = line.Value
		}
		switch {
		case !placeholderForm.MatchString(line.Value):
		case inNode:
			left = append(left, line)
		default:
			l.leftOutsideNodes(line)
		}
	}
	l.leftInNode(left, node)
}

// leftOutsideNodes is for a value of [GLOBAL], or of a section that chmpx skips.
func (l *loader) leftOutsideNodes(line ini.Line) {
	name := placeholderForm.FindString(line.Value)
	global, read := line.Section == ini.Global, l.global[line.Key].line == line.Number
	switch {
	case global && line.Key == "SELFCUK":
	case global && line.Key == "DATE":
		l.add(Accept, RulePlaceholder, line.Number, line.Key, "DATE of [GLOBAL] is still the placeholder %s, which does chmpx no harm: %s", quote(name), notReplaced(name))
	case global && read:
		l.add(Dangerous, RulePlaceholder, line.Number, line.Key, "%s of [GLOBAL] has the placeholder %s in it: %s", line.Key, quote(name), notReplaced(name))
	default:
		l.add(Accept, RulePlaceholder, line.Number, clip(line.Key), "%s, which chmpx does not read here, has the placeholder %s in it: %s", clip(line.Key), quote(name), notReplaced(name))
	}
}

// leftInNode is for values of a node's section, which are what that node was registered with.
func (l *loader) leftInNode(left []ini.Line, node string) {
	for _, line := range left {
		name := placeholderForm.FindString(line.Value)
		l.add(Accept, RulePlaceholder, line.Number, clip(line.Key), "%s of the [%s] %s has the placeholder %s in it: %s, or take that node out of the role and register it anew",
			clip(line.Key), line.Section, quote(node), quote(name), notReplaced(name))
	}
}
