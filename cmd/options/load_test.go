package options

import (
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

func TestDefaultsOnABareHost(t *testing.T) {
	got := mustLoad(t, system(nil))
	want := &Options{
		ConfigFile:     "/etc/k2hdkc/slave-agent.ini",
		Interval:       60 * time.Second,
		Wait:           55 * time.Second,
		Timeout:        20 * time.Second,
		Output:         "/etc/k2hdkc/slave.ini",
		MinServers:     1,
		Stamp:          true,
		Flavour:        OpenStack,
		Unit:           "chmpx.service",
		Reload:         watcher.ReloadAuto,
		Start:          true,
		StatusCommand:  "chmpxstatus",
		CheckCommand:   "chmpxconftest",
		Confirm:        30 * time.Second,
		Peek:           2 * time.Second,
		ChmpxUser:      "k2hdkc",
		AppGroup:       "k2hdkc",
		StateDir:       "/var/lib/k2hdkc-slave-agent",
		RunDir:         "/run/k2hdkc-slave-agent",
		AntpickaxDir:   "/etc/antpickax",
		InstanceIDFile: "/var/lib/cloud/data/instance-id",
		LogLevel:       slog.LevelInfo,
		LogFormat:      LogAuto,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Options{}), cmpopts.EquateComparable(k2hr3.API{}, k2hr3.Role{}, k2hr3.Resource{}, k2hr3.CUK{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	for _, opt := range Table() {
		if from := got.Source(opt.Key); from.Kind != FromDefault && opt.Key != "cuk" {
			t.Errorf("%s is from %s, want default", opt.Key, from)
		}
	}
}

func TestEveryKeyOfTheConfigurationFile(t *testing.T) {
	got := mustLoad(t, configured(`
[k2hr3]
api-uri = https://k2hr3.shop.example:18080
role = yrn:yahoo:::shop:role:orders/slave
resource = yrn:yahoo:::shop:resource:orders/special
role-token-file = /etc/k2hdkc/token
flavour = k8s
user-token-file = /etc/k2hdkc/user-token
forget-bootstrap-token = yes
ca-file = /etc/k2hdkc/ca.pem
cert-file = /etc/k2hdkc/cert.pem
key-file = /etc/k2hdkc/key.pem
interval = 90s
wait = 30s
timeout = 15s
[slave]
output = /etc/antpickax/k2hdkc.ini
mode = 0640
owner = k2hdkc
group = 990
cuk = vm-1
tag = vm-1.shop.example
min-servers = 3
stamp = no
[chmpx]
unit = chmpx@orders.service
reload = restart
start = no
status-command = /opt/chmpx/chmpxstatus
check-command =
confirm = 0
restart-unconfirmed = yes
peek = 500ms
heal = servers
chmpx-user = root
app-group = 1001
[agent]
state-dir = /srv/agent/
run-dir = /run/agent
antpickax-dir = /etc/other
instance-id-file = /etc/instance
log-level = debug
log-format = json
metrics-listen = 127.0.0.1:9765
metrics-textfile = /var/lib/node_exporter/agent.prom
`))
	mode := fs.FileMode(0o640)
	want := &Options{
		ConfigFile: "/etc/k2hdkc/slave-agent.ini",
		APIURI:     must(k2hr3.ParseAPI("https://k2hr3.shop.example:18080")),
		Role:       must(k2hr3.ParseRole(shopRole)), Resource: must(k2hr3.ParseResource("yrn:yahoo:::shop:resource:orders/special")),
		RoleTokenFile: "/etc/k2hdkc/token", Flavour: Kubernetes, UserTokenFile: "/etc/k2hdkc/user-token", ForgetBootstrapToken: true,
		CAFile: "/etc/k2hdkc/ca.pem", CertFile: "/etc/k2hdkc/cert.pem", KeyFile: "/etc/k2hdkc/key.pem",
		Interval: 90 * time.Second, Wait: 30 * time.Second, Timeout: 15 * time.Second,
		Output: "/etc/antpickax/k2hdkc.ini", Mode: &mode, Owner: "k2hdkc", Group: "990",
		CUK: must(k2hr3.ParseCUK("vm-1")), Tag: "vm-1.shop.example", MinServers: 3,
		Unit: "chmpx@orders.service", Reload: watcher.ReloadRestart,
		StatusCommand: "/opt/chmpx/chmpxstatus", RestartUnconfirmed: true, Peek: 500 * time.Millisecond, Heal: watcher.HealServers,
		ChmpxUser: "root", AppGroup: "1001",
		StateDir: "/srv/agent", RunDir: "/run/agent", AntpickaxDir: "/etc/other", InstanceIDFile: "/etc/instance",
		LogLevel: slog.LevelDebug, LogFormat: LogJSON,
		MetricsListen: Socket{"tcp", "127.0.0.1:9765"}, MetricsTextfile: "/var/lib/node_exporter/agent.prom",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Options{}), cmpopts.EquateComparable(k2hr3.API{}, k2hr3.Role{}, k2hr3.Resource{}, k2hr3.CUK{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if given := len(got.settings); given != len(Table())-1 {
		t.Errorf("%d options are set, want all %d of the file", given, len(Table())-1)
	}
}

// Each stronger place beats each weaker one.
func TestPrecedence(t *testing.T) {
	const (
		file   = "yrn:yahoo:::shop:role:from/file"
		antpx  = "yrn:yahoo:::shop:role:from/antpickax"
		env    = "yrn:yahoo:::shop:role:from/environment"
		flag   = "yrn:yahoo:::shop:role:from/flag"
		envVar = "K2HDKC_SLAVE_ROLE=" + env
	)
	antpickax := map[string]string{"/etc/antpickax/k2hr3-role-name": antpx}
	both := map[string]string{"/etc/antpickax/k2hr3-role-name": antpx, "/etc/k2hdkc/slave-agent.ini": "# agent\n[k2hr3]\nrole=" + file}
	flags := []string{"--role", flag}
	tests := []struct {
		name   string
		system System
		args   []string
		role   string
		source string
	}{
		{"antpickax beats default", system(antpickax), nil, antpx, "/etc/antpickax/k2hr3-role-name"},
		{"file beats antpickax", system(both), nil, file, "/etc/k2hdkc/slave-agent.ini:3"},
		{"environment beats file", system(both, envVar), nil, env, "environment K2HDKC_SLAVE_ROLE"},
		{"environment beats antpickax", system(antpickax, envVar), nil, env, "environment K2HDKC_SLAVE_ROLE"},
		{"flag beats environment", system(both, envVar), flags, flag, "flag --role"},
		{"flag beats file", system(both), flags, flag, "flag --role"},
		{"flag beats antpickax", system(antpickax), flags, flag, "flag --role"},
		{"the last of two flags counts", system(nil), []string{"--role", file, "--role=" + flag}, flag, "flag --role"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, tt.system, tt.args...)
			if o.Role.String() != tt.role {
				t.Errorf("role %s, want %s", o.Role, tt.role)
			}
			if got := o.Source("role").String(); got != tt.source {
				t.Errorf("source %q, want %q", got, tt.source)
			}
		})
	}
}

func TestWhichConfigurationFile(t *testing.T) {
	h := system(map[string]string{
		"/srv/env.ini":                "[agent]\nlog-level = error",
		"/srv/flag.ini":               "[agent]\nlog-level = debug",
		"/home/op/own.ini":            "[agent]\nlog-level = warn",
		"/etc/k2hdkc/slave-agent.ini": "",
	})
	withEnv := h
	withEnv.Environ = []string{"K2HDKC_SLAVE_CONFIG=/srv/env.ini"}
	tests := []struct {
		name   string
		system System
		args   []string
		want   slog.Level
		file   string
	}{
		{"default", h, nil, slog.LevelInfo, "/etc/k2hdkc/slave-agent.ini"},
		{"environment", withEnv, nil, slog.LevelError, "/srv/env.ini"},
		{"flag beats environment", withEnv, []string{"--config", "/srv/flag.ini"}, slog.LevelDebug, "/srv/flag.ini"},
		{"relative to the working directory on the command line", h, []string{"--config=own.ini"}, slog.LevelWarn, "/home/op/own.ini"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustLoad(t, tt.system, tt.args...)
			if o.LogLevel != tt.want || o.ConfigFile != tt.file {
				t.Errorf("level %s from %s, want %s from %s", o.LogLevel, o.ConfigFile, tt.want, tt.file)
			}
		})
	}
}

func TestConfigurationFileThatCannotBeRead(t *testing.T) {
	dir := system(map[string]string{"/etc/k2hdkc/slave-agent.ini/x": ""})
	unreadable := deny(configured(""), "/etc/k2hdkc/slave-agent.ini")
	binary := configured("[agent]\nlog-level = \xff")
	long := configured(strings.Repeat("#\n", regularfile.Small))
	tests := []struct {
		name   string
		system System
		args   []string
		want   []string
		usage  bool
	}{
		{"named by flag but absent", system(nil), []string{"--config", "/srv/no.ini"}, []string{"cannot read /srv/no.ini", "does not exist"}, false},
		{"named by environment but absent", system(nil, "K2HDKC_SLAVE_CONFIG=/srv/no.ini"), nil, []string{"cannot read /srv/no.ini"}, false},
		{"directory", dir, nil, []string{"/etc/k2hdkc/slave-agent.ini: it is not a regular file but a directory"}, false},
		{"unreadable", unreadable, nil, []string{"cannot read /etc/k2hdkc/slave-agent.ini: permission denied"}, false},
		{"not text", binary, nil, []string{"/etc/k2hdkc/slave-agent.ini is not UTF-8"}, false},
		{"endless", long, nil, []string{"/etc/k2hdkc/slave-agent.ini: it has more than"}, false},
		{"empty name", system(nil), []string{"--config="}, []string{"flag --config: the value is empty"}, true},
		{"relative name in the environment", system(nil, "K2HDKC_SLAVE_CONFIG=a.ini"), nil,
			[]string{"environment K2HDKC_SLAVE_CONFIG: \"a.ini\" is not an absolute path"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := failLoad(t, tt.system, tt.args, tt.want...)
			if isUsage(err) != tt.usage {
				t.Errorf("usage error: %v, want %v", !tt.usage, tt.usage)
			}
		})
	}
}

func TestMisspeltEnvironmentVariable(t *testing.T) {
	tests := []struct{ entry, want string }{
		{"K2HDKC_SLAVE_API_URL=https://k2hr3", "K2HDKC_SLAVE_API_URL is not an option: did you mean K2HDKC_SLAVE_API_URI?"},
		{"K2HDKC_SLAVE_api_uri=https://k2hr3", "K2HDKC_SLAVE_api_uri is not an option: did you mean K2HDKC_SLAVE_API_URI?"},
		{"K2HDKC_SLAVE_COLOUR=blue", "environment: K2HDKC_SLAVE_COLOUR is not an option"},
		{"K2HDKC_SLAVE_ROLE_TOKEN=" + token, "a token is only taken from a file, which K2HDKC_SLAVE_ROLE_TOKEN_FILE names"},
	}
	for _, tt := range tests {
		t.Run(tt.entry, func(t *testing.T) {
			err := failLoad(t, system(nil, tt.entry), nil, tt.want)
			if isUsage(err) {
				t.Error("the environment makes it a usage error")
			}
		})
	}
	mustLoad(t, system(nil, "K2HDKC_SLAVES=7", "PATH=/bin"))
}

// Kubernetes tells every container of the services of its namespace.
func TestVariablesOfKubernetesServicesAreNoOptions(t *testing.T) {
	mustLoad(t, system(nil,
		"K2HDKC_SLAVE_SERVICE_HOST=10.0.0.7", "K2HDKC_SLAVE_SERVICE_PORT=80", "K2HDKC_SLAVE_SERVICE_PORT_HTTP=80",
		"K2HDKC_SLAVE_PORT=tcp://10.0.0.7:80", "K2HDKC_SLAVE_PORT_80_TCP=tcp://10.0.0.7:80", "K2HDKC_SLAVE_PORT_80_TCP_PROTO=tcp",
		"K2HDKC_SLAVE_PORT_80_TCP_PORT=80", "K2HDKC_SLAVE_PORT_80_TCP_ADDR=10.0.0.7", "K2HDKC_SLAVE_PORT_53_UDP=udp://10.0.0.7:53"))
	// One alone, as in an environment that somebody has picked from.
	mustLoad(t, system(nil, "K2HDKC_SLAVE_SERVICE_PORT_SERVICE_HOST=80"))
	mustLoad(t, system(nil, "K2HDKC_SLAVE_PORT=tcp://10.0.0.7:80"))
	// A service whose name begins with k2hdkc-slave.
	mustLoad(t, system(nil, "K2HDKC_SLAVE_METRICS_SERVICE_HOST=10.0.0.8", "K2HDKC_SLAVE_METRICS_PORT_9100_TCP_ADDR=10.0.0.8", "K2HDKC_SLAVE_METRICS_PORT=tcp://10.0.0.8:9100"))
	for _, entry := range []string{
		"K2HDKC_SLAVE_METRICS_PORT=9100", "K2HDKC_SLAVE_PORTS=1", "K2HDKC_SLAVE_PORT_TCP=80", "K2HDKC_SLAVE_SERVICE=x",
		"K2HDKC_SLAVE_PORT_80_TCP_URI=x", "K2HDKC_SLAVE_SERVICE_HOSTS=x",
	} {
		name, _, _ := strings.Cut(entry, "=")
		failLoad(t, system(nil, entry), nil, name+" is not an option")
	}
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	h := configured("[k2hr3]\nwiat = 5s\n[chmpx]\npeek = 5\n", "K2HDKC_SLAVE_STAMP=maybe")
	err := failLoad(t, h, []string{"--mode=9"}, "slave-agent.ini:2:", "slave-agent.ini:4: peek:", "environment K2HDKC_SLAVE_STAMP", "flag --mode")
	if !isUsage(err) {
		t.Error("a bad flag among other errors is a usage error")
	}
	wantError(t, err, "try: k2hdkc-slave-agent run --help")
}

func TestOptionsThatNeedEachOther(t *testing.T) {
	tests := []struct {
		name, ini string
		args      []string
		want      []string
	}{
		{"certificate without key", "[k2hr3]\ncert-file = /c.pem", nil, []string{"slave-agent.ini:2: cert-file:", "set key-file too"}},
		{"key without certificate", "", []string{"--key-file=/k.pem"}, []string{"flag --key-file:", "set cert-file too"}},
		{"restart without unit", "[chmpx]\nunit =\nreload = restart", nil, []string{"slave-agent.ini:3: reload:", "unit is empty", "slave-agent.ini:2"}},
		{"restart when unconfirmed without unit", "", []string{"--unit=", "--restart-unconfirmed=yes"}, []string{"flag --restart-unconfirmed:", "unit is empty"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { failLoad(t, configured(tt.ini), tt.args, tt.want...) })
	}
}

func TestVerbsWithoutOptionsReadNothing(t *testing.T) {
	h := System{Files: fstest.MapFS{"etc/k2hdkc/slave-agent.ini": {Data: []byte("rubbish")}}, Environ: []string{"K2HDKC_SLAVE_X=1"}}
	o, err := Load(verb(t, "help"), []string{"once"}, h)
	if err != nil || len(o.Args) != 1 || o.Args[0] != "once" {
		t.Errorf("got %+v, %v", o, err)
	}
	if _, err := Load(verb(t, "version"), []string{"--help"}, h); !errors.Is(err, ErrHelp) {
		t.Errorf("version --help: %v", err)
	}
}
