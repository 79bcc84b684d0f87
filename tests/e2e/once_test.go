package e2e

import (
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

// resourceText has the shape of what K2HR3 makes of the template of a K2HDKC
// cluster: three servers, one of them with more to say, one slave.
//
//go:embed testdata/resource.txt
var resourceText string

const slaveINI = "/etc/k2hdkc/slave.ini"

// newSlave is a machine with just what the user data of the DBaaS leaves on it.
// There is no configuration of the agent.
func newSlave(t *testing.T, k *bareK2HR3) *machine {
	t.Helper()
	m := newMachine(t)
	write(t, m.path("/etc/antpickax/k2hr3-api-uri"), m.serve(k)+"\n")
	write(t, m.path("/etc/antpickax/k2hr3-role-name"), roleYRN+"\n")
	write(t, m.path("/var/lib/cloud/data/instance-id"), machineCUK+"\n")
	return m
}

// withoutServers is the text of a cluster that no server has joined yet.
func withoutServers(text string) string {
	start := strings.Index(text, "\n    \n[SVRNODE]")
	end := strings.Index(text, "\n\n#\n# Members that only use it")
	return text[:start] + text[end:]
}

// differing returns the lines in which two texts of the same number of lines
// differ.
func differing(t *testing.T, before, after string) map[string]string {
	t.Helper()
	old, now := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	if len(old) != len(now) {
		t.Fatalf("%d lines became %d:\n%s", len(old), len(now), cmp.Diff(old, now))
	}
	diff := map[string]string{}
	for i := range old {
		if old[i] != now[i] {
			diff[old[i]] = now[i]
		}
	}
	return diff
}

func TestOncePutsTheTextInPlaceButForTwoValues(t *testing.T) {
	k := &bareK2HR3{text: resourceText}
	m := newSlave(t, k)
	// What somebody kept there before, of another shape, mode and revision.
	old := strings.NewReplacer("FILEVERSION         = 1", "FILEVERSION=41", "__SELF_INSTANCE_ID__", machineCUK).Replace(resourceText)
	old = strings.Replace(old, "kv-3.shop.example", "kv-9.shop.example", 1)
	write(t, m.path(slaveINI), old)
	if err := os.Chmod(m.path(slaveINI), 0o640); err != nil {
		t.Fatal(err)
	}

	if got := m.agent("once"); got.status != 0 || got.stdout != "" {
		t.Fatal(got)
	}
	want := map[string]string{
		"FILEVERSION         = 1\n":                    "FILEVERSION         = 42\n",
		"SELFCUK             = __SELF_INSTANCE_ID__\n": "SELFCUK             = " + machineCUK + "\n",
	}
	if diff := cmp.Diff(want, differing(t, resourceText, read(t, m.path(slaveINI)))); diff != "" {
		t.Errorf("lines that differ from the RESOURCE (-want +got):\n%s", diff)
	}
	if fi, err := os.Stat(m.path(slaveINI)); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v (%v), want that of the file before: 0640", fi.Mode(), err)
	}
	host := fakechmpx.Host{Names: []string{"localhost", "127.0.0.1", machineAddr, machineFQDN}}
	c, err := fakechmpx.ReadConfig(m.path(slaveINI), host)
	if err == nil {
		err = c.CanStart(host)
	}
	if err != nil || c.FileVersion != 42 || len(c.Servers) != 3 || len(c.Slaves) != 1 {
		t.Errorf("chmpx would make %+v of it, %v", c, err)
	}
	seen, odd := k.requests()
	if want := []string{"HEAD 204", "GET 200"}; !slices.Equal(seen, want) || odd != nil {
		t.Errorf("asked %q, and oddly %q; want %q: a member is not registered again", seen, odd, want)
	}

	t.Run("and nothing the second time", func(t *testing.T) {
		before := inode(t, m.path(slaveINI))
		if got := m.agent("once"); got.status != 0 {
			t.Fatal(got)
		}
		if seen, _ := k.requests(); !slices.Equal(seen, []string{"HEAD 204", "GET 304"}) {
			t.Errorf("asked %q, want the RESOURCE to be asked for only if it has changed", seen)
		}
		if inode(t, m.path(slaveINI)) != before {
			t.Error("the file was replaced, though nothing had changed")
		}
	})
	t.Run("and a comment alone is no change", func(t *testing.T) {
		k.setText(strings.Replace(resourceText, "That is all", "That is really all", 1))
		before := inode(t, m.path(slaveINI))
		if got := m.agent("once"); got.status != 0 {
			t.Fatal(got)
		}
		if inode(t, m.path(slaveINI)) != before {
			t.Error("the file was replaced, though nothing chmpx compares had changed")
		}
	})
}

func TestOnceWithoutStampReplacesOnlyThePlaceholder(t *testing.T) {
	k := &bareK2HR3{text: resourceText}
	m := newSlave(t, k)
	if got := m.agent("once", "--stamp", "no"); got.status != 0 {
		t.Fatal(got)
	}
	want := strings.ReplaceAll(resourceText, "__SELF_INSTANCE_ID__", machineCUK)
	if diff := cmp.Diff(want, read(t, m.path(slaveINI))); diff != "" {
		t.Errorf("slave.ini (-want +got):\n%s", diff)
	}
}

func TestOnceWritesNothingWhileThereIsNoServerNode(t *testing.T) {
	k := &bareK2HR3{text: withoutServers(resourceText)}
	m := newSlave(t, k)
	got := m.agent("once")
	if got.status != 1 || !strings.Contains(got.stderr, "no server node yet") {
		t.Errorf("%v\nwant status 1 and the reason", got)
	}
	if slices.Contains(names(t, m.path("/etc/k2hdkc")), "slave.ini") {
		t.Error("a file without a server, which would end chmpx, was written")
	}
}

func TestRunWaitsForTheFirstServerNode(t *testing.T) {
	k := &bareK2HR3{text: withoutServers(resourceText)}
	m := newSlave(t, k)
	p := m.start()
	next := says(t, p, 0, "the file in place stays", "no server node yet")
	if slices.Contains(names(t, m.path("/etc/k2hdkc")), "slave.ini") {
		t.Fatal("a file without a server, which would end chmpx, was written")
	}
	k.setText(resourceText)
	says(t, p, next, "slave.ini replaced", "")
	want := strings.ReplaceAll(resourceText, "__SELF_INSTANCE_ID__", machineCUK)
	if diff := cmp.Diff(want, read(t, m.path(slaveINI))); diff != "" {
		t.Errorf("slave.ini (-want +got):\n%s", diff)
	}
	end(t, p)
	if got := read(t, m.path(slaveINI)); got != want {
		t.Error("the end of the agent changed the file")
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	k := &bareK2HR3{text: resourceText}
	m := newSlave(t, k)
	final := strings.ReplaceAll(resourceText, "__SELF_INSTANCE_ID__", machineCUK)

	before := tree(t, m.disk)
	got := m.agent("once", "--dry-run")
	if got.status != 0 {
		t.Fatal(got)
	}
	if diff := cmp.Diff(before, tree(t, m.disk)); diff != "" {
		t.Errorf("the disk (-before +after):\n%s", diff)
	}
	if seen, odd := k.requests(); !slices.Equal(seen, []string{"GET 200"}) || odd != nil {
		t.Errorf("asked %q and %q, want the RESOURCE and nothing else", seen, odd)
	}
	if now := unpatch(t, got.stdout, ""); now != final {
		t.Errorf("the diff from no file leads to (-want +got):\n%s", cmp.Diff(final, now))
	}

	// The same with a file in place.
	if got := m.agent("once"); got.status != 0 {
		t.Fatal(got)
	}
	k.setText(strings.ReplaceAll(resourceText, "kv-2", "kv-4"))
	before = tree(t, m.disk)
	got = m.agent("once", "--dry-run")
	if diff := cmp.Diff(before, tree(t, m.disk)); diff != "" {
		t.Errorf("the disk (-before +after):\n%s", diff)
	}
	want := strings.ReplaceAll(strings.ReplaceAll(final, "kv-2", "kv-4"), "FILEVERSION         = 1\n", "FILEVERSION         = 2\n")
	if now := unpatch(t, got.stdout, final); got.status != 0 || now != want {
		t.Errorf("%v\nthe diff leads to (-want +got):\n%s", got, cmp.Diff(want, now))
	}

	// And with nothing to do.
	k.setText(resourceText)
	if got := m.agent("once", "--dry-run"); got.status != 0 || got.stdout != "" {
		t.Errorf("%v\nwant no diff", got)
	}
}

// tree is what is on a disk: what tells one version of a file from another.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		files[name] = fmt.Sprintf("inode %d, %d bytes, mode %o, written %d.%09d", st.Ino, st.Size, st.Mode, st.Mtim.Sec, st.Mtim.Nsec)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var hunkHead = regexp.MustCompile(`^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@`)

// unpatch applies a unified diff to text as patch(1) would, strictly.
func unpatch(t *testing.T, diff, text string) string {
	t.Helper()
	lines := strings.SplitAfter(diff, "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "--- "+slaveINI) || !strings.HasPrefix(lines[1], "+++ "+slaveINI) {
		t.Fatalf("not the unified diff of %s:\n%s", slaveINI, diff)
	}
	old := strings.SplitAfter(text, "\n")
	var out strings.Builder
	at := 0
	for _, line := range lines[2:] {
		if m := hunkHead.FindStringSubmatch(line); m != nil {
			start, _ := strconv.Atoi(m[1])
			if m[2] != "0" {
				start--
			}
			out.WriteString(strings.Join(old[at:start], ""))
			at = start
			continue
		}
		if line == "" {
			continue
		}
		switch sign, rest := line[0], line[1:]; sign {
		case '+':
			out.WriteString(rest)
		case ' ', '-':
			if at >= len(old) || old[at] != rest {
				t.Fatalf("the diff does not fit at line %d: %q", at+1, rest)
			}
			if sign == ' ' {
				out.WriteString(rest)
			}
			at++
		default:
			t.Fatalf("line %q has no place in a diff", line)
		}
	}
	return out.String() + strings.Join(old[at:], "")
}
