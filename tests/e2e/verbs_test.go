package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// secret stands for a role token wherever one gets to that should not be shown.
const secret = "41c8e07b95d2f36a0e7d19c4b83f5a62d7904be1c6f2835a97e01d4b6c38f5a0"

func TestBadInput(t *testing.T) {
	s := newSite(t)
	s.joinServers(1)
	asking := []string{"run", "once", "once --dry-run", "register", "unregister"}
	registering := []string{"once", "register"}
	writing := []string{"run", "once", "once --dry-run"}
	tests := []struct {
		name   string
		verbs  []string
		args   []string
		env    []string
		bare   bool // without api-uri and role
		set    func(t *testing.T, h *host)
		status int
		says   []string
	}{
		{name: "no configuration at all", verbs: asking, bare: true,
			status: 1, says: []string{"K2HR3's address is not known", "api-uri", "this host's role is not known", "k2hr3-role-name"}},
		{name: "a configuration file that is not there", verbs: asking, args: []string{"--config", "/nowhere/slave-agent.ini"},
			status: 1, says: []string{"/nowhere/slave-agent.ini", "no such file"}},
		{name: "no role", verbs: asking, bare: true, args: []string{"--api-uri", s.uri},
			status: 1, says: []string{"this host's role is not known", "--role"}},
		{name: "a role that is a resource", verbs: asking, args: []string{"--role", s.SlaveResource()},
			status: 2, says: []string{"is the YRN of a resource, not of a role", s.SlaveRole(), "--help"}},
		{name: "a role that is no full YRN", verbs: asking, args: []string{"--role", "orders/slave"},
			status: 2, says: []string{"not the full YRN", "yrn:yahoo:::TENANT:role:PATH"}},
		{name: "a token with a line end in it", verbs: registering,
			set:    func(t *testing.T, h *host) { write(t, h.path("role-token"), secret[:32]+"\n"+secret[32:]+"\n") },
			args:   []string{"--role-token-file", "role-token"},
			status: 1, says: []string{"role-token", "more than one line"}},
		{name: "a token with R= before it", verbs: registering,
			set:    func(t *testing.T, h *host) { write(t, h.path("role-token"), "R="+secret) },
			args:   []string{"--role-token-file", "role-token"},
			status: 1, says: []string{"role-token", `"R="`, "leave that off"}},
		{name: "a token nobody knows", verbs: registering,
			set:    func(t *testing.T, h *host) { write(t, h.path("role-token"), secret) },
			args:   []string{"--role-token-file", "role-token"},
			status: 1, says: []string{"401"}},
		{name: "no token, and not a member", verbs: registering,
			status: 1, says: []string{"no role token", "/etc/k2hdkc/role-token", hostCUK}},
		{name: "the token itself where its file is asked for", verbs: asking, args: []string{"--role-token-file", secret},
			status: 2, says: []string{"looks like a token itself"}},
		{name: "the token as a flag that does not exist", verbs: asking, args: []string{"--role-token", secret},
			status: 2, says: []string{"unknown flag --role-token", "--role-token-file"}},
		{name: "the token as the verb", verbs: []string{secret},
			status: 2, says: []string{"unknown verb"}},
		{name: "the token as a variable that does not exist", verbs: asking, env: []string{"K2HDKC_SLAVE_ROLE_TOKEN=" + secret},
			status: 1, says: []string{"K2HDKC_SLAVE_ROLE_TOKEN", "K2HDKC_SLAVE_ROLE_TOKEN_FILE"}},
		{name: "no instance id", verbs: asking, set: func(t *testing.T, h *host) { os.Remove(h.path("instance-id")) },
			status: 1, says: []string{"CUK is not known", "instance-id", "no such file"}},
		{name: "an instance id that cannot be read", verbs: asking, args: []string{"--instance-id-file", "/"},
			status: 1, says: []string{"CUK is not known", "is a directory"}},
		{name: "an empty instance id", verbs: asking, set: func(t *testing.T, h *host) { write(t, h.path("instance-id"), "\n") },
			status: 1, says: []string{"instance-id", "is empty"}},
		{name: "an address without a scheme", verbs: asking, args: []string{"--api-uri", "k2hr3.shop.example:8080"},
			status: 2, says: []string{"--api-uri", "no scheme", "https://HOST:PORT"}},
		{name: "the same in the file", verbs: asking, bare: true,
			set: func(t *testing.T, h *host) {
				write(t, h.path("slave-agent.ini"), "[k2hr3]\n\napi-uri = k2hr3.shop.example\n")
			},
			status: 1, says: []string{"slave-agent.ini:3:", "no scheme"}},
		{name: "the address of the user data, token and all", verbs: asking, args: []string{"--api-uri", s.uri + "/v1/userdata/" + secret},
			status: 2, says: []string{"--api-uri", "has a path"}},
		{name: "nobody at the address", verbs: []string{"once", "once --dry-run", "register", "unregister"}, args: []string{"--api-uri", "http://127.0.0.1:1", "--timeout", "1s"},
			status: 1, says: []string{"127.0.0.1:1", "connection refused"}},
		{name: "an output folder that is not there", verbs: writing, args: []string{"--output", "/nowhere/slave.ini"},
			status: 1, says: []string{"/nowhere/slave.ini", "directory is not there", "create /nowhere"}},
		{name: "an output that is a link", verbs: writing,
			set: func(t *testing.T, h *host) {
				if err := os.Symlink("elsewhere.ini", h.output()); err != nil {
					t.Fatal(err)
				}
			},
			status: 1, says: []string{"symbolic link", "elsewhere.ini"}},
		{name: "an output that chmpx would not read", verbs: writing, args: []string{"--output", "/etc/k2hdkc/slave.conf"},
			status: 2, says: []string{"does not end in .ini"}},
		{name: "an unknown flag", verbs: asking, args: []string{"--intervall", "10s"},
			status: 2, says: []string{"unknown flag --intervall", "did you mean --interval?", "--help"}},
		{name: "an unknown key", verbs: asking,
			set: func(t *testing.T, h *host) {
				write(t, h.path("slave-agent.ini"), "# mine\n[slave]\nouput = /etc/x.ini\n")
			},
			status: 1, says: []string{"slave-agent.ini:3:", `unknown key "ouput"`, "did you mean output?"}},
		{name: "a key in the wrong section", verbs: asking,
			set:    func(t *testing.T, h *host) { write(t, h.path("slave-agent.ini"), "[slave]\ninterval = 10s\n") },
			status: 1, says: []string{"slave-agent.ini:2:", "put it under [k2hr3]"}},
		{name: "an unknown variable", verbs: asking, env: []string{"K2HDKC_SLAVE_INTERVALL=10s"},
			status: 1, says: []string{"K2HDKC_SLAVE_INTERVALL", "did you mean K2HDKC_SLAVE_INTERVAL?"}},
		{name: "a duration without unit", verbs: asking, args: []string{"--interval", "10"},
			status: 2, says: []string{"--interval", "no unit", "10s"}},
		{name: "a duration that is none", verbs: asking, env: []string{"K2HDKC_SLAVE_WAIT=soon"},
			status: 1, says: []string{"K2HDKC_SLAVE_WAIT", "not a duration"}},
		{name: "an argument too many", verbs: asking, args: []string{"now"},
			status: 2, says: []string{`unexpected argument "now"`}},
		{name: "a misspelt verb", verbs: []string{"rn"},
			status: 2, says: []string{"unknown verb", "`k2hdkc-slave-agent run`"}},
		{name: "a flag before the verb", verbs: []string{"--interval"},
			status: 2, says: []string{"the verb comes before --interval"}},
		{name: "no verb", verbs: []string{""},
			status: 2, says: []string{"nothing to do", "run"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, verb := range tt.verbs {
				h := newHost(t)
				if err := os.MkdirAll(h.path("out"), 0o755); err != nil {
					t.Fatal(err)
				}
				if tt.set != nil {
					tt.set(t, h)
				}
				cmd := h.command(deadline(t), append(strings.Fields(verb), tt.args...)...)
				cmd.Env = append(cmd.Env, tt.env...)
				if !tt.bare {
					cmd.Env = append(cmd.Env, "K2HDKC_SLAVE_API_URI="+s.uri, "K2HDKC_SLAVE_ROLE="+s.SlaveRole())
				}
				got := finish(t, cmd, nil)
				refused(t, verb, got, tt.status, tt.says)
				silent(t, got.String(), secret)
				if slices.Contains(names(t, h.path("out")), ".slave.next.ini") {
					t.Errorf("%s left a temporary file behind", verb)
				}
			}
		})
	}
}

// refused fails unless a run ended with this status and said all that to
// standard error alone.
func refused(t *testing.T, verb string, got result, status int, says []string) {
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

func TestTwoAgentsDoNotKeepOneFile(t *testing.T) {
	s := newSite(t)
	s.joinServers(1)
	h := newHost(t)
	s.token(t, h.path("role-token"))
	args := []string{"--api-uri", s.uri, "--role", s.SlaveRole(), "--role-token-file", h.path("role-token")}
	os.Mkdir(h.path("out"), 0o755)
	p := h.start(args...)
	says(t, p, 0, "slave.ini replaced", "")
	before := inode(t, h.output())
	for _, verb := range []string{"once", "run"} {
		got := h.agent(append([]string{verb}, args...)...)
		if got.status != 1 || !strings.Contains(got.stderr, "another agent keeps this file") || !strings.Contains(got.stderr, fmt.Sprint(p.PID())) {
			t.Errorf("%s: %v\nwant status 1 and the other one's number, %d", verb, got, p.PID())
		}
	}
	if got := h.agent(append([]string{"once", "--dry-run"}, args...)...); got.status != 0 {
		t.Errorf("once --dry-run: %v\nwant it to work beside the daemon", got)
	}
	if inode(t, h.output()) != before {
		t.Error("the file was replaced")
	}
	end(t, p)
	if got := h.agent(append([]string{"once"}, args...)...); got.status != 0 {
		t.Errorf("after the end of the other one: %v", got)
	}
}

func TestCheck(t *testing.T) {
	s := newSite(t)
	s.joinServers(2)
	s.AddSlave(hostAddr, hostCUK, hostAddr)
	good := strings.ReplaceAll(s.Text(), "__SELF_INSTANCE_ID__", hostCUK)
	tests := []struct {
		name    string
		text    string
		verdict string
		finding string
	}{
		{"a good one", good, "accept", ""},
		{"the RESOURCE itself", s.Text(), "reject", "SELFCUK"},
		{"one without a server", withoutNodes(good), "reject", "SVRNODE"},
		{"one without a group", strings.Replace(good, "GROUP ", "GRUPPE ", 1), "reject", "GROUP"},
		{"a port that chmpx cannot reach", strings.ReplaceAll(good, "= 8020", "= 40020"), "dangerous", "40020"},
		{"one that does not list this host", strings.ReplaceAll(good, "SELFCUK             = "+hostCUK, "SELFCUK             = somebody"), "reject", ""},
		{"half of one", good[:len(good)/2], "reject", ""},
		{"a web page", "<html><body>502 Bad Gateway</body></html>\n", "reject", ""},
		{"nothing", "", "reject", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			write(t, h.path("given.ini"), tt.text)
			write(t, h.output(), tt.text)
			stdin := h.command(deadline(t), "check", "-")
			stdin.Stdin = strings.NewReader(tt.text)
			file := h.agent("check", "given.ini")
			for from, got := range map[string]result{
				"FILE": file, "stdin": finish(t, stdin, nil), "the output file": h.agent("check"),
			} {
				word, rest, _ := strings.Cut(got.stdout, "\n")
				status := 1
				if tt.verdict == "accept" {
					status = 0
				}
				if word != tt.verdict || got.status != status || got.stderr != "" || !strings.Contains(rest, tt.finding) {
					t.Errorf("%s: %v\nwant %s first, and something about %q", from, got, tt.verdict, tt.finding)
				}
				if got.stdout != file.stdout {
					t.Errorf("%s: %v\nwant the same as for FILE: %v", from, got, file)
				}
				if tt.verdict != "accept" && !findingLine(rest) {
					t.Errorf("%s: %v\nwant LINE: text", from, got)
				}
			}
			if got, want := names(t, h.dir), []string{"given.ini", "instance-id", "out", "slave-agent.ini"}; !slices.Equal(got, want) {
				t.Errorf("left %q, want %q", got, want)
			}
		})
	}
	h := newHost(t)
	for _, file := range []string{h.path("nowhere.ini"), h.dir} {
		refused(t, "check", h.agent("check", file), 1, []string{"cannot check", filepath.Base(file)})
	}
	refused(t, "check", h.agent("check", "a.ini", "b.ini"), 2, []string{"unexpected argument"})
}

func withoutNodes(text string) string {
	return text[:strings.Index(text, "[SVRNODE]")] + text[strings.Index(text, "#\n# Slave"):]
}

// findingLine reports whether a text begins as a finding does.
func findingLine(text string) bool {
	var line int
	n, err := fmt.Sscanf(text, "%d: ", &line)
	return n == 1 && err == nil
}

func TestRegisterAndUnregisterCanBeRepeated(t *testing.T) {
	s := newSite(t)
	h := newHost(t)
	token := s.token(t, h.path("role-token"))
	args := []string{"--api-uri", s.uri, "--role", s.SlaveRole(), "--role-token-file", "role-token"}
	steps := []struct {
		verb, says string
		members    int
	}{
		{"register", "is a member now", 1},
		{"register", "is a member already", 1},
		{"unregister", "has left", 0},
		{"unregister", "was no member", 0},
		{"register", "is a member now", 1},
	}
	for _, step := range steps {
		got := h.agent(append([]string{step.verb}, args...)...)
		if got.status != 0 || !strings.Contains(got.stdout, step.says) || !strings.Contains(got.stdout, hostCUK) {
			t.Errorf("%s: %v\nwant status 0 and %q", step.verb, got, step.says)
		}
		if n := len(s.Slaves()); n != step.members {
			t.Errorf("after %s (%s): %d members, want %d", step.verb, step.says, n, step.members)
		}
		silent(t, got.String(), token)
	}
	var registrations int
	for _, r := range s.server.Requests() {
		if r.Op == fakek2hr3.OpRegister {
			registrations++
		}
		if r.Op == fakek2hr3.OpLeave && r.Token != fakek2hr3.TokenNone {
			t.Errorf("%v: with a token, K2HR3 deletes that and not the host", r)
		}
	}
	if registrations != 2 {
		t.Errorf("registered %d times, want 2: a member is left alone", registrations)
	}
	if slices.Contains(names(t, h.dir), "out") || slices.Contains(names(t, h.dir), "state") {
		t.Errorf("left %q: membership by hand leaves files alone", names(t, h.dir))
	}
}
