package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/netns"
)

// installed is a host with the package's own scripts on it, where files can be
// laid out without touching this machine's.
type installed struct {
	*netns.Host
	tb testing.TB
}

func newInstalled(t *testing.T) installed {
	t.Helper()
	h := installed{netns.New(t, netns.Spec{Name: "app-1"}), t}
	scripts, err := filepath.Abs("../../packaging")
	if err != nil {
		t.Fatal(err)
	}
	layers := t.TempDir()
	err = h.Do(func() error {
		for _, dir := range []string{"etc", "usr", "var/lib"} {
			upper, work := filepath.Join(layers, dir), filepath.Join(layers, dir+".work")
			if err := os.MkdirAll(upper, 0o755); err != nil {
				return err
			}
			if err := os.MkdirAll(work, 0o755); err != nil {
				return err
			}
			if err := unix.Mount("overlay", "/"+dir, "overlay", 0, "lowerdir=/"+dir+",upperdir="+upper+",workdir="+work); err != nil {
				return &os.PathError{Op: "mount overlay", Path: "/" + dir, Err: err}
			}
		}
		for _, script := range []string{"settings", "configured"} {
			text, err := os.ReadFile(filepath.Join(scripts, script))
			if err != nil {
				return err
			}
			if err := lay("/usr/libexec/k2hdkc-slave-agent/"+script, string(text)); err != nil {
				return err
			}
		}
		text, err := os.ReadFile(filepath.Join(scripts, "generator"))
		if err != nil {
			return err
		}
		return lay("/usr/lib/systemd/system-generators/k2hdkc-slave-agent-generator", string(text))
	})
	if err != nil {
		t.Skip("may not lay files over /etc, /usr and /var/lib here:", err)
	}
	return h
}

// lay makes a file that may be run.
func lay(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o755)
}

// with lays out files, runs a program, and takes the files away again.
func (h installed) with(files map[string]string, argv ...string) (out string, err error) {
	h.tb.Helper()
	problem := h.Do(func() error {
		for path, text := range files {
			defer os.Remove(path)
			target, isLink := strings.CutPrefix(text, "-> ")
			if isLink {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.Symlink(target, path); err != nil {
					return err
				}
				continue
			}
			if err := lay(path, text); err != nil {
				return err
			}
			if strings.HasPrefix(text, "; a file of somebody else's") {
				if err := os.Chown(path, 12, 34); err != nil {
					return err
				}
			}
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		var b []byte
		b, err = cmd.CombinedOutput()
		out = string(b)
		return nil
	})
	if problem != nil {
		h.tb.Fatal(problem)
	}
	return out, err
}

func TestConfigured(t *testing.T) {
	h := newInstalled(t)
	const (
		config = "/etc/k2hdkc/slave-agent.ini"
		api    = "api-uri = https://k2hr3.example.com\n"
		role   = "role = yrn:yahoo:::shop:role:orders/slave\n"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  bool
	}{
		{"nothing at all", nil, false},
		{"comments alone", map[string]string{config: "[k2hr3]\n# " + api + "; " + role}, false},
		{"empty values", map[string]string{config: "[k2hr3]\napi-uri =\nrole=\n"}, false},
		{"no role", map[string]string{config: "[k2hr3]\n" + api}, false},
		{"both", map[string]string{config: "[k2hr3]\n" + api + role}, true},
		{"both, written on another system", map[string]string{config: "\ufeff[k2hr3]\r\n  api-uri=https://k2hr3.example.com\r\n\trole=\"x\"\r\n"}, true},
		{"K2HR3's script was here", map[string]string{
			"/etc/antpickax/k2hr3-api-uri": "https://k2hr3.example.com", "/etc/antpickax/k2hr3-role-name": "yrn:yahoo:::shop:role:orders/slave",
		}, true},
		{"K2HR3's script failed half way", map[string]string{"/etc/antpickax/k2hr3-api-uri": "https://k2hr3.example.com"}, false},
		{"some of it here, some there", map[string]string{
			config: "[k2hr3]\n" + role + "[agent]\nantpickax-dir = /etc/elsewhere\n", "/etc/elsewhere/k2hr3-api-uri": "https://k2hr3.example.com",
		}, true},
	} {
		out, err := h.with(c.files, "/usr/libexec/k2hdkc-slave-agent/configured")
		if (err == nil) != c.want || out != "" {
			t.Errorf("%s: configured %v, want %v; it says %q", c.name, err == nil, c.want, out)
		}
	}
}

func TestGeneratorGrantsWhatTheConfigurationNeeds(t *testing.T) {
	h := newInstalled(t)
	const (
		config   = "/etc/k2hdkc/slave-agent.ini"
		foreign  = "CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE\nSystemCallFilter=@chown\nPrivateUsers=no\n"
		attach   = "CapabilityBoundingSet=CAP_DAC_OVERRIDE\nPrivateUsers=no\n"
		helper   = "/etc/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
		unit     = "/etc/systemd/system/chmpx.service"
		override = "/etc/antpickax/override.conf"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing is configured", nil, ""},
		{"only what the unit grants anyway", map[string]string{config: "[slave]\noutput = /etc/antpickax/k2hdkc.ini\n"}, ""},
		{"the file is elsewhere", map[string]string{config: "[slave]\noutput = /srv/k2hdkc/slave.ini\n"}, "ReadWritePaths=-/srv/k2hdkc\n"},
		{"state and status are elsewhere", map[string]string{config: "[agent]\nstate-dir = /srv/state\nrun-dir = /run/other\n"},
			"ReadWritePaths=-/srv/state\nReadWritePaths=-/run/other\n"},
		{"a token to be deleted", map[string]string{config: "[k2hr3]\nrole-token-file = /srv/token/t\nforget-bootstrap-token = yes\n"}, "ReadWritePaths=-/srv/token\n"},
		{"a token to be kept", map[string]string{config: "[k2hr3]\nrole-token-file = /srv/token/t\n"}, ""},
		{"paths that a unit would read differently", map[string]string{config: "[slave]\noutput = /srv/a b%n\"/slave.ini\n[agent]\nstate-dir = /\nrun-dir = /run/../etc\n"}, ""},
		{"an owner", map[string]string{config: "[slave]\nowner = k2hdkc\n"}, foreign},
		{"a group", map[string]string{config: "[slave]\ngroup = k2hdkc\n"}, foreign},
		{"a file that somebody else owns", map[string]string{"/etc/k2hdkc/slave.ini": "; a file of somebody else's\n"}, foreign},
		{"root's file", map[string]string{"/etc/k2hdkc/slave.ini": "; a file of root's\n"}, ""},
		{"chmpx as another user", map[string]string{unit: "[Service]\nUser=k2hdkc\n"}, attach},
		{"chmpx as root", map[string]string{unit: "[Service]\nUser=root\n"}, ""},
		{"another unit of chmpx's as another user", map[string]string{
			config: "[chmpx]\nunit = chmpx-orders.service\n", "/etc/systemd/system/chmpx-orders.service": "[Service]\nUser=k2hdkc\n",
		}, attach},
		{"chmpx as another user by its helper", map[string]string{helper: "-> /dev/null", override: "chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n"}, attach},
		{"the helper does not count while the drop-in is in force", map[string]string{override: "chmpx-service-helper.conf:SUBPROCESS_USER = k2hdkc\n"}, ""},
		{"an override.conf hides the helper's own file", map[string]string{
			helper: "-> /dev/null", override: "chmpx-service-helper.conf:LOGDIR = /var/log\n", "/etc/antpickax/chmpx-service-helper.conf": "SUBPROCESS_USER = k2hdkc\n",
		}, ""},
		{"a host without namespaces of users", map[string]string{"/usr/bin/unshare": "#!/bin/sh\nexit 1\n"}, "PrivateUsers=no\n"},
	} {
		to := t.TempDir()
		out, err := h.with(c.files, "/usr/lib/systemd/system-generators/k2hdkc-slave-agent-generator", to, to+".early", to+".late")
		if err != nil || out != "" {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		text, err := os.ReadFile(filepath.Join(to, "k2hdkc-slave-agent.service.d", "50-configuration.conf"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		_, got, _ := strings.Cut(string(text), "[Service]\n")
		if got = strings.TrimSpace(got); got != strings.TrimSpace(c.want) {
			t.Errorf("%s: granted\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
