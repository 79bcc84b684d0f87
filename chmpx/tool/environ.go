package tool

import (
	"os"
	"strings"
)

// Environ is this process's environment without what chmpx's programs read
// (docs/chmpx.md F.2), what would change the language of their output, and what
// lets a child speak for the agent to systemd. It is never nil.
func Environ() []string { return clean(os.Environ()) }

func clean(environ []string) []string {
	env := make([]string, 0, len(environ)+1)
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "CHMCONFFILE", "CHMJSONCONF", "CHMDBGMODE", "CHMDBGFILE", "CHMPX_COM_PROTO_VER",
			"LANG", "LANGUAGE", "NOTIFY_SOCKET":
			continue
		}
		if strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_") {
			continue
		}
		env = append(env, kv)
	}
	return append(env, "LC_ALL=C")
}
