package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

const (
	originalCUK  = "8c1d6f0a-0b7e-4c62-9e55-1f3a7d2b9c04"
	originalAddr = "10.20.0.9"
)

// leaveFiles leaves what K2HR3's own init script does on the VM with the
// instance id cuk: files without a line end that everybody can read, the token
// too, in a folder that everybody can write to.
func leaveFiles(t *testing.T, h *host, s *site, cuk, token string) {
	t.Helper()
	for name, text := range map[string]string{
		"k2hr3-role-token": token,
		"k2hr3-role-name":  s.SlaveRole(),
		"k2hr3-cuk":        cuk,
		"k2hr3-api-uri":    s.uri,
	} {
		write(t, h.path("antpickax/"+name), text)
		must(t, os.Chmod(h.path("antpickax/"+name), 0o644))
	}
	must(t, os.Chmod(h.path("antpickax"), 0o777))
}

func mode(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return fmt.Sprintf("%04o", info.Mode().Perm())
}

// newScriptHost is a VM that K2HR3's script has run on, with no configuration of
// the agent.
func newScriptHost(t *testing.T, s *site, cuk string) (h *host, token string) {
	t.Helper()
	h = newHost(t)
	token = s.RoleToken("slave", 0)
	leaveFiles(t, h, s, cuk, token)
	write(t, h.path("instance-id"), cuk+"\n")
	return h, token
}

func slaves(s *site) []string {
	var all []string
	for _, m := range s.Slaves() {
		all = append(all, m.Addr+" "+m.CUK)
	}
	slices.Sort(all)
	return all
}

func TestWhatK2HR3sScriptLeavesIsEnoughAndClosed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h, token := newScriptHost(t, s, hostCUK)

	if got := h.agent("once", "--dry-run"); got.status == 0 || mode(t, h.path("antpickax")) != "0777" || mode(t, h.path("antpickax/k2hr3-role-token")) != "0644" {
		t.Errorf("a dry run changes modes, or shows a file to one that is no member: %v", got)
	}
	got := h.agent("once")
	if got.status != 0 {
		t.Fatal(got)
	}
	silent(t, got.String(), token)
	if !strings.Contains(read(t, h.output()), hostCUK) {
		t.Error("the file is not this host's")
	}
	for name, want := range map[string]string{"": "0755", "/k2hr3-role-token": "0600", "/k2hr3-role-name": "0644", "/k2hr3-cuk": "0644", "/k2hr3-api-uri": "0644"} {
		if got := mode(t, h.path("antpickax"+name)); got != want {
			t.Errorf("antpickax%s has mode %s, want %s", name, got, want)
		}
	}
	if n := strings.Count(got.stderr, "agent has closed it"); n != 2 {
		t.Errorf("logged %d times:\n%s", n, got.stderr)
	}
	if got := h.agent("once"); strings.Contains(got.stderr, "agent has closed it") {
		t.Errorf("logged again:\n%s", got.stderr)
	}

	// The script again, while the agent runs.
	asked := s.count(fakek2hr3.OpResource)
	d := h.start()
	until(t, "the agent to be up", func() bool { return s.count(fakek2hr3.OpResource) > asked })
	leaveFiles(t, h, s, hostCUK, token)
	d.says("others could read the role token", "")
	until(t, "closed", func() bool {
		return mode(t, h.path("antpickax")) == "0755" && mode(t, h.path("antpickax/k2hr3-role-token")) == "0600"
	})
	d.end()
	silent(t, d.String(), token)
}

// A VM made from the image of another has that one's k2hr3-cuk until K2HR3's
// script has run, and cloud-init has written its own instance id before.
func TestACloneIsNotTheHostItWasMadeFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h, token := newScriptHost(t, s, originalCUK)
	if got := h.agent("once"); got.status != 0 {
		t.Fatal(got)
	}
	// From here on this is the clone; the original has the address it has.
	s.DropSlave(hostAddr, originalCUK)
	s.AddSlave(originalAddr, originalCUK, originalAddr)
	write(t, h.path("instance-id"), hostCUK+"\n")
	s.server.ForgetRequests()

	original, clone := originalAddr+" "+originalCUK, hostAddr+" "+hostCUK
	step := func(verb string, want ...string) result {
		t.Helper()
		got := h.agent(strings.Fields(verb)...)
		if got.status != 0 {
			t.Fatalf("%s: %v", verb, got)
		}
		if have := slaves(s); !slices.Equal(have, want) {
			t.Errorf("%s: the role has %q, want %q", verb, have, want)
		}
		return got
	}
	step("unregister", original)
	if got := step("register", original, clone); !strings.HasPrefix(got.stdout, hostCUK+" is a member now") || strings.Count(got.stderr, "left over") != 1 {
		t.Error(got)
	}
	if got := step("once --dry-run", original, clone); !strings.Contains(got.stdout, hostCUK) {
		t.Error(got)
	}
	step("once", original, clone)
	if !strings.Contains(read(t, h.output()), hostCUK) {
		t.Error("the file is not the clone's")
	}
	step("unregister", original)

	// Then K2HR3's script has its turn on the clone, while the agent runs.
	d := h.start()
	d.says(realagent.Registered, "")
	leaveFiles(t, h, s, hostCUK, token)
	d.says("others could read the role token", "")
	until(t, "the clone's own record", func() bool { return strings.Contains(read(t, h.path("state/identity.json")), hostCUK) })
	d.end()
	step("once", original, clone)
	for _, r := range s.server.Requests() {
		if strings.Contains(r.Query, originalCUK) || r.Op == fakek2hr3.OpLeave && r.Source == hostAddr && !strings.Contains(r.Query, hostCUK) {
			t.Errorf("the clone spoke for another host: %v", r)
		}
	}
}
