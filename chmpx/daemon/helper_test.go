package daemon

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestTheFileThatChmpxsHelperRunsItOn(t *testing.T) {
	const conf, override = "etc/antpickax/chmpx-service-helper.conf", "etc/antpickax/override.conf"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
		said  string
	}{
		{"nothing says so", nil, "/etc/antpickax/chmpx.ini", "/" + conf},
		{"its own file", map[string]string{conf: "CHMPX_INI_CONF_FILE = /srv/a.ini\n"}, "/srv/a.ini", "/" + conf},
		{"relative", map[string]string{conf: "CHMPX_INI_CONF_FILE=a.ini\n"}, "/etc/antpickax/a.ini", "/" + conf},
		{"the last one counts, comments do not", map[string]string{
			conf: "CHMPX_INI_CONF_FILE = a.ini\nCHMPX_INI_CONF_FILE = b.ini\n#CHMPX_INI_CONF_FILE = c.ini\n",
		}, "/etc/antpickax/b.ini", "/" + conf},
		{"override", map[string]string{
			conf: "CHMPX_INI_CONF_FILE = a.ini\n", override: "chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = k2hdkc.ini\n",
		}, "/etc/antpickax/k2hdkc.ini", "/" + override},
		{"an override that does not mention it", map[string]string{
			conf: "CHMPX_INI_CONF_FILE = a.ini\n", override: "chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n",
		}, "/etc/antpickax/chmpx.ini", "/" + override},
		{"an override that names another file's key", map[string]string{
			override: "chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = k2hdkc.conf:FILE\n", "etc/antpickax/k2hdkc.conf": "FILE = /srv/b.ini\n",
		}, "/srv/b.ini", "/" + override},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, text := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, said, err := HelperFile(files, "/etc/antpickax")
			if err != nil || got != tt.want || said != tt.said {
				t.Errorf("got %s, said by %s, %v, want %s, said by %s", got, said, err, tt.want, tt.said)
			}
		})
	}
}

// A file of the helper's that cannot be read says nothing, which is no default.
func TestAFileOfTheHelpersThatCannotBeRead(t *testing.T) {
	for _, file := range []string{helperOverride, helperConf} {
		if runs, _, err := HelperFile(fstest.MapFS{"etc/antpickax/" + file: {Mode: fs.ModeDir}}, "/etc/antpickax"); err == nil {
			t.Errorf("a folder as %s says %s", file, runs)
		}
	}
}

func TestWhomChmpxsHelperRunsItAs(t *testing.T) {
	const conf, override = "etc/antpickax/chmpx-service-helper.conf", "etc/antpickax/override.conf"
	for _, tt := range []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"nothing says so", nil, ""},
		{"its own file", fstest.MapFS{conf: {Data: []byte("SUBPROCESS_USER = k2hdkc\n")}}, "k2hdkc"},
		{"override", fstest.MapFS{override: {Data: []byte("chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n")}}, "k2hdkc"},
		{"an override that does not mention it", fstest.MapFS{
			conf: {Data: []byte("SUBPROCESS_USER = k2hdkc\n")}, override: {Data: []byte("chmpx-service-helper.conf:LOGDIR = /var/log\n")},
		}, ""},
	} {
		if got, err := HelperUser(tt.files, "/etc/antpickax"); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestAUnitThatRunsTheHelper(t *testing.T) {
	for command, want := range map[string]bool{"/usr/libexec/chmpx-service-helper": true, "/usr/bin/chmpx": false, "": false} {
		if got := (UnitState{Command: command}).RunsHelper(); got != want {
			t.Errorf("%q: %v", command, got)
		}
	}
}

func TestTheFileThatGetResourceWrites(t *testing.T) {
	const role = "yrn:yahoo:::shop:role:orders/slave"
	for _, tt := range []struct{ conf, override, want string }{
		{"", "", "/etc/antpickax/slave"},
		{"OUTPUT_FILE = k2hdkc.ini\n", "", "/etc/antpickax/k2hdkc.ini"},
		{"OUTPUT_DIR = /etc/k2hdkc\nOUTPUT_FILE = slave.ini\n", "", "/etc/k2hdkc/slave.ini"},
		{"OUTPUT_FILE = slave.ini\n", "k2hr3-get-resource-helper.conf:OUTPUT_FILE = k2hdkc.ini\n", "/etc/antpickax/k2hdkc.ini"},
		{"OUTPUT_FILE = slave.ini\n", "chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n", "/etc/antpickax/slave"},
	} {
		files := fstest.MapFS{}
		if tt.conf != "" {
			files["etc/antpickax/k2hr3-get-resource-helper.conf"] = &fstest.MapFile{Data: []byte(tt.conf)}
		}
		if tt.override != "" {
			files["etc/antpickax/override.conf"] = &fstest.MapFile{Data: []byte(tt.override)}
		}
		if got, err := ResourceHelperFile(files, "/etc/antpickax", role); got != tt.want || err != nil {
			t.Errorf("%q, %q: %s, %v; want %s", tt.conf, tt.override, got, err, tt.want)
		}
	}
}
