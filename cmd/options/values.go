package options

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Every function here is or makes a setter, which parses one value or says what is accepted
// instead.

func absolute(field func(*Options) *string) func(*Options, string) error {
	return func(o *Options, value string) error {
		if err := checkPath(value); err != nil {
			return err
		}
		*field(o) = path.Clean(value)
		return nil
	}
}

func checkPath(value string) error {
	if !path.IsAbs(value) {
		return fmt.Errorf("%s is not an absolute path: it has to begin with /", k2hr3.Quote(value))
	}
	return nil
}

func boolean(field func(*Options) *bool) func(*Options, string) error {
	return func(o *Options, value string) error {
		switch strings.ToLower(value) {
		case "yes", "true", "on", "1":
			*field(o) = true
		case "no", "false", "off", "0":
			*field(o) = false
		default:
			return fmt.Errorf("%s is neither yes nor no", k2hr3.Quote(value))
		}
		return nil
	}
}

func choice(accepted []string, set func(*Options, string)) func(*Options, string) error {
	return func(o *Options, value string) error {
		for _, a := range accepted {
			if strings.EqualFold(a, value) {
				set(o, a)
				return nil
			}
		}
		return fmt.Errorf("%s is not one of %s", k2hr3.Quote(value), strings.Join(accepted, ", "))
	}
}

// duration accepts least to most, and 0 if zero says so.
func duration(field func(*Options) *time.Duration, zero bool, least, most time.Duration) func(*Options, string) error {
	return func(o *Options, value string) error {
		d, err := parseDuration(value)
		switch {
		case err != nil:
			return err
		case d == 0 && zero:
		case d < least && zero:
			return fmt.Errorf("%s is too short: write 0 for never, or %s or more", value, brief(least))
		case d < least:
			return fmt.Errorf("%s is too short: %s is the least", value, brief(least))
		case d > most:
			return fmt.Errorf("%s is too long: %s is the most", value, brief(most))
		}
		*field(o) = d
		return nil
	}
}

// tooLong is a duration as far as its form goes.
var tooLong = regexp.MustCompile(`^\+?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`)

func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err == nil {
		return d, nil
	}
	if tooLong.MatchString(value) { // for time.Duration
		return math.MaxInt64, nil
	}
	if _, err := strconv.ParseUint(value, 10, 64); err == nil {
		return 0, fmt.Errorf("%s has no unit: write %ss for seconds", k2hr3.Quote(value), value)
	}
	return 0, fmt.Errorf("%s is not a duration: write 10s, 2m or 1h30m", k2hr3.Quote(value))
}

// brief writes a duration without units that count nothing.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func setWait(o *Options, value string) error {
	err := duration(func(o *Options) *time.Duration { return &o.Wait }, true, time.Second, 10*time.Minute)(o, value)
	if err == nil && o.Wait%time.Second != 0 {
		return fmt.Errorf("%s is not a number of whole seconds", value)
	}
	return err
}

func setReload(o *Options, choice string) {
	o.Reload = map[string]watcher.Reload{"auto": watcher.ReloadAuto, "restart": watcher.ReloadRestart, "none": watcher.ReloadNone}[choice]
}

func heals() []string { return []string{"idle", "servers", "never"} }

func setHeal(o *Options, choice string) {
	o.Heal = map[string]watcher.Heal{"idle": watcher.HealIdle, "servers": watcher.HealServers, "never": watcher.HealNever}[choice]
}

func program(field func(*Options) *string) func(*Options, string) error {
	return func(o *Options, value string) error {
		switch {
		case strings.ContainsFunc(value, unicode.IsSpace):
			return fmt.Errorf("%s contains a blank: name one program, without arguments", k2hr3.Quote(value))
		case strings.Contains(value, "/") && !path.IsAbs(value):
			return fmt.Errorf("%s is neither a name to look up in PATH nor an absolute path", k2hr3.Quote(value))
		}
		*field(o) = value
		return nil
	}
}

func setRoleTokenFile(o *Options, value string) error {
	if err := noToken(value); err != nil {
		return err
	}
	if k2hr3.HoldsUserDataAddress(value) {
		return errors.New("the value (not shown) is the address of user data, which is as secret as a token: put it into a file that only the agent can read, and name that file")
	}
	return absolute(func(o *Options) *string { return &o.RoleTokenFile })(o, value)
}

// noToken refuses a token in place of the name of its file.
func noToken(value string) error {
	if k2hr3.HoldsToken(path.Base(value)) {
		return errors.New("the value (not shown) looks like a token itself: put the token into a file that only the agent can read, and name that file")
	}
	return nil
}

func setOutput(o *Options, value string) error {
	if err := checkPath(value); err != nil {
		return err
	}
	if !strings.EqualFold(path.Ext(value), ".ini") {
		return fmt.Errorf("%s does not end in .ini: chmpx goes by the extension, and the agent writes INI", k2hr3.Quote(value))
	}
	o.Output = path.Clean(value)
	return nil
}

func setMode(o *Options, value string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(value, "0o"), 8, 32)
	if err != nil || fs.FileMode(n)&^permissions != 0 {
		return fmt.Errorf("%s is not a mode in octal, such as 0644", k2hr3.Quote(value))
	}
	mode := fs.FileMode(n)
	switch {
	case mode&0o400 == 0:
		return fmt.Errorf("%s does not let the owner read the file: chmpx exits when it cannot read it; write 0644 or 0640", value)
	case mode&0o002 != 0:
		return fmt.Errorf("%s lets everybody write the file, and so stop chmpx; write 0644 or 0640", value)
	}
	o.Mode = &mode
	return nil
}

func account(what string, field func(*Options) *string) func(*Options, string) error {
	return func(o *Options, value string) error {
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == ':' || r == '/' }) {
			return fmt.Errorf("%s is not the name or number of one %s", k2hr3.Quote(value), what)
		}
		*field(o) = value
		return nil
	}
}

// accountName is a name, or number, that systemd takes for a user or a group.
var accountName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}$`)

// accountOfUnit sets a user or a group that a unit names.
func accountOfUnit(what string, field func(*Options) *string) func(*Options, string) error {
	return func(o *Options, value string) error {
		if !accountName.MatchString(value) {
			return fmt.Errorf("%s is not the name or number of one %s", k2hr3.Quote(value), what)
		}
		*field(o) = value
		return nil
	}
}

func setMinServers(o *Options, value string) error {
	n, err := strconv.ParseUint(value, 10, 31)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a count: write 1 or more", k2hr3.Quote(value))
	case n == 0:
		return errors.New("0 would let the agent apply an answer without servers, and chmpx exits when its file lists none: write 1 or more")
	}
	o.MinServers = int(n)
	return nil
}

var unitName = regexp.MustCompile(`^[0-9A-Za-z:_.\\@-]+\.service$`)

func setUnit(o *Options, value string) error {
	switch {
	case value == "" || unitName.MatchString(value):
		o.Unit = value
		return nil
	case unitName.MatchString(value + ".service"):
		return fmt.Errorf("%s is not the full name of a service unit: write %s.service", k2hr3.Quote(value), value)
	}
	return fmt.Errorf("%s is not the name of a service unit, such as chmpx.service", k2hr3.Quote(value))
}

func setLogLevel(o *Options, value string) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[strings.ToLower(value)]
	if !ok {
		return fmt.Errorf("%s is not one of debug, info, warn, error", k2hr3.Quote(value))
	}
	o.LogLevel = level
	return nil
}

// maxSocketPath is the longest path that a socket can have (unix(7)), in bytes.
const maxSocketPath = 107

func setMetricsListen(o *Options, value string) error {
	if value == "" {
		o.MetricsListen = Socket{}
		return nil
	}
	if name, ok := strings.CutPrefix(value, "unix:"); ok {
		if err := checkPath(name); err != nil {
			return err
		}
		name = path.Clean(name)
		if len(name) > maxSocketPath {
			return fmt.Errorf("%s is longer than the path of a socket can be, %d bytes", k2hr3.Quote(name), maxSocketPath)
		}
		o.MetricsListen = Socket{"unix", name}
		return nil
	}
	host, port, err := net.SplitHostPort(value)
	if strings.Contains(value, "/") || strings.ContainsFunc(value, unicode.IsSpace) || err != nil {
		return fmt.Errorf("%s is no address to listen at: write HOST:PORT, such as 127.0.0.1:9765, or unix:PATH", k2hr3.Quote(value))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%s has no port from 1 to 65535: write HOST:PORT, such as 127.0.0.1:9765", k2hr3.Quote(value))
	}
	o.MetricsListen = Socket{"tcp", net.JoinHostPort(host, port)}
	return nil
}

func setMetricsTextfile(o *Options, value string) error {
	if value == "" {
		o.MetricsTextfile = ""
		return nil
	}
	if err := checkPath(value); err != nil {
		return err
	}
	if path.Ext(value) != ".prom" || path.Base(value) == ".prom" {
		return fmt.Errorf("%s does not end in .prom: node_exporter's textfile collector reads no other files", k2hr3.Quote(value))
	}
	o.MetricsTextfile = path.Clean(value)
	return nil
}

// checkText refuses what no value may contain.
func checkText(value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("the value contains a control character or a line end")
	}
	if !utf8.ValidString(value) {
		return errors.New("the value is not UTF-8 text")
	}
	return nil
}
