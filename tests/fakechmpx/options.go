package fakechmpx

import (
	"os"
	"strings"
)

// arguments are the options of chmpx and its tools: names in any case after a
// dash, the next word is the value unless it begins with a dash itself (F.1).
type arguments map[string]string

func parseArguments(words []string) arguments {
	args := arguments{}
	for i := 0; i < len(words); i++ {
		name, isOption := strings.CutPrefix(words[i], "-")
		if !isOption {
			continue
		}
		value := ""
		if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			i++
			value = words[i]
		}
		args[strings.ToLower(strings.TrimPrefix(name, "-"))] = value
	}
	return args
}

// first returns the value of the first of the names that is given.
func (a arguments) first(names ...string) string {
	for _, name := range names {
		if value := a[name]; value != "" {
			return value
		}
	}
	return ""
}

func (a arguments) given(name string) bool {
	_, ok := a[name]
	return ok
}

// conf is the configuration file; empty if there is none (A.6).
func (a arguments) conf() string {
	if path := a.first("conf", "f", "json"); path != "" {
		return path
	}
	return os.Getenv("CHMCONFFILE")
}

// apply lets the command line override what the file says of the own node. ok is
// false for a control port chmpx refuses.
func (a arguments) apply(h Host) (Host, bool) {
	h.CUK = a["cuk"]
	text := a.first("ctlport", "cntlport", "cntrlport")
	if text == "" {
		return h, true
	}
	h.CtlPort = port(text)
	return h, h.CtlPort != 0 && h.CtlPort != noPort
}

// logLevel is what -d asks for, from 0 (silent) to 4 (dump).
func (a arguments) logLevel() int {
	switch strings.ToLower(a.first("d", "g")) {
	case "err", "error":
		return 1
	case "wan", "warning":
		return 2
	case "msg", "info", "inf":
		return 3
	case "dump":
		return 4
	}
	return 0
}
