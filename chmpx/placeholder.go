package chmpx

import (
	"regexp"
	"strings"
)

// placeholderForm is what the deployments' templates leave to whoever reads a RESOURCE, as
// __SELF_INSTANCE_ID__ and %%SELF_CONTAINER_CUK%% (docs/k2hr3.md D.3).
var placeholderForm = regexp.MustCompile(`__[A-Z][A-Z0-9_]*[A-Z0-9]__|%%[A-Za-z0-9_.-]+%%`)

// notReplaced says what a placeholder that is left tells: what kind of text it is.
func notReplaced(name string) string {
	kind := "OpenStack (flavour = openstack)"
	if strings.HasPrefix(name, "%%") {
		kind = "Kubernetes (flavour = k8s)"
	}
	return "nobody has replaced it; this is the raw text of a RESOURCE, or one for slaves on " + kind + " and read by one of another flavour"
}

// checkPlaceholders looks for placeholders in the values of [GLOBAL], but for SELFCUK, which
// checkSelf looks at, and DATE, which nothing reads. What the nodes' sections have is what the
// nodes were registered with; one such node must not keep a file from all others.
func (l *loader) checkPlaceholders() {
	for key, e := range l.global {
		name := placeholderForm.FindString(e.value)
		switch {
		case name == "" || key == "SELFCUK":
		case key == "DATE":
			l.add(Accept, RulePlaceholder, e.line, key, "DATE is still the placeholder %s, which does chmpx no harm: %s", quote(name), notReplaced(name))
		default:
			l.add(Dangerous, RulePlaceholder, e.line, key, "%s has the placeholder %s in it: %s", key, quote(name), notReplaced(name))
		}
	}
	for _, in := range []*blocks{&l.svr, &l.slv} {
		for _, b := range in.list {
			for k, e := range b.v {
				if name := placeholderForm.FindString(e.value); name != "" {
					l.add(Accept, RulePlaceholder, e.line, nodeKey(k).String(), "%s of this [%s] has the placeholder %s in it: the node was registered with that, and is of no use until it is registered anew",
						nodeKey(k), in.section, quote(name))
				}
			}
		}
	}
}
