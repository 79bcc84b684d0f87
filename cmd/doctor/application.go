package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx/tool"
	"k2hdkc-slave-agent/cmd/prose"
)

func applicationChecks() []check {
	return []check{
		{id: "application", about: "whether programs can open chmpx's memory", needs: []string{"chmpx"}, look: lookApplication},
		{id: "write-test", about: "a key of its own, set, read and deleted through the ring", needs: []string{"chmpx", "servers"}, look: lookWriteTest},
	}
}

func lookApplication(_ context.Context, x *exam) *finding {
	c, st := x.inPlace().report.Config, x.chmpx().status
	if c == nil {
		return skip("the file in place does not load")
	}
	path := x.Memory(c.Group, max(c.SelfCtlPort, 0))
	joined := ""
	if st.Clients > 0 {
		joined = "; joined by " + prose.Count(st.Clients, "program")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission) && !isRoot():
		return warn("run the application as a member of the group that may (ls -ld "+filepath.Dir(path)+")",
			"this user (uid %d) may not look into %s, so none of its programs can join chmpx", os.Geteuid(), filepath.Dir(path)).at("%s", path)
	case err != nil && joined != "":
		return good("%s", strings.TrimPrefix(joined, "; ")).at("%s", path)
	case err != nil:
		return skip("chmpx's memory is not at its usual place (%s)", path).at("%s", path)
	}
	mode, group := info.Mode().Perm(), -1
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		group = int(s.Gid)
	}
	if !isRoot() {
		if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil {
			return warn("make it a member of the group that may", "this user (uid %d) cannot open chmpx's memory %s (mode %04o, group %d)", os.Geteuid(), path, mode, group).at("%s", path)
		}
		return good("this user (uid %d) can join chmpx%s", os.Geteuid(), joined).at("%s", path)
	}
	switch {
	case mode&0o006 == 0o006:
		return good("every user's programs can join chmpx (mode %04o)%s", mode, joined).at("%s", path)
	case mode&0o060 == 0o060 && group != 0:
		return good("programs of the members of group %d can join chmpx (mode %04o)%s", group, mode, joined).at("%s", path)
	case joined != "":
		return good("only the programs of chmpx's own user can join it (mode %04o)%s", mode, joined).at("%s", path)
	}
	return warn("have chmpx's unit say Group=k2hdkc and UMask=0007, give /var/lib/antpickax that group and mode 2770, and make the application's user a member",
		"only programs of chmpx's own user, or root's, can join it: its memory has mode %04o", mode).at("%s", path)
}

// writeLimit is how long the test of a key may take. An operation whose servers are not connected
// takes 9 s to fail (docs/chmpx.md J.4).
const writeLimit = 5 * time.Second

func lookWriteTest(ctx context.Context, x *exam) *finding {
	if !x.WriteTest {
		return skip("only with --write-test")
	}
	dir, err := os.MkdirTemp("", "k2hdkc-slave-agent-")
	if err != nil {
		return skip("cannot make a folder for its commands: %v", err)
	}
	defer os.RemoveAll(dir)
	key, value := "k2hdkc-slave-agent.doctor."+x.CUK.String()+"."+strings.ToLower(rand.Text()), strings.ToLower(rand.Text())
	commands := filepath.Join(dir, "commands")
	text := fmt.Sprintf("set %[1]s %[2]s\nprint %[1]s\nrm %[1]s\nprint %[1]s\nexit\n", key, value)
	if err := os.WriteFile(commands, []byte(text), 0o600); err != nil {
		return skip("cannot write its commands: %v", err)
	}
	var out tool.Output
	err = tool.Run(ctx, tool.Call{
		Command: x.LineTool, Args: []string{"-conf", x.File.Path, "-run", commands}, Timeout: writeLimit, MaxOutput: 64 << 10,
	}, &out)
	said := string(out.Bytes())
	found, gone := fmt.Sprintf("%q => %q", key, value), fmt.Sprintf("%q => value is not found", key)
	looked := "the key " + key
	const remedy = "see the server nodes: chmpx and k2hdkc have to run on each, and hold the key's part of the ring; chmpxlinetool and the logs there say more"
	switch {
	case errors.Is(err, tool.ErrNotInstalled):
		return skip("%s is not installed", x.LineTool).at("%s", looked)
	case errors.Is(err, tool.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return bad(remedy, "setting, reading and deleting a key took more than %v; %s may be left behind", writeLimit, key).at("%s", looked)
	}
	_, after, read := strings.Cut(said, found)
	switch {
	case !read:
		return bad(remedy, "a key that was set cannot be read%s", because(err)).at("%s", looked)
	case !strings.Contains(after, gone):
		return bad(remedy, "a key that was deleted is still there: %s%s", key, because(err)).at("%s", looked)
	}
	return good("a key was set, read and deleted").at("%s", looked)
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}
