package maintain

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fatal"
)

const (
	config    = "/etc/k2hdkc/slave-agent.ini"
	chmpxUnit = "/usr/lib/systemd/system/chmpx.service"
	agentMore = "/etc/systemd/system/k2hdkc-slave-agent.service.d/operator.conf"
	booted    = "/run/systemd/system/"
	member    = "[k2hr3]\napi-uri = https://k2hr3.example.com\nrole = yrn:yahoo:::shop:role:orders/slave\n"
)

// stage is a host with a package on it.
type stage struct {
	*host
	t     *testing.T
	said  strings.Builder
	asked []string // of programs, what is more than a question, and "unregister"
	// answers are what programs print and their exit status, by the end of the
	// command. A program that none is of is not there.
	answers map[string]answer
	leaves  error // of the membership
}

type answer struct {
	out    string
	status int
}

// newStage makes a host that systemd has booted, with a configured agent, and chmpx
// with a file. More files change that: an empty text takes one away, "-> " makes a
// link, and a name with a slash at its end is a folder.
func newStage(t *testing.T, more map[string]string) *stage {
	t.Helper()
	files := map[string]string{
		booted: "x", chmpxUnit: "[Service]\n", slaveINI: "[GLOBAL]\n", config: member, chmpxMemory + "/": "x",
	}
	for src, dst := range map[string]string{
		"k2hdkc-slave-agent.service":                 "/usr/lib/systemd/system/k2hdkc-slave-agent.service",
		"chmpx.service.d/50-k2hdkc-slave-agent.conf": vendorDropIn,
	} {
		text, err := os.ReadFile(filepath.Join("..", src))
		fatal.If(t, err)
		files[dst] = string(text)
	}
	for name, text := range more {
		files[name] = text
	}
	s := &stage{t: t, answers: map[string]answer{}}
	s.host = &host{root: t.TempDir(), out: &s.said, run: s.answer, unregister: func(context.Context, agentunit.Agent) error {
		s.asked = append(s.asked, "unregister")
		return s.leaves
	}}
	for name, text := range files {
		s.lay(name, text)
	}
	return s
}

func (s *stage) lay(name, text string) {
	s.t.Helper()
	file := s.path(name)
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	target, isLink := strings.CutPrefix(text, "-> ")
	switch {
	case err != nil || text == "":
	case strings.HasSuffix(name, "/"):
		err = os.MkdirAll(file, 0o755)
	case isLink:
		err = os.Symlink(target, file)
	default:
		err = os.WriteFile(file, []byte(text), 0o644)
	}
	fatal.If(s.t, err)
}

// answer stands in for the programs of a host.
func (s *stage) answer(c command) (out string, status int) {
	line := strings.Join(c.argv, " ")
	program := c.argv[0]
	there := program == "systemctl"
	for end, a := range s.answers {
		there = there || strings.HasPrefix(end, program)
		if strings.HasSuffix(line, end) {
			if !c.ask {
				s.asked = append(s.asked, line)
			}
			return a.out, a.status
		}
	}
	switch {
	case !there:
		return "", statusNotThere
	case !c.ask || slices.Contains(c.argv, "enable"):
		s.asked = append(s.asked, line)
		return "", 0
	}
	return "", 1
}

// does does what a verb says, and returns what was said and asked.
func (s *stage) does(verb string) (said, asked string) {
	s.t.Helper()
	s.said.Reset()
	s.asked = nil
	s.Agent, _ = agentunit.Read(regularfile.Dir(s.root))
	if !s.do(verb) {
		s.t.Fatalf("there is no verb %s", verb)
	}
	return s.said.String(), strings.Join(s.asked, "\n")
}

// left is the text of the drop-in that a removal may leave.
func (s *stage) left() string {
	text, err := os.ReadFile(s.path(ownDropIn))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		s.t.Error(err)
	}
	return string(text)
}

func TestRemovalEndsTheMembershipAndLetsChmpxGoOn(t *testing.T) {
	s := newStage(t, nil)
	if said, asked := s.does("leave"); said != "" || asked != "unregister" {
		t.Errorf("it says %q and has asked %q", said, asked)
	}
	vendor, err := os.ReadFile(s.path(vendorDropIn))
	fatal.If(t, err)
	directives := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.Contains(line, "/usr/libexec/") {
				list = append(list, line)
			}
		}
		return list
	}
	left := s.left()
	if want, got := directives(string(vendor)), directives(left); !slices.Equal(want, got) || len(want) < 10 {
		t.Errorf("what is left for chmpx:\n%q\nwant\n%q", got, want)
	}
	if strings.Contains(left, "ExecReload=") || strings.Contains(left, "/usr/libexec/") || !strings.HasPrefix(left, "# Left by the removal of k2hdkc-slave-agent,") {
		t.Errorf("left:\n%s", left)
	}
}

func TestRemovalLeavesNothingThatIsNoUse(t *testing.T) {
	for _, c := range []struct {
		name       string
		files      map[string]string
		wantAsked  string
		wantLeft   string
		wantDropIn bool
	}{
		{name: "the host never had a configuration", files: map[string]string{config: "[k2hr3]\n"}, wantDropIn: true},
		{name: "nothing ever ran here", files: map[string]string{booted: ""}, wantDropIn: true},
		{name: "it ran, in another boot", files: map[string]string{booted: "", stateDir + "/": "x"}, wantAsked: "unregister", wantDropIn: true},
		{name: "the configuration is wrong", files: map[string]string{config: member + "role = none\nrole-token = x\n"}, wantAsked: "unregister", wantDropIn: true},
		{name: "the unit has the configuration", files: map[string]string{
			config: "", agentMore: "[Service]\nEnvironment=K2HDKC_SLAVE_API_URI=https://k2hr3.example.com\nEnvironment=K2HDKC_SLAVE_ROLE=yrn:yahoo:::shop:role:orders/slave\n",
		}, wantAsked: "unregister", wantDropIn: true},
		{name: "chmpx has no file to go on with", files: map[string]string{slaveINI: ""}, wantAsked: "unregister"},
		{name: "there is no chmpx", files: map[string]string{chmpxUnit: ""}, wantAsked: "unregister"},
		{name: "chmpx runs without a unit", files: map[string]string{chmpxUnit: "", "/proc/71/comm": "chmpx\n"}, wantAsked: "unregister", wantDropIn: true},
		{name: "the drop-in is the administrator's", files: map[string]string{ownDropIn: "# Left as it is\n"}, wantAsked: "unregister", wantLeft: "# Left as it is\n"},
		{name: "the drop-in is masked", files: map[string]string{ownDropIn: "-> /dev/null"}, wantAsked: "unregister"},
	} {
		s := newStage(t, c.files)
		if said, asked := s.does("leave"); said != "" || asked != c.wantAsked {
			t.Errorf("%s: it says %q and has asked %q", c.name, said, asked)
		}
		left := s.left()
		if dropIn := strings.Contains(left, "ExecStart="); dropIn != c.wantDropIn || !dropIn && left != c.wantLeft {
			t.Errorf("%s: left:\n%s", c.name, left)
		}
	}
	s := newStage(t, map[string]string{slaveINI: ""})
	fatal.If(t, os.WriteFile(s.path(slaveINI), nil, 0o644))
	if s.does("leave"); s.left() != "" {
		t.Errorf("chmpx's file is empty: left:\n%s", s.left())
	}
}

func TestRemovalTakesTenSecondsAtMostAndNeverFails(t *testing.T) {
	for name, hangs := range map[string]bool{"the agent fails": false, "the agent hangs where a context does not reach": true} {
		s := newStage(t, nil)
		synctest.Test(t, func(t *testing.T) {
			end := make(chan struct{})
			defer close(end)
			s.unregister = func(context.Context, agentunit.Agent) error {
				if hangs {
					<-end
				}
				return errors.New("token 0a0b")
			}
			start := time.Now()
			said, _ := s.does("leave")
			if took := time.Since(start); took >= 10*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
			if !strings.Contains(said, "cannot take this host out of its role") || strings.Count(said, "\n") != 1 || strings.Contains(said, "0a0b") {
				t.Errorf("%s: it says %q", name, said)
			}
		})
	}
}

func TestInstallationTakesBackWhatARemovalHasLeft(t *testing.T) {
	for text, want := range map[string]string{
		"# Left by the removal of k2hdkc-slave-agent, so that\n[Service]\n": "",
		"# mine\n[Service]\n": "# mine\n[Service]\n",
		"[Service]\n# Left by the removal of k2hdkc-slave-agent\n": "[Service]\n# Left by the removal of k2hdkc-slave-agent\n",
	} {
		s := newStage(t, map[string]string{ownDropIn: text})
		if said, _ := s.does("arrive"); s.left() != want || said != "" {
			t.Errorf("of %q is left %q, and it says %q", text, s.left(), said)
		}
		if want == "" && s.exists(filepath.Dir(ownDropIn)) {
			t.Error("the folder is left")
		}
	}
}

func TestARemovalLeavesChmpxToItsUser(t *testing.T) {
	for ini, want := range map[string]string{
		member: "User=k2hdkc",
		member + "[chmpx]\nchmpx-user = root\napp-group = apps\n": "User=root",
	} {
		s := newStage(t, map[string]string{config: ini})
		s.does("leave")
		users := regexp.MustCompile(`(?m)^User=.*$`).FindAllString(s.left(), -1)
		if len(users) == 0 || users[len(users)-1] != want || !strings.Contains(s.left(), "fs.mqueue.msg_max") {
			t.Errorf("want %s; left:\n%s", want, s.left())
		}
	}
}

func TestUsersAreMadeWhereThereAreNone(t *testing.T) {
	const (
		groups, users = "/etc/group", "/etc/passwd"
		group, user   = "root:x:0:\nk2hdkc:x:990:\n", "root:x:0:0::/:\nk2hdkc:x:990:990::/:\n"
		make          = "groupadd --system k2hdkc\nuseradd --system --gid k2hdkc --home-dir / --no-create-home --shell /usr/sbin/nologin k2hdkc"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
		fails bool
	}{
		{"both are there", map[string]string{groups: group, users: user}, "", false},
		{"neither is, and none can be made", map[string]string{groups: "root:x:0:\n", users: "root:x:0:0::/:\n"}, make, true},
		{"only the group is", map[string]string{groups: group, users: "root:x:0:0::/:\n"}, "useradd --system --gid k2hdkc --home-dir / --no-create-home --shell /usr/sbin/nologin k2hdkc", true},
	} {
		s := newStage(t, c.files)
		s.answers = map[string]answer{"groupadd --system k2hdkc": {"", 1}, "useradd ": {}}
		said, asked := s.does("users")
		if asked != c.want || (said != "") != c.fails {
			t.Errorf("%s: it has asked\n%s\nwant\n%s\nand says %q", c.name, asked, c.want, said)
		}
	}
}

func TestInstallationTellsOfNeighbours(t *testing.T) {
	const override = "/etc/antpickax/override.conf"
	timer := map[string]answer{"is-enabled k2hr3-get-resource.timer": {}}
	for _, c := range []struct {
		name    string
		files   map[string]string
		answers map[string]answer
		want    []string // in what it says, and nothing else is said
	}{
		{"there are none", nil, nil, nil},
		{"the timer", nil, timer, []string{"k2hr3-get-resource.timer"}},
		{"an override.conf", map[string]string{override: "x"}, nil, []string{override, vendorDropIn}},
		{"an override.conf that is in force", map[string]string{override: "x", ownDropIn: "-> /dev/null"}, nil, nil},
		{"an override.conf elsewhere", map[string]string{config: member + "[agent]\nantpickax-dir = /srv/a\n", "/srv/a/override.conf": "x"}, nil,
			[]string{"/srv/a/override.conf", vendorDropIn}},
	} {
		s := newStage(t, c.files)
		s.answers = c.answers
		said, asked := s.does("arrive")
		if strings.Count(said, "\n") != len(c.want) || asked != "" {
			t.Errorf("%s: it says %q and has asked %q", c.name, said, asked)
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it says %q, without %s", c.name, said, want)
			}
		}
	}
}

func TestInstallationEnablesAChmpxThatNobodyHas(t *testing.T) {
	is := func(unit, state string) map[string]answer { return map[string]answer{"is-enabled " + unit: {state, 1}} }
	disabled := is("chmpx.service", "disabled")
	ini := func(more string) map[string]string { return map[string]string{config: member + more} }
	const enabled = "systemctl --quiet enable chmpx.service"
	for _, c := range []struct {
		name    string
		answers map[string]answer
		files   map[string]string
		want    string // at the second installation nothing is asked
	}{
		{"disabled; later that is somebody's will", disabled, nil, enabled},
		{"another unit", is("orders.service", "disabled"), ini("[chmpx]\nunit = 'orders.service'\n"), "systemctl --quiet enable orders.service"},
		{"enabled", is("chmpx.service", "enabled"), nil, ""},
		{"masked", is("chmpx.service", "masked"), nil, ""},
		{"start = no", disabled, ini("[chmpx]\nstart = no\n"), ""},
		{"the unit says that it is not to be started", disabled, map[string]string{agentMore: "[Service]\nEnvironment=K2HDKC_SLAVE_START=no\n"}, ""},
		{"so does a flag", disabled, map[string]string{agentMore: "[Service]\nExecStart=\nExecStart=/usr/bin/k2hdkc-slave-agent run --start=false\n"}, ""},
		{"chmpx has no unit", disabled, ini("[chmpx]\nunit =\n"), ""},
		{"not configured", disabled, map[string]string{config: ""}, ""},
		{"not there", nil, nil, ""},
	} {
		s := newStage(t, c.files)
		s.answers = c.answers
		for i, want := range []string{c.want, ""} {
			if said, asked := s.does("arrive"); asked != want || (said != "") != (want != "") {
				t.Errorf("%s, installation %d: it has asked %q, want %q, and says %q", c.name, i+1, asked, want, said)
			}
		}
	}
}

func TestInstallationMakesTheFolderOfChmpxsMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  fs.FileMode // 0: there is none
	}{
		{"there is none", nil, 0o777},
		{"there is one", map[string]string{chmpxMemory + "/": "x"}, 0o755},
		{"a chmpx runs without it", map[string]string{"/proc/71/comm": "chmpx\n"}, 0},
		{"another program runs", map[string]string{"/proc/71/comm": "chmpxstatus\n"}, 0o777},
		{"not configured", map[string]string{config: ""}, 0},
	} {
		files := map[string]string{chmpxMemory + "/": ""}
		for name, text := range c.files {
			files[name] = text
		}
		s := newStage(t, files)
		s.does("arrive")
		if c.want == 0o777 { // where nobody has made the group
			if os.Geteuid() != 0 {
				continue
			}
			of := newStage(t, map[string]string{chmpxMemory + "/": "", "/etc/group": "k2hdkc:x:990:\n"})
			of.does("arrive")
			info, err := os.Stat(of.path(chmpxMemory))
			if err != nil || info.Mode() != fs.ModeDir|fs.ModeSetgid|0o770 || info.Sys().(*syscall.Stat_t).Gid != 990 {
				t.Errorf("%s, with a group: %v, %v", c.name, info, err)
			}
		}
		info, err := os.Stat(s.path(chmpxMemory))
		if c.want == 0 && err == nil || c.want != 0 && (err != nil || info.Mode().Perm() != c.want) {
			t.Errorf("%s: %v, %v, want mode %v", c.name, info, err, c.want)
		}
	}
}

func TestStartAndRestart(t *testing.T) {
	const unit = "k2hdkc-slave-agent.service"
	running := answer{out: "running"}
	for _, c := range []struct {
		name, verb               string
		isEnabled, isRunning, is answer // of systemctl
		policy                   int    // of policy-rc.d; 0: there is none
		debian                   bool
		files                    map[string]string
		want                     string
	}{
		{name: "configured and enabled", verb: "start", isRunning: running, want: "systemctl --quiet start " + unit},
		{name: "on Debian", verb: "start", isRunning: running, debian: true, want: "deb-systemd-invoke start " + unit},
		{name: "a host with failed units is up", verb: "start", isRunning: answer{"degraded", 1}, want: "systemctl --quiet start " + unit},
		{name: "a boot does not wait", verb: "start", isRunning: answer{"starting", 1}, want: "systemctl --quiet --no-block start " + unit},
		{name: "an early boot does not wait", verb: "start", isRunning: answer{"initializing", 1}, want: "systemctl --quiet --no-block start " + unit},
		{name: "a policy that allows it", verb: "start", isRunning: answer{"starting", 1}, policy: 104, want: "systemctl --quiet --no-block start " + unit},
		{name: "a policy forbids it in a boot, too", verb: "start", isRunning: answer{"starting", 1}, policy: 101},
		{name: "not configured", verb: "start", isRunning: running, files: map[string]string{config: ""}},
		{name: "not booted", verb: "start", isRunning: running, files: map[string]string{booted: ""}},
		{name: "disabled", verb: "start", isRunning: running, isEnabled: answer{"", 1}},

		{name: "runs", verb: "restart", is: answer{out: "active"}, want: "systemctl --quiet restart " + unit},
		{name: "is about to run", verb: "restart", is: answer{out: "activating"}, want: "systemctl --quiet restart " + unit},
		{name: "has failed", verb: "restart", is: answer{out: "failed"}, debian: true, want: "deb-systemd-invoke restart " + unit},
		{name: "was stopped", verb: "restart", is: answer{out: "inactive"}},
		{name: "is being stopped", verb: "restart", is: answer{out: "deactivating"}},
		{name: "runs although it is masked", verb: "restart", isEnabled: answer{"masked", 1}, is: answer{out: "active"}},
		{name: "not booted", verb: "restart", is: answer{out: "active"}, files: map[string]string{booted: ""}},
	} {
		s := newStage(t, c.files)
		s.answers["is-enabled "+unit] = c.isEnabled
		s.answers["is-system-running"] = c.isRunning
		s.answers["show --property=ActiveState --value "+unit] = c.is
		if c.policy != 0 {
			s.answers["policy-rc.d "+unit+" start"] = answer{"", c.policy}
		}
		if c.debian {
			s.answers["deb-systemd-invoke "+c.verb+" "+unit] = answer{}
		}
		if said, asked := s.does(c.verb); said != "" || asked != c.want {
			t.Errorf("%s, %s: it says %q and has asked %q, want %q", c.verb, c.name, said, asked, c.want)
		}
	}
}

func TestAStartThatFailsIsSaid(t *testing.T) {
	s := newStage(t, nil)
	s.answers["is-enabled k2hdkc-slave-agent.service"] = answer{}
	s.answers["--quiet start k2hdkc-slave-agent.service"] = answer{"", 1}
	if said, _ := s.does("start"); !strings.Contains(said, "the start of the agent failed: see `journalctl -u k2hdkc-slave-agent`") {
		t.Errorf("it says %q", said)
	}
}

func TestVerbs(t *testing.T) {
	s := newStage(t, nil)
	for _, verb := range []string{"", "configured", "Arrive"} {
		if s.do(verb) {
			t.Errorf("there is a verb %q", verb)
		}
	}
}
