package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	maintain      = "/usr/libexec/k2hdkc-slave-agent/maintain"
	vendorDropIn  = "/usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	chmpxUnitFile = "/usr/lib/systemd/system/chmpx.service"
)

// Programs that note what they are asked, and answer what a test wants.
const (
	agentProgram = "/usr/bin/k2hdkc-slave-agent"
	agentNotes   = "#!/bin/sh\necho \"agent $*\" >>/etc/asked\n"
	systemctl    = "/usr/bin/systemctl"
	before       = "/etc/before" // runs on the host first, if it is there
)

// systemctlSays is a systemctl that notes what is more than a question.
func systemctlSays(answers string) string {
	return "#!/bin/sh\ncase \"$*\" in\n" + answers + "\n*is-active* | *is-enabled* | *is-system-running* | *show*) exit 1 ;;\nesac\necho \"systemctl $*\" >>/etc/asked\n"
}

// maintained runs maintain on a host that systemd has booted, and returns what
// it says, what was asked of programs, and the text of the drop-in that is left.
func (h installed) maintained(files map[string]string, verb string) (said, asked, left string) {
	h.tb.Helper()
	all := map[string]string{systemctl: systemctlSays("")}
	for path, name := range map[string]string{maintain: "maintain", vendorDropIn: "chmpx.service.d/50-k2hdkc-slave-agent.conf"} {
		text, err := os.ReadFile(filepath.Join(root(), "packaging", name))
		if err != nil {
			h.tb.Fatal(err)
		}
		all[path] = string(text)
	}
	for path, text := range files {
		all[path] = text
	}
	out, err := h.with(all, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", `
		mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system || exit 99
		rm -f /etc/asked; : >/etc/asked
		[ ! -e "$4" ] || "$4"
		"$1" "$2" || echo "status $?"
		echo ---; cat /etc/asked
		echo ---; cat "$3" 2>/dev/null
		rm -rf "${3%/*}"`, "sh", maintain, verb, leftDropIn, before)
	parts := strings.SplitN(out, "---\n", 3)
	if err != nil && len(parts) != 3 {
		h.tb.Fatalf("maintain %s: %v\n%s", verb, err, out)
	}
	return parts[0], parts[1], parts[2]
}

// member is a host that has an agent with a configuration, and chmpx with a file.
func member(more map[string]string) map[string]string {
	files := map[string]string{
		agentProgram: agentNotes, chmpxUnitFile: "[Service]\n", "/etc/k2hdkc/slave.ini": "[GLOBAL]\n",
		"/etc/k2hdkc/slave-agent.ini": "[k2hr3]\napi-uri = https://k2hr3.example.com\nrole = yrn:yahoo:::shop:role:orders/slave\n",
	}
	for path, text := range more {
		if text == "" {
			delete(files, path)
		} else {
			files[path] = text
		}
	}
	return files
}

func TestRemovalEndsTheMembershipAndLetsChmpxGoOn(t *testing.T) {
	said, asked, left := newInstalled(t).maintained(member(nil), "leave")
	if said != "" {
		t.Errorf("it says %q", said)
	}
	if asked != "agent unregister\n" {
		t.Errorf("asked:\n%s", asked)
	}
	text, err := os.ReadFile(filepath.Join(root(), "packaging/chmpx.service.d/50-k2hdkc-slave-agent.conf"))
	if err != nil {
		t.Fatal(err)
	}
	directives := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.HasPrefix(line, "ExecReload=") {
				list = append(list, line)
			}
		}
		return list
	}
	if diff := cmp.Diff(directives(string(text)), directives(left)); diff != "" {
		t.Errorf("what is left for chmpx (-the drop-in +left):\n%s", diff)
	}
	if strings.Contains(left, "ExecReload=") || strings.Contains(left, "/usr/libexec/") || !strings.HasPrefix(left, "# Left by the removal of k2hdkc-slave-agent,") {
		t.Errorf("left:\n%s", left)
	}
}

func TestRemovalLeavesNothingThatIsNoUse(t *testing.T) {
	h := newInstalled(t)
	for _, c := range []struct {
		name       string
		files      map[string]string
		wantAsked  string
		wantLeft   string
		wantDropIn bool
	}{
		{name: "the host never had a configuration", files: map[string]string{"/etc/k2hdkc/slave-agent.ini": "[k2hr3]\n"}, wantDropIn: true},
		{name: "chmpx has no file to go on with", files: map[string]string{"/etc/k2hdkc/slave.ini": ""}, wantAsked: "agent unregister\n"},
		{name: "chmpx's file is empty", files: map[string]string{"/etc/k2hdkc/slave.ini": "\n"}, wantAsked: "agent unregister\n", wantDropIn: true},
		{name: "there is no chmpx", files: map[string]string{chmpxUnitFile: ""}, wantAsked: "agent unregister\n"},
		{name: "the drop-in is the administrator's", files: map[string]string{leftDropIn: "# Left as it is\n"}, wantAsked: "agent unregister\n", wantLeft: "# Left as it is\n"},
		{name: "the drop-in is masked", files: map[string]string{leftDropIn: "-> /dev/null"}, wantAsked: "agent unregister\n"},
	} {
		said, asked, left := h.maintained(member(c.files), "leave")
		if said != "" || asked != c.wantAsked {
			t.Errorf("%s: it says %q and has asked %q", c.name, said, asked)
		}
		if dropIn := strings.Contains(left, "ExecStart="); dropIn != c.wantDropIn || !dropIn && left != c.wantLeft {
			t.Errorf("%s: left:\n%s", c.name, left)
		}
	}
}

func TestRemovalTakesTenSecondsAtMostAndNeverFails(t *testing.T) {
	h := newInstalled(t)
	for name, program := range map[string]string{
		"the agent fails":              "#!/bin/sh\necho token 0a0b >&2\nexit 1\n",
		"the agent cannot be run":      "#!/nowhere\n",
		"the agent waits":              "#!/bin/sh\nexec sleep 60\n",
		"the agent waits and is stiff": "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 60 & wait $!; done\n",
	} {
		if testing.Short() && strings.Contains(name, "waits") {
			continue
		}
		start := time.Now()
		said, _, _ := h.maintained(member(map[string]string{agentProgram: program}), "leave")
		if took := time.Since(start); took > 40*time.Second { // 10, and this host's own pace; the agent would take a minute
			t.Errorf("%s: it took %v", name, took)
		}
		if !strings.Contains(said, "could not be taken out of its role") || strings.Count(said, "\n") != 1 || strings.Contains(said, "0a0b") {
			t.Errorf("%s: it says %q", name, said)
		}
	}
}

func TestInstallationTakesBackWhatARemovalHasLeft(t *testing.T) {
	h := newInstalled(t)
	for _, c := range []struct {
		text, want string
	}{
		{"# Left by the removal of k2hdkc-slave-agent, so that\n[Service]\n", ""},
		{"# mine\n[Service]\n", "# mine\n[Service]\n"},
		{"[Service]\n# Left by the removal of k2hdkc-slave-agent\n", "[Service]\n# Left by the removal of k2hdkc-slave-agent\n"},
	} {
		said, _, left := h.maintained(member(map[string]string{leftDropIn: c.text}), "arrive")
		if left != c.want || said != "" {
			t.Errorf("of %q is left %q, and it says %q", c.text, left, said)
		}
	}
}

func TestInstallationTellsOfNeighbours(t *testing.T) {
	h := newInstalled(t)
	const override = "/etc/antpickax/override.conf"
	timer := systemctlSays("*is-enabled*k2hr3-get-resource.timer) exit 0 ;;")
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string // in what it says, and nothing else is said
	}{
		{"there are none", nil, nil},
		{"the timer", map[string]string{systemctl: timer}, []string{"k2hr3-get-resource.timer"}},
		{"an override.conf", map[string]string{override: "x"}, []string{override, vendorDropIn}},
		{"an override.conf that is in force", map[string]string{override: "x", leftDropIn: "-> /dev/null"}, nil},
	} {
		said, asked, _ := h.maintained(member(c.files), "arrive")
		if strings.Count(said, "\n") != len(c.want) {
			t.Errorf("%s: it says %q", c.name, said)
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it says %q, without %s", c.name, said, want)
			}
		}
		if strings.Contains(asked, "k2hr3-get-resource") {
			t.Errorf("%s: %s", c.name, asked)
		}
	}
}

func TestInstallationEnablesAChmpxThatNobodyHas(t *testing.T) {
	is := func(unit, state string) string {
		return "*is-enabled*" + unit + "*) echo " + state + "; exit 1 ;;\n"
	}
	ini := func(more string) map[string]string {
		return map[string]string{"/etc/k2hdkc/slave-agent.ini": member(nil)["/etc/k2hdkc/slave-agent.ini"] + more}
	}
	for _, c := range []struct {
		name, answers string
		more          map[string]string
		want          string
		again         string // at the second installation
	}{
		{"disabled; later that is somebody's will", is("chmpx.service", "disabled"), nil, "systemctl --quiet enable chmpx.service\n", ""},
		{"another unit", is("chmpx.service", "disabled") + is("orders.service", "disabled"), ini("[chmpx]\nunit = orders.service\n"),
			"systemctl --quiet enable orders.service\n", ""},
		{"enabled", is("chmpx.service", "enabled"), nil, "", ""},
		{"masked", is("chmpx.service", "masked"), nil, "", ""},
		{"not to be started", is("chmpx.service", "disabled"), ini("[chmpx]\nstart = no\n"), "", ""},
		{"not configured", is("chmpx.service", "disabled"), map[string]string{"/etc/k2hdkc/slave-agent.ini": ""}, "", ""},
		{"not there", "", nil, "", ""},
	} {
		h := newInstalled(t)
		files := member(c.more)
		files[systemctl] = systemctlSays(c.answers)
		for i, want := range []string{c.want, c.again} {
			said, asked, _ := h.maintained(files, "arrive")
			if asked != want || (said != "") != (want != "") {
				t.Errorf("%s, installation %d: it has asked %q, want %q, and says %q", c.name, i+1, asked, want, said)
			}
		}
	}
}

func TestInstallationMakesTheFolderOfChmpxsMemory(t *testing.T) {
	const folder = "/var/lib/antpickax"
	for _, c := range []struct {
		name, before string // before: what the host is made like
		more         map[string]string
		want         fs.FileMode // 0: there is none
	}{
		{"there is none", "rm -rf " + folder, nil, 0o777},
		{"there is one", "mkdir -p " + folder + "; chmod 755 " + folder, nil, 0o755},
		{"a chmpx runs without it", "rm -rf " + folder + "; cp /bin/sleep /etc/chmpx; /etc/chmpx 60 >/dev/null 2>&1 &\n" +
			"until grep -qx chmpx /proc/$!/comm; do sleep 0.01; done", nil, 0},
		{"not configured", "rm -rf " + folder, map[string]string{"/etc/k2hdkc/slave-agent.ini": ""}, 0},
	} {
		h := newInstalled(t)
		files := member(c.more)
		files[before] = "#!/bin/sh\n" + c.before + "\n"
		h.maintained(files, "arrive")
		err := h.Do(func() error {
			info, err := os.Stat(folder)
			switch {
			case c.want == 0 && err == nil:
				return errors.New("was made")
			case c.want != 0 && err == nil && info.Mode().Perm() != c.want:
				return fmt.Errorf("has mode %v, want %v", info.Mode(), c.want)
			case c.want != 0:
				return err
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: the folder %v", c.name, err)
		}
	}
}

func TestStartAndRestart(t *testing.T) {
	h := newInstalled(t)
	const (
		unit    = "k2hdkc-slave-agent.service"
		enabled = "*is-enabled*) exit 0 ;;\n"
		up      = "*is-system-running*) echo running; exit 0 ;;\n"
	)
	for _, c := range []struct {
		name, verb, answers string
		more                map[string]string
		want                string
	}{
		{"configured and enabled", "start", enabled + up, nil, "systemctl --quiet start " + unit + "\n"},
		{"a host with failed units is up", "start", enabled + "*is-system-running*) echo degraded; exit 1 ;;\n", nil, "systemctl --quiet start " + unit + "\n"},
		{"a boot does not wait", "start", enabled + "*is-system-running*) echo starting; exit 1 ;;\n", nil, "systemctl --quiet --no-block start " + unit + "\n"},
		{"an early boot does not wait", "start", enabled + "*is-system-running*) echo initializing; exit 1 ;;\n", nil, "systemctl --quiet --no-block start " + unit + "\n"},
		{"a policy forbids it in a boot, too", "start", enabled + "*is-system-running*) echo starting; exit 1 ;;\n",
			map[string]string{"/usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n"}, ""},
		{"not configured", "start", enabled + up, map[string]string{"/etc/k2hdkc/slave-agent.ini": ""}, ""},
		{"disabled", "start", "*is-enabled*) exit 1 ;;\n" + up, nil, ""},
		{"masked", "start", "*is-enabled*) exit 1 ;;\n" + up, nil, ""},

		{"runs", "restart", enabled + "*show*) echo active; exit ;;\n", nil, "systemctl --quiet restart " + unit + "\n"},
		{"is about to run", "restart", enabled + "*show*) echo activating; exit ;;\n", nil, "systemctl --quiet restart " + unit + "\n"},
		{"has failed", "restart", enabled + "*show*) echo failed; exit ;;\n", nil, "systemctl --quiet restart " + unit + "\n"},
		{"was stopped", "restart", enabled + "*show*) echo inactive; exit ;;\n", nil, ""},
		{"is being stopped", "restart", enabled + "*show*) echo deactivating; exit ;;\n", nil, ""},
		{"runs although it is masked", "restart", "*is-enabled*) echo masked; exit 1 ;;\n*show*) echo active; exit ;;\n", nil, ""},
	} {
		files := member(c.more)
		files[systemctl] = systemctlSays(c.answers)
		if files["/usr/sbin/policy-rc.d"] == "" { // as a container may have one
			files["/usr/sbin/policy-rc.d"] = "#!/bin/sh\nexit 104\n"
		}
		files["/usr/bin/deb-systemd-invoke"] = "#!/bin/sh\nexec systemctl --quiet \"$@\"\n"
		said, asked, _ := h.maintained(files, c.verb)
		if said != "" || asked != c.want {
			t.Errorf("%s, %s: it says %q and has asked %q, want %q", c.verb, c.name, said, asked, c.want)
		}
	}
}
