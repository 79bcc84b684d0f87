package options

import (
	"io/fs"
	"log/slog"
	"time"

	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// LogFormat says how log records are written.
type LogFormat string

// The formats of LogFormat.
const (
	LogAuto LogFormat = "auto" // journal fields under systemd, else text
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Socket is an address to listen at. The zero Socket is none.
type Socket struct {
	Network string // "tcp" or "unix"
	Address string // HOST:PORT, or an absolute path
}

// Options are the values of all options, resolved. Paths are absolute and clean.
type Options struct {
	ConfigFile string // as named or the default; it may not exist then

	APIURI               k2hr3.API      // zero when nothing names one, see RequireK2HR3
	Role                 k2hr3.Role     // likewise
	Resource             k2hr3.Resource // follows from Role unless it is set
	Flavour              Flavour        // one of the two; Source says why
	RoleTokenFile        string         // empty: no token; see FindRoleTokenFile
	UserTokenFile        string         // empty: none; in a pod alone
	ForgetBootstrapToken bool
	CAFile               string // empty: the system's roots
	CertFile             string // empty: no client certificate; with KeyFile or not at all
	KeyFile              string
	Interval             time.Duration // 1s to 1h
	Wait                 time.Duration // 0, or whole seconds, 1s to 10m
	Timeout              time.Duration // 1s to 5m

	Output     string       // ends in .ini
	Mode       *fs.FileMode // permission bits; nil: of the existing file, else 0644
	Owner      string       // name or number; empty: of the existing file, else the agent's own
	Group      string
	CUK        k2hr3.CUK // as configured; zero: see ResolveCUK
	Tag        string    // as configured; empty: to be found out
	MinServers int       // at least 1
	Stamp      bool

	Unit               string // empty: there is no systemd here
	Reload             watcher.Reload
	Start              bool
	StatusCommand      string        // name to look up in PATH or absolute path; empty: none
	CheckCommand       string        // likewise
	Confirm            time.Duration // 0: don't ask; else 1s to 1h
	RestartUnconfirmed bool
	Peek               time.Duration // 0: don't look; else 100ms to 10m
	Heal               watcher.Heal
	ChmpxUser          string // whom chmpx's drop-in runs chmpx as
	AppGroup           string // whose members may join chmpx

	StateDir       string
	RunDir         string
	AntpickaxDir   string
	InstanceIDFile string
	LogLevel       slog.Level
	LogFormat      LogFormat

	MetricsListen   Socket // zero: none is opened
	MetricsTextfile string // ends in .prom; empty: none

	UserData UserDataFlags
	Only     string // the checks of the verb doctor to make, as typed; empty: all

	Args     []string        // what is left of the command line, at most what the verb takes
	Switches map[string]bool // the verb's own flags that were given, by name without dashes

	system    System
	flavoured Source // what says the flavour
	settings  map[string]Setting
	deferred  map[string]error // what is wrong with a value only some verbs need
}

// Setting is the value of one option as text, and its source.
type Setting struct {
	Option Option
	Text   string
	Source Source
}

// Settings lists every option that has a value, in the order of the table, and where it came from.
func (o *Options) Settings() (list []Setting) {
	for _, opt := range Table() {
		s, ok := o.settings[opt.Key]
		switch {
		case opt.Key == "flavour" && o.Flavour != "" && !(ok && o.flavoured == s.Source):
			s = Setting{Option: opt, Text: string(o.Flavour), Source: o.flavoured}
		case ok:
		case opt.Key == "unit" && o.Unit == "":
			s = Setting{Option: opt, Source: o.flavoured}
		case opt.Key == "role-token-file" && o.RoleTokenFile != "":
			s = Setting{Option: opt, Text: o.RoleTokenFile, Source: o.Source(opt.Key)}
		case opt.Key == "resource" && !o.Resource.IsZero():
			s = Setting{Option: opt, Text: o.Resource.String(), Source: o.Source(opt.Key)}
		case opt.Default != "":
			s = Setting{Option: opt, Text: opt.Default}
		default:
			continue
		}
		list = append(list, s)
	}
	return list
}

// PeekDirect is the pause between looks that do not run chmpxstatus: peek, and less where that is
// not set.
func (o *Options) PeekDirect() time.Duration {
	if o.Source("peek").Kind == FromDefault {
		return peekDirect
	}
	return o.Peek
}

// peekDirect keeps a change that chmpx sees below a second, and an agent at rest at 0.03 % of a
// core (BenchmarkChange, BenchmarkRest in tests/bench).
const peekDirect = 900 * time.Millisecond

// Source tells where the value of an option came from.
func (o *Options) Source(key string) Source {
	if key == "flavour" {
		return o.flavoured
	}
	if s, ok := o.settings[key]; ok {
		return s.Source
	}
	switch key {
	case "cuk":
		return Source{Kind: FromFile, Name: o.cukFile()}
	case "role-token-file":
		_, from := o.FindRoleTokenFile()
		return from
	case "resource":
		return o.Source("role")
	}
	return Source{}
}
