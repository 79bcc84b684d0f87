package options

import (
	"strings"
	"testing"
	"time"

	"k2hdkc-slave-agent/watcher"
)

func TestValuesThatAreRefused(t *testing.T) {
	tests := []struct{ key, value, want string }{
		{"interval", "60", `"60" has no unit: write 60s for seconds`},
		{"interval", "soon", `"soon" is not a duration: write 10s, 2m or 1h30m`},
		{"interval", "999ms", "999ms is too short: 1s is the least"},
		{"interval", "0", "0 is too short: 1s is the least"},
		{"interval", "-5s", "too short"},
		{"interval", "1000000h", "1000000h is too long: 1h is the most"},
		{"interval", "61m", "61m is too long: 1h is the most"},
		{"interval", "99999999999h", "99999999999h is too long: 1h is the most"},
		{"timeout", "1000000h", "1000000h is too long: 5m is the most"},
		{"timeout", "5m1s", "5m1s is too long: 5m is the most"},
		{"wait", "1000000h", "1000000h is too long: 10m is the most"},
		{"confirm", "1000000h", "1000000h is too long: 1h is the most"},
		{"peek", "1000000h", "1000000h is too long: 10m is the most"},
		{"peek", "10m1s", "10m1s is too long: 10m is the most"},
		{"chmpx-user", "a b", `"a b" is not the name or number of one user`},
		{"app-group", "%i", `"%i" is not the name or number of one group`},
		{"wait", "500ms", "500ms is too short: write 0 for never, or 1s or more"},
		{"wait", "10m1s", "10m1s is too long: 10m is the most"},
		{"wait", "1500ms", "1500ms is not a number of whole seconds"},
		{"timeout", "0s", "too short"},
		{"confirm", "10ms", "write 0 for never, or 1s or more"},
		{"peek", "99ms", "write 0 for never, or 100ms or more"},
		{"peek", "-1s", "too short"},
		{"output", "/etc/k2hdkc/slave.conf", "does not end in .ini: chmpx goes by the extension, and the agent writes INI"},
		{"output", "/etc/k2hdkc/slave.ini/", "does not end in .ini"},
		{"output", "/etc/k2hdkc/slave.ini.tmp", "does not end in .ini"},
		{"mode", "rw-r--r--", `"rw-r--r--" is not a mode in octal`},
		{"mode", "0888", "not a mode in octal"},
		{"mode", "01644", "not a mode in octal"},
		{"mode", "0044", "does not let the owner read the file"},
		{"mode", "0666", "lets everybody write the file"},
		{"owner", "root:root", `"root:root" is not the name or number of one user`},
		{"group", "a b", `"a b" is not the name or number of one group`},
		{"cuk", "a b", "the CUK contains a blank"},
		{"cuk", `a"b`, `the CUK contains '"'`},
		{"cuk", "../a", "dots that would lead to another key"},
		{"cuk", "a?b", "the CUK contains '?'"},
		{"tag", "node 1", "neither a host name nor an address"},
		{"tag", "node[1-3]", "neither a host name nor an address"},
		{"tag", "a,b", "neither a host name nor an address"},
		{"tag", "-x", "neither a host name nor an address"},
		{"min-servers", "0", "0 would let the agent apply an answer without servers"},
		{"min-servers", "-1", `"-1" is not a count`},
		{"min-servers", "many", `"many" is not a count`},
		{"stamp", "maybe", `"maybe" is neither yes nor no`},
		{"unit", "chmpx", `"chmpx" is not the full name of a service unit: write chmpx.service`},
		{"unit", "chmpx.timer.x/y", "not the name of a service unit"},
		{"reload", "hup", `"hup" is not one of auto, restart, none`},
		{"status-command", "chmpxstatus -self", "name one program, without arguments"},
		{"log-level", "loud", `"loud" is not one of debug, info, warn, error`},
		{"metrics-listen", "9765", `"9765" is no address to listen at: write HOST:PORT, such as 127.0.0.1:9765, or unix:PATH`},
		{"metrics-listen", "http://127.0.0.1:9765", "is no address to listen at"},
		{"metrics-listen", "127.0.0.1:9765/metrics", "is no address to listen at"},
		{"metrics-listen", "::1:9765", "is no address to listen at"},
		{"metrics-listen", "local host:9765", "is no address to listen at"},
		{"metrics-listen", "127.0.0.1:0", "has no port from 1 to 65535"},
		{"metrics-listen", "127.0.0.1:65536", "has no port from 1 to 65535"},
		{"metrics-listen", "127.0.0.1:http", "has no port from 1 to 65535"},
		{"metrics-listen", "unix:metrics.sock", `"metrics.sock" is not an absolute path`},
		{"metrics-listen", "unix:/" + strings.Repeat("x", 107), "longer than the path of a socket can be, 107 bytes"},
		{"metrics-textfile", "/var/lib/node_exporter/agent", "does not end in .prom"},
		{"metrics-textfile", "/var/lib/node_exporter/.prom", "does not end in .prom"},
		{"metrics-textfile", "/var/lib/node_exporter/agent.prom/", "does not end in .prom"},
		{"log-format", "xml", `"xml" is not one of auto, text, json`},
		{"state-dir", "/a\x00b", "contains a control character"},
		{"owner", "a\nb", "contains a control character"},
		{"role-token-file", "R=" + token, "looks like a token itself: put the token into a file"},
		{"role-token-file", token, "looks like a token itself"},
		{"role-token-file", "https://k2hr3.example/v1/userdata/" + token, "looks like a token itself"},
		{"role-token-file", "https://k2hr3.example/v1/userdata/AbC%2Bd", "is the address of user data"},
		{"output", "https://k2hr3.example/v1/userdata/AbC%2Bd", "(not shown, it looks like the address of user data)"},
		{"owner", token + "/", "(not shown, it looks like a token)"},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.value, func(t *testing.T) {
			failLoad(t, system(nil), []string{"--" + tt.key, tt.value}, "flag --"+tt.key+":", tt.want)
			failLoad(t, system(nil, lookup(tt.key).Env()+"="+tt.value), nil, "environment "+lookup(tt.key).Env()+":", tt.want)
		})
	}
}

func TestValuesThatAreTaken(t *testing.T) {
	tests := []struct {
		key, value string
		want       any
		get        func(*Options) any
	}{
		{"interval", "1s", time.Second, func(o *Options) any { return o.Interval }},
		{"wait", "0", time.Duration(0), func(o *Options) any { return o.Wait }},
		{"wait", "1s", time.Second, func(o *Options) any { return o.Wait }},
		{"wait", "10m", 10 * time.Minute, func(o *Options) any { return o.Wait }},
		{"confirm", "0", time.Duration(0), func(o *Options) any { return o.Confirm }},
		{"peek", "100ms", 100 * time.Millisecond, func(o *Options) any { return o.Peek }},
		{"mode", "644", "-rw-r--r--", func(o *Options) any { return o.Mode.String() }},
		{"mode", "0o440", "-r--r-----", func(o *Options) any { return o.Mode.String() }},
		{"output", "/x/y/../SLAVE.INI", "/x/SLAVE.INI", func(o *Options) any { return o.Output }},
		{"stamp", "No", false, func(o *Options) any { return o.Stamp }},
		{"stamp", "off", false, func(o *Options) any { return o.Stamp }},
		{"stamp", "FALSE", false, func(o *Options) any { return o.Stamp }},
		{"stamp", "0", false, func(o *Options) any { return o.Stamp }},
		{"restart-unconfirmed", "Yes", true, func(o *Options) any { return o.RestartUnconfirmed }},
		{"restart-unconfirmed", "true", true, func(o *Options) any { return o.RestartUnconfirmed }},
		{"restart-unconfirmed", "on", true, func(o *Options) any { return o.RestartUnconfirmed }},
		{"restart-unconfirmed", "1", true, func(o *Options) any { return o.RestartUnconfirmed }},
		{"reload", "None", watcher.ReloadNone, func(o *Options) any { return o.Reload }},
		{"unit", "", "", func(o *Options) any { return o.Unit }},
		{"status-command", "", "", func(o *Options) any { return o.StatusCommand }},
		{"check-command", "", "", func(o *Options) any { return o.CheckCommand }},
		{"tag", "10.0.0.7", "10.0.0.7", func(o *Options) any { return o.Tag }},
		{"tag", "2001:db8::7", "2001:db8::7", func(o *Options) any { return o.Tag }},
		{"metrics-listen", "", Socket{}, func(o *Options) any { return o.MetricsListen }},
		{"metrics-listen", ":9765", Socket{"tcp", ":9765"}, func(o *Options) any { return o.MetricsListen }},
		{"metrics-listen", "[::1]:9765", Socket{"tcp", "[::1]:9765"}, func(o *Options) any { return o.MetricsListen }},
		{"metrics-listen", "localhost:9765", Socket{"tcp", "localhost:9765"}, func(o *Options) any { return o.MetricsListen }},
		{"metrics-listen", "unix:/run/x/../m.sock", Socket{"unix", "/run/m.sock"}, func(o *Options) any { return o.MetricsListen }},
		{"metrics-textfile", "", "", func(o *Options) any { return o.MetricsTextfile }},
		{"metrics-textfile", "/var/lib/node_exporter/agent.prom", "/var/lib/node_exporter/agent.prom", func(o *Options) any { return o.MetricsTextfile }},
		{"owner", " ann ", "ann", func(o *Options) any { return o.Owner }},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.value, func(t *testing.T) {
			for _, o := range []*Options{
				mustLoad(t, system(nil), "--"+tt.key+"="+tt.value),
				mustLoad(t, system(nil, lookup(tt.key).Env()+"="+tt.value)),
				mustLoad(t, configured("["+lookup(tt.key).Section+"]\n"+tt.key+" = "+tt.value)),
			} {
				if got := tt.get(o); got != tt.want {
					t.Errorf("from %s: got %v, want %v", o.Source(tt.key), got, tt.want)
				}
			}
		})
	}
}

func TestRelativePathsOnTheCommandLine(t *testing.T) {
	o := mustLoad(t, system(nil), "--output=../slave.ini", "--state-dir", "state", "--check-command=./test", "--status-command=plain")
	got := []string{o.Output, o.StateDir, o.CheckCommand, o.StatusCommand}
	want := []string{"/home/slave.ini", "/home/op/state", "/home/op/test", "plain"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
	failLoad(t, system(nil, "K2HDKC_SLAVE_CHECK_COMMAND=./test"), nil, "neither a name to look up in PATH nor an absolute path")
	failLoad(t, system(nil, "K2HDKC_SLAVE_OUTPUT=slave.ini"), nil, "not an absolute path")
}

// An option without an upper bound takes a slip of the finger for a wish.
func TestEveryDurationHasBoundsThatItsHelpTells(t *testing.T) {
	for _, opt := range Table() {
		if opt.Kind != KindDuration {
			continue
		}
		err := opt.set(&Options{}, "1000000h")
		if err == nil {
			t.Errorf("%s: a million hours are taken", opt.Key)
			continue
		}
		_, most, _ := strings.Cut(strings.TrimSuffix(err.Error(), " is the most"), "too long: ")
		if !strings.Contains(opt.Long, " to "+most) {
			t.Errorf("%s: at most %s, which its help does not tell: %s", opt.Key, most, opt.Long)
		}
	}
}
