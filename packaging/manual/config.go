package main

import (
	"fmt"
	"strings"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/cmd/prose"
)

// configHead is the beginning of the configuration file that comes with the
// packages.
const configHead = `# Configuration of k2hdkc-slave-agent(8). What each option does is told in full
# by slave-agent.ini(5). Nothing has to be set on a host that K2HR3's user data
# script has set up: the agent reads what that left in /etc/antpickax. Anywhere
# else api-uri and role are needed, and a role token in /etc/k2hdkc/role-token.
#
# To set an option, remove the # before its name. A change is noticed and taken up
# at once. What has a value below has that as its default.
`

// config is the configuration file with every option in it, none of them set.
func config() (string, error) {
	var b strings.Builder
	b.WriteString(configHead)
	for _, section := range options.Sections() {
		fmt.Fprintf(&b, "\n[%s]\n", section)
		for _, o := range options.OfSection(section) {
			configOption(&b, o)
		}
	}
	return b.String(), nil
}

func configOption(b *strings.Builder, o options.Option) {
	about := sentence(o.Help)
	if n := len(o.Choices); n > 2 && !strings.Contains(o.Help, o.Choices[n-1]) {
		about += " One of " + strings.Join(o.Choices, ", ") + "."
	}
	value := o.Default
	if value == "" {
		about += " Default: " + strings.TrimSuffix(o.DefaultNote, ".") + "."
		value = o.Placeholder
	}
	fmt.Fprintf(b, "\n# %s\n#%s = %s\n", strings.Join(prose.Wrap(about, 78), "\n# "), o.Key, value)
}
