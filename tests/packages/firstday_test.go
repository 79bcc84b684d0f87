package packages

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/realagent"
)

// firstDay is a Debian that has never run, with its own apt and dpkg: the smallest world in which
// what user data installs can go wrong. Its systemctl does nothing but to run the first boot's
// unit, and its sleep lets no loop go on for ever.
const firstDay = `
	cat >usr/bin/systemctl <<-'END'
		#!/bin/sh
		case "$*" in "start --wait k2hdkc-slave-first-boot.service") exec sh /etc/k2hdkc/first-boot ;; esac
	END
	rm -f bin/sleep usr/bin/sleep
	cat >usr/bin/sleep <<-'END'
		#!/bin/sh
		echo >>/run/slept
		[ "$(wc -l </run/slept)" -lt 6 ]
	END
	chmod 755 usr/bin/systemctl usr/bin/sleep
`

// inside runs a shell script in the image, without a terminal. One that hangs fails.
func (i *image) inside(script string, args ...string) (string, error) {
	argv := append(append(i.host.within, "timeout", "300", "chroot", i.host.root, "sh", "-c", script, "sh"), args...)
	cmd := exec.CommandContext(i.tb.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// has checks that dpkg has these packages, and nothing left to do.
func (i *image) has(packages ...string) {
	i.tb.Helper()
	for _, name := range packages {
		if out, err := i.inside(`dpkg-query --show --showformat '${Status}' "$1"`, name); err != nil || out != "install ok installed" {
			i.tb.Errorf("%s: %q, %v", name, out, err)
		}
	}
	if out, err := i.inside("dpkg --audit"); err != nil || out != "" {
		i.tb.Errorf("dpkg has something left to do: %v\n%s", err, out)
	}
}

// slaveDebs are a chmpx and an agent as far as apt, dpkg and user data can see.
func slaveDebs(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, name := range []string{"chmpx", slave.Package} {
		tree := tb.TempDir()
		write(tb, filepath.Join(tree, "DEBIAN/control"), "Package: "+name+"\nVersion: 1.0.0\nArchitecture: all\n"+
			"Maintainer: Shop <shop@shop.example>\nDescription: a stand-in\n")
		write(tb, filepath.Join(tree, "usr/bin", name), "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(tree, "usr/bin", name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if name == slave.Package {
			write(tb, filepath.Join(tree, agentINI), "# as it is packed\n")
			write(tb, filepath.Join(tree, "DEBIAN/conffiles"), agentINI+"\n")
		}
		runHere(tb, "dpkg-deb", "--root-owner-group", "--build", tree, filepath.Join(dir, name+".deb"))
	}
	return dir
}

// userData is what the agent of this source tree prints for a slave, as a script.
func (r *Repository) userData(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	bin, err := realagent.Build(dir)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(dir, "token"), strings.Repeat("0123456789abcdef", 4)+"\n")
	cmd := exec.Command(bin, "user-data", "--format", "script", "--api-uri", "https://k2hr3.shop.example", "--role", "yrn:yahoo:::shop:role:orders/slave",
		"--role-token-file", filepath.Join(dir, "token"), "--repo", r.url, "--repo-key-file", r.Key, "--packages", "")
	cmd.Env = []string{"K2HDKC_SLAVE_ANTPICKAX_DIR=" + dir, "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("user-data: %v", withStderr(err))
	}
	return string(out)
}

// TestUserDataPassesWhatGoesWrong has one thing go wrong at a time.
func TestUserDataPassesWhatGoesWrong(t *testing.T) {
	machine.Require(t)
	r := Repo(t, slaveDebs(t))
	var away atomic.Int32 // so many answers that our repository is not there yet
	files := http.FileServer(http.Dir(r.Dir))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if away.Add(-1) >= 0 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		files.ServeHTTP(w, q)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	r.url = "http://" + l.Addr().String()
	r.Add(t)
	script := r.userData(t)
	const (
		others = "apt-get update failed for a source that these packages do not need"
		entry  = "/apt stable main"
		list   = "etc/apt/sources.list.d/"
	)
	gone := "echo 'deb " + r.url + "/debian bullseye-backports main' >" + list + "backports.list\n"
	asREADME := "mkdir -p etc/apt/keyrings; cp '" + r.Key + "' etc/apt/keyrings/k2hdkc.asc; cp '" + r.Sources + "' " + list + "\n"
	for name, c := range map[string]struct {
		image string // what is in it
		away  int32
		says  string // once
	}{
		"nothing":                                          {},
		"somebody else's repository is gone":               {gone, 0, others},
		"nobody listens at somebody else's":                {"echo 'deb http://127.0.0.2:9/debian stable main' >" + list + "gone.list\n", 0, ""},
		"somebody else's is not signed":                    {"echo 'deb " + r.url + "/apt/dists/stable ./' >" + list + "flat.list\n", 0, others},
		"somebody else's key is unknown":                   {"echo 'deb [signed-by=/none.asc] " + r.url + "/apt/ other main' >" + list + "other.list\n", 0, others},
		"somebody else's is gone and ours is late":         {gone, 6, others},
		"ours is late":                                     {"", 5, ""},
		"a line that is no source":                         {"echo 'deb this is no source' >" + list + "spoilt.list\n", 0, "cannot make sense of /etc/apt/sources.list.d/spoilt.list"},
		"a stanza that is no source":                       {"echo 'Types: deb' >" + list + "spoilt.sources\n", 0, "cannot make sense of /etc/apt/sources.list.d/spoilt.sources"},
		"the image has our repository as its README tells": {asREADME, 0, ""},
		"the image has our repository by another name":     {"cp '" + r.Key + "' usr/share/keyrings/shop.asc; echo 'deb [signed-by=/usr/share/keyrings/shop.asc] " + r.url + entry + "' >" + list + "shop.list\n", 0, "shop.list knows the repository"},
		"the image has our repository without a key":       {"echo 'deb " + r.url + entry + "' >etc/apt/sources.list\n", 0, "sources.list knows the repository"},
		"dpkg was interrupted":                             {"chroot . dpkg-query --status curl | sed 's/^Status: .*/Status: install ok half-configured/' >var/lib/dpkg/updates/0001\n", 0, ""},
		"dpkg was interrupted before it configured the agent": {"cp '" + r.Dir + "'/apt/pool/main/*/*/*.deb .; mkdir -p etc/k2hdkc; echo '# mine' >etc/k2hdkc/slave-agent.ini; " +
			"chroot . sh -c 'dpkg --install chmpx*.deb; dpkg --unpack k2hdkc*.deb' >&2; rm *.deb\n", 0, ""},
		"the image's configuration differs from what is packed": {"mkdir -p etc/k2hdkc; echo '# mine' >etc/k2hdkc/slave-agent.ini\n", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			away.Store(c.away)
			i := newImage(t, r, firstDay+c.image)
			i.write("/root/user-data", script)
			out, err := i.inside("exec sh /root/user-data </dev/null")
			if err != nil || strings.Count(out, "k2hdkc-slave-agent: check: OK") != 1 {
				t.Fatalf("%v\n%s", err, out)
			}
			i.has("chmpx", slave.Package)
			if !strings.Contains(read(t, i.path+agentINI), "yrn:yahoo:::shop:role:orders/slave") {
				t.Errorf("the configuration is\n%s", read(t, i.path+agentINI))
			}
			if c.says != "" && strings.Count(out, c.says) != 1 {
				t.Errorf("it does not say once %q:\n%s", c.says, out)
			}
		})
	}
}

// TestInstallingByHandWithoutATerminal types what packaging/README.md tells, where the
// configuration was written before: dpkg would ask which one to keep.
func TestInstallingByHandWithoutATerminal(t *testing.T) {
	machine.Require(t)
	chmpx := t.TempDir()
	tinyDeb(t, chmpx, "chmpx", "1.0")
	r := Repo(t, Build(t, older), chmpx)
	serve(t, r)
	_, section, _ := strings.Cut(read(t, filepath.Join(realagent.Root(), "packaging/README.md")), "\n## On a host\n\n")
	typed, _, _ := strings.Cut(section, "\n\n")
	const option, mine = " -o Dpkg::Options::=--force-confold", "# mine\n"
	if strings.Count(typed, "apt-get") != 2 {
		t.Fatalf("README does not tell how to install with apt:\n%s", typed)
	}
	for name, c := range map[string]struct {
		typed  string
		asks   bool // and so fails
		mended string
	}{
		"as the README has it":                 {typed: typed},
		"without the option":                   {typed: strings.Replace(typed, option, "", 1), asks: true},
		"told not to ask in debconf's way":     {typed: "export DEBIAN_FRONTEND=noninteractive\n" + strings.Replace(typed, option, "", 1), asks: true},
		"what is left unpacked and the remedy": {typed: strings.Replace(typed, option, "", 1), asks: true, mended: "dpkg --force-confold --configure -a"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.mended != "" && !strings.Contains(section, "`"+c.mended+"`") {
				t.Errorf("README does not tell of %s", c.mended)
			}
			i := newImage(t, r, "")
			i.write(agentINI, mine)
			for _, file := range []string{r.Key, r.Sources} {
				i.write("/root/"+filepath.Base(file), read(t, file))
			}
			out, err := i.inside("set -e; cd /root\nexec </dev/null\n" + c.typed)
			if (err != nil) != c.asks {
				t.Fatalf("%v\n%s", err, out)
			}
			if c.asks && c.mended == "" {
				return
			}
			if c.mended != "" {
				if out, err := i.inside(c.mended); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			i.has("chmpx", slave.Package)
			i.wants(agentINI, mine)
			i.exists(true, "/usr/bin/k2hdkc-slave-agent")
		})
	}
}
