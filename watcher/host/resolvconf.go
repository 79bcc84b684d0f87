package host

import (
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
)

// resolvConf is what the agent reads from /etc/resolv.conf.
type resolvConf struct {
	servers []string
	domain  string // the last word of the search line, else that of the domain line
}

// readResolvConf returns the zero value if there is no such file.
func readResolvConf() resolvConf {
	text, err := regularfile.Read("/etc/resolv.conf", regularfile.Small)
	if err != nil {
		return resolvConf{}
	}
	return parseResolvConf(string(text))
}

func parseResolvConf(text string) resolvConf {
	var c resolvConf
	search := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			c.servers = append(c.servers, words[1])
		case "search":
			search = words[len(words)-1]
		case "domain":
			c.domain = words[len(words)-1]
		}
	}
	if search != "" {
		c.domain = search
	}
	c.domain = strings.Trim(c.domain, ".")
	return c
}
