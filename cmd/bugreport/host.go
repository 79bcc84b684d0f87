package bugreport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx/tool"
	"k2hdkc-slave-agent/cmd/options"
)

// toolLimit is how long a program may take.
const toolLimit = 5 * time.Second

// Output returns what a program prints.
func Output(command string, args ...string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		var out tool.Output
		err := tool.Run(ctx, tool.Call{Command: command, Args: args, Timeout: toolLimit, MaxOutput: maxPiece}, &out)
		b := bytes.Clone(out.Bytes())
		if errors.Is(err, tool.ErrNotInstalled) {
			return nil, err
		}
		if err != nil {
			b = append(b, out.Complaint()...)
		}
		return b, err
	}
}

// Journal returns the latest entries of a unit.
func Journal(unit string) func(context.Context) ([]byte, error) {
	return Output("journalctl", "--unit="+unit, "--lines=3000", "--output=short-iso", "--no-pager", "--quiet")
}

// unitProperties are those of a unit that say how it is, and nothing that somebody may have put a
// secret into.
var unitProperties = []string{
	"Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "FragmentPath", "DropInPaths", "NeedDaemonReload",
	"Result", "MainPID", "ExecMainCode", "ExecMainStatus", "ExecMainStartTimestamp", "ExecMainExitTimestamp", "NRestarts",
	"ActiveEnterTimestamp", "InactiveEnterTimestamp", "User", "Group", "Restart", "WatchdogUSec", "WatchdogTimestamp",
	"MemoryCurrent", "CPUUsageNSec", "TasksCurrent", "ReadWritePaths", "CapabilityBoundingSet", "PrivateUsers", "ProtectSystem",
	"RestrictAddressFamilies", "StatusText", "Environment",
}

// Unit returns the properties of a unit.
func Unit(unit string) func(context.Context) ([]byte, error) {
	show := Output("systemctl", "show", "--no-pager", "--property="+strings.Join(unitProperties, ","), "--", unit)
	return func(ctx context.Context) ([]byte, error) {
		b, err := show(ctx)
		return allowed(b), err
	}
}

// allowed leaves out what was not asked for, and what is in variables that are no options.
func allowed(shown []byte) []byte {
	var kept strings.Builder
	for line := range strings.Lines(string(shown)) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "=")
		if !ok || !slices.Contains(unitProperties, name) {
			continue
		}
		if name == "Environment" {
			value = Environment(strings.Fields(value))
		}
		fmt.Fprintf(&kept, "%s=%s\n", name, value)
	}
	return []byte(kept.String())
}

// Environment writes variables: options of the agent with their values, others by name alone.
func Environment(entries []string) string {
	var kept []string
	for _, e := range entries {
		name, _, ok := strings.Cut(strings.Trim(e, `"`), "=")
		switch {
		case !ok: // the rest of a value with blanks
		case strings.HasPrefix(name, options.EnvPrefix):
			kept = append(kept, strings.Trim(e, `"`))
		default:
			kept = append(kept, name+"=(not shown)")
		}
	}
	return strings.Join(kept, " ")
}
