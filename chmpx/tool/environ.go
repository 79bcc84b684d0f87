package tool

import (
	"os"
	"strings"
)

// Environ is this process's environment without the variables that chmpx's
// programs read (docs/chmpx.md F.2), those that would change the language of their
// output, and those with which a child could speak to systemd for the agent. It is
// never nil.
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
