package e2e

import (
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/realagent"
)

// resourceText has the shape of what K2HR3 makes of the template of a K2HDKC
// cluster: three servers, one of them with more to say, one slave.
//
//go:embed testdata/resource.txt
var resourceText string

// ownText is a text with this VM's own CUK.
func ownText(text string) string { return strings.ReplaceAll(text, "__SELF_INSTANCE_ID__", vmCUK) }

// withoutServers is the text of a cluster that no server has joined yet.
func withoutServers(text string) string {
	start := strings.Index(text, "\n    \n[SVRNODE]")
	end := strings.Index(text, "\n\n#\n# Members that only use it")
	return text[:start] + text[end:]
}

func TestOncePutsTheTextInPlaceButForTwoValues(t *testing.T) {
	t.Parallel()
	k := &minimalK2HR3{text: resourceText}
	v := newSlaveVM(t, k)
	// What somebody kept there before, of another shape, mode and revision.
	old := strings.Replace(ownText(resourceText), "FILEVERSION         = 1", "FILEVERSION=41", 1)
	write(t, v.file(), strings.Replace(old, "kv-3.shop.example", "kv-9.shop.example", 1))
	must(t, os.Chmod(v.file(), 0o640))

	if got := v.agent("once"); got.status != 0 || got.stdout != "" {
		t.Fatal(got)
	}
	want := strings.Replace(ownText(resourceText), "FILEVERSION         = 1\n", "FILEVERSION         = 42\n", 1)
	if diff := cmp.Diff(want, read(t, v.file())); diff != "" {
		t.Errorf("slave.ini (-want +got):\n%s", diff)
	}
	if fi, err := os.Stat(v.file()); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v (%v), want that of the file before: 0640", fi.Mode(), err)
	}
	chmpxLoads(t, v.file(), 42)
	seen, odd := k.requests()
	if want := []string{"HEAD 204", "GET 200"}; !slices.Equal(seen, want) || odd != nil {
		t.Errorf("asked %q, and %q that no slave asks; want %q: a member is not registered again", seen, odd, want)
	}

	before := inode(t, v.file())
	if got := v.agent("once"); got.status != 0 || inode(t, v.file()) != before {
		t.Errorf("a second time, with nothing new, the file was replaced: %v", got)
	}
	if seen, _ := k.requests(); !slices.Equal(seen, []string{"HEAD 204", "GET 304"}) {
		t.Errorf("asked %q, want the RESOURCE to be asked for only if it has changed", seen)
	}
	k.setText(strings.Replace(resourceText, "That is all", "That is really all", 1))
	if got := v.agent("once"); got.status != 0 || inode(t, v.file()) != before {
		t.Errorf("for a comment, which chmpx does not compare, the file was replaced: %v", got)
	}
}

// chmpxLoads fails unless chmpx would start on a file, as that version.
func chmpxLoads(t *testing.T, path string, version int) {
	t.Helper()
	host := fakechmpx.Host{Names: []string{"localhost", "127.0.0.1", vmAddr, vmFQDN}}
	c, err := fakechmpx.ReadConfig(path, host)
	if err == nil {
		err = c.CanStart(host)
	}
	if err != nil || c.FileVersion != version || len(c.Servers) != 3 || len(c.Slaves) != 1 {
		t.Errorf("chmpx would make %+v of it, %v", c, err)
	}
}

func TestTheFirstServerNodeIsWaitedFor(t *testing.T) {
	t.Parallel()
	text := strings.Replace(resourceText, "FILEVERSION         = 1\n", "FILEVERSION         = 7\n", 1)
	k := &minimalK2HR3{text: withoutServers(text)}
	v := newSlaveVM(t, k)
	if got := v.agent("once"); got.status != 1 || !strings.Contains(got.stderr, realagent.NoServers) {
		t.Errorf("%v\nwant status 1 and the reason", got)
	}
	v.noFile()
	d := v.start("--stamp", "no")
	d.says(realagent.NotApplied, realagent.NoServers)
	v.noFile()
	k.setText(text)
	d.says(realagent.Replaced, "")
	if diff := cmp.Diff(ownText(text), read(t, v.file())); diff != "" {
		t.Errorf("slave.ini (-want +got):\n%s", diff)
	}
	d.end()
	if read(t, v.file()) != ownText(text) {
		t.Error("the end of the agent changed the file")
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	k := &minimalK2HR3{text: resourceText}
	v := newSlaveVM(t, k)
	dryRun := func() string {
		t.Helper()
		before := tree(t, v.disk)
		k.requests()
		got := v.agent("once", "--dry-run")
		if got.status != 0 {
			t.Fatal(got)
		}
		if diff := cmp.Diff(before, tree(t, v.disk)); diff != "" {
			t.Errorf("the disk (-before +after):\n%s", diff)
		}
		if seen, odd := k.requests(); !slices.Equal(seen, []string{"GET 200"}) && !slices.Equal(seen, []string{"GET 304"}) || odd != nil {
			t.Errorf("asked %q and %q, want the RESOURCE and nothing else", seen, odd)
		}
		return got.stdout
	}
	// Without a file all of it is new.
	if diff := dryRun(); strings.Count(diff, "\n+") != strings.Count(resourceText, "\n")+1 || strings.Contains(diff, "\n-#") {
		t.Errorf("the diff from no file:\n%s", diff)
	}
	if got := v.agent("once"); got.status != 0 {
		t.Fatal(got)
	}
	k.setText(strings.ReplaceAll(resourceText, "RWTIMEOUT           = 10000\n", "RWTIMEOUT           = 9000\n"))
	diff := dryRun()
	for _, want := range []string{
		"--- " + slaveINI, "\n+++ " + slaveINI, "\n-RWTIMEOUT           = 10000\n", "\n+RWTIMEOUT           = 9000\n",
		"\n-FILEVERSION         = 1\n", "\n+FILEVERSION         = 2\n",
	} {
		if !strings.Contains(diff, want) {
			t.Errorf("the diff has no %q:\n%s", want, diff)
		}
	}
	k.setText(resourceText)
	if diff := dryRun(); diff != "" {
		t.Errorf("a diff where there is nothing to do:\n%s", diff)
	}
}

// tree is what is on a disk: what tells one version of a file from another.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
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
	}))
	return files
}

// Once says what it waits for while it waits, and what chmpx did not do.
func TestOnceWaitsForChmpxAloud(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	h := newHost(t, s)
	status := h.path("chmpxstatus")
	script(t, status, "echo '[ERR] Could not initialize(attach) chmpx shared memory.' >&2\nexit 1")
	const waiting = "for=\"chmpx to run the current slave.ini, "
	got := h.agent(append([]string{"once", "--confirm", "1s", "--status-command", status}, s.args()...)...)
	if got.status != 1 || !strings.Contains(got.stderr, waiting) || !strings.Contains(got.stderr, "chmpx is not running: start it") {
		t.Errorf("without chmpx: %v", got)
	}
	for _, flag := range []string{"--confirm=0", "--status-command=", "--status-command=" + h.path("none")} {
		must(t, os.Remove(h.output()))
		got := h.agent(append([]string{"once", "--status-command", status, flag}, s.args()...)...)
		if got.status != 0 || strings.Contains(got.stderr, waiting) {
			t.Errorf("%s: %v", flag, got)
		}
	}
}
