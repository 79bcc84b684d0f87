package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// secret stands for a role token wherever one gets to that should not be shown.
const secret = "41c8e07b95d2f36a0e7d19c4b83f5a62d7904be1c6f2835a97e01d4b6c38f5a0"

// TestBadInput gives each verb one thing of each kind that can be wrong: the
// command line, the environment, the configuration, a file that it names, and
// what K2HR3 thinks of it. The parsers' own tests have all the others.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	all := []string{"run", "once", "once --dry-run", "register", "unregister"}
	registering := []string{"once", "register"}
	for _, tt := range []struct {
		name   string
		verbs  []string
		args   []string
		env    string
		bare   bool              // without api-uri and role
		files  map[string]string // in the host's folder
		status int
		says   []string
	}{
		{name: "no configuration at all", verbs: all, bare: true,
			status: 1, says: []string{"K2HR3's address is not known", "api-uri", "this host's role is not known", "k2hr3-role-name"}},
		{name: "a configuration file that is not there", verbs: all, args: []string{"--config", "/nowhere/slave-agent.ini"},
			status: 1, says: []string{"/nowhere/slave-agent.ini", "no such file"}},
		{name: "a misspelt key", verbs: all, files: map[string]string{"slave-agent.ini": "# mine\n[slave]\nouput = /etc/x.ini\n"},
			status: 1, says: []string{"slave-agent.ini:3:", `unknown key "ouput"`, "did you mean output?"}},
		{name: "a misspelt flag", verbs: all, args: []string{"--intervall", "10s"},
			status: 2, says: []string{"unknown flag --intervall", "did you mean --interval?", "--help"}},
		{name: "a role that is a resource", verbs: all, args: []string{"--role", s.SlaveResource()},
			status: 2, says: []string{"is the YRN of a resource, not of a role", s.SlaveRole(), "--help"}},
		{name: "two ways to print", verbs: []string{"status --json --brief"},
			status: 2, says: []string{"--json and --brief do not go together", "--help"}},
		{name: "a misspelt verb", verbs: []string{"rn"},
			status: 2, says: []string{"unknown verb", "`k2hdkc-slave-agent run`"}},
		{name: "no verb", verbs: []string{""},
			status: 2, says: []string{"nothing to do", "run"}},

		{name: "a token file with two lines", verbs: registering, args: []string{"--role-token-file", "role-token"},
			files:  map[string]string{"role-token": secret[:32] + "\n" + secret[32:] + "\n"},
			status: 1, says: []string{"role-token", "more than one line"}},
		{name: "a token nobody knows", verbs: registering, args: []string{"--role-token-file", "role-token"}, files: map[string]string{"role-token": secret},
			status: 1, says: []string{"401"}},
		{name: "no token, and not a member", verbs: registering,
			status: 1, says: []string{"no role token", "/etc/k2hdkc/role-token", hostCUK}},
		{name: "the token itself where its file is asked for", verbs: all, args: []string{"--role-token-file", secret},
			status: 2, says: []string{"looks like a token itself"}},
		{name: "the token as a flag that does not exist", verbs: all, args: []string{"--role-token", secret},
			status: 2, says: []string{"unknown flag --role-token", "--role-token-file"}},
		{name: "the token as the verb", verbs: []string{secret},
			status: 2, says: []string{"unknown verb"}},
		{name: "the token as a variable that does not exist", verbs: all, env: "K2HDKC_SLAVE_ROLE_TOKEN=" + secret,
			status: 1, says: []string{"K2HDKC_SLAVE_ROLE_TOKEN", "K2HDKC_SLAVE_ROLE_TOKEN_FILE"}},
		{name: "the address of the user data, token and all", verbs: all, args: []string{"--api-uri", s.uri + "/v1/userdata/" + secret},
			status: 2, says: []string{"--api-uri", "has a path"}},

		{name: "nobody at the address", verbs: all[1:], args: []string{"--api-uri", "http://127.0.0.1:1", "--timeout", "1s"},
			status: 1, says: []string{"127.0.0.1:1", "connection refused"}},
		{name: "an output folder that is not there", verbs: all[:3], args: []string{"--output", "/nowhere/slave.ini"},
			status: 1, says: []string{"/nowhere/slave.ini", "directory is not there", "create /nowhere"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, verb := range tt.verbs {
				h := newHost(t)
				for name, text := range tt.files {
					write(t, h.path(name), text)
				}
				cmd := h.command(deadline(t), append(strings.Fields(verb), tt.args...)...)
				if !tt.bare {
					cmd.Env = append(cmd.Env, "K2HDKC_SLAVE_API_URI="+s.uri, "K2HDKC_SLAVE_ROLE="+s.SlaveRole())
				}
				if tt.env != "" {
					cmd.Env = append(cmd.Env, tt.env)
				}
				got := finish(t, cmd, cmd.Start)
				refused(t, verb, got, tt.status, tt.says...)
				silent(t, got.String(), secret)
				if left := names(t, h.path("out")); slices.Contains(left, ".slave.next.ini") {
					t.Errorf("%s left %q", verb, left)
				}
			}
		})
	}
}

// refused fails unless a run ended with this status and said all that to
// standard error alone.
func refused(t *testing.T, verb string, got result, status int, says ...string) {
	t.Helper()
	if got.status != status || got.stdout != "" {
		t.Errorf("%s: %v\nwant status %d, and nothing on stdout", verb, got, status)
	}
	for _, text := range says {
		if !strings.Contains(got.stderr, text) {
			t.Errorf("%s: %v\nshould say %q", verb, got, text)
		}
	}
}

// TestCheck: the verdict is the same from wherever the text is, and nothing is left of it.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.AddSlave(hostAddr, hostCUK, hostAddr)
	good := strings.ReplaceAll(s.Text(), "__SELF_INSTANCE_ID__", hostCUK)
	h := newHost(t)
	for _, c := range []struct {
		text, verdict string
		status        int
	}{
		{good, "accept\n", 0},
		{strings.Replace(good, "GROUP ", "GRUPPE ", 1), "reject\nfile: GROUP", 1},
	} {
		write(t, h.path("given.ini"), c.text)
		write(t, h.output(), c.text)
		stdin := h.command(deadline(t), "check", "-")
		stdin.Stdin = strings.NewReader(c.text)
		first := h.agent("check", "given.ini")
		for from, got := range map[string]result{
			"FILE": first, "stdin": finish(t, stdin, stdin.Start), "the output file": h.agent("check"),
		} {
			if !strings.HasPrefix(got.stdout, c.verdict) || got.status != c.status || got != first {
				t.Errorf("%s: %v\nwant status %d, %q, and the same from wherever the text is", from, got, c.status, c.verdict)
			}
		}
	}
	if got, want := names(t, h.dir), []string{"given.ini", "instance-id", "out", "slave-agent.ini"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	for _, file := range []string{h.path("nowhere.ini"), h.dir} {
		refused(t, "check", h.agent("check", file), 1, "cannot check", filepath.Base(file))
	}
}

func TestRegisterAndUnregisterCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	h := newHost(t)
	token := s.token(t, h.path("role-token"))
	for _, step := range []struct {
		verb, says string
		members    int
	}{
		{"register", "is a member now", 1},
		{"register", "is a member already", 1},
		{"unregister", "has left", 0},
		{"unregister", "was no member", 0},
		{"register", "is a member now", 1},
	} {
		got := h.agent(append([]string{step.verb}, s.args("--role-token-file", "role-token")...)...)
		if got.status != 0 || !strings.Contains(got.stdout, step.says) || !strings.Contains(got.stdout, hostCUK) {
			t.Errorf("%s: %v\nwant status 0 and %q", step.verb, got, step.says)
		}
		if n := len(s.Slaves()); n != step.members {
			t.Errorf("after %s (%s): %d members, want %d", step.verb, step.says, n, step.members)
		}
		silent(t, got.String(), token)
	}
	if n := s.count(fakek2hr3.OpRegister); n != 2 {
		t.Errorf("registered %d times, want 2: a member is left alone", n)
	}
	for _, r := range s.server.Requests() {
		if r.Op == fakek2hr3.OpLeave && r.Token != fakek2hr3.TokenNone {
			t.Errorf("%v: with a token, K2HR3 deletes that and not the host", r)
		}
	}
	if names(t, h.path("out")) != nil || slices.Contains(names(t, h.dir), "state") {
		t.Errorf("left %q: membership by hand leaves files alone", names(t, h.dir))
	}
}
