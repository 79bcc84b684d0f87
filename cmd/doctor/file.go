package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/prose"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

func fileChecks() []check {
	return []check{
		{id: "folder", about: "whether the file can be replaced: folder, space, inodes, mounts, chattr", needs: []string{"config"}, look: lookFolder},
		{id: "file", about: "the file in place", needs: []string{"config"}, behind: []string{"text"}, look: lookFile},
		{id: "links", about: "what keeps chmpx from noticing a replacement: other names of the file, and programs that have an old one open", needs: []string{"file"}, look: lookLinks},
		{id: "looks", about: "whether chmpx's user can read the file, and its label", needs: []string{"file"}, look: lookLooks},
		{id: "certificates", about: "the certificates and keys that the configuration names", needs: []string{"config"}, behind: []string{"text"}, look: lookCertificates},
	}
}

func lookFolder(_ context.Context, x *exam) *finding {
	dir := filepath.Dir(x.File.Path)
	err := x.File.Foresee()
	switch {
	case err == nil:
		return good("%s takes a replacement of the file", dir).at("%s", x.File.Path)
	case errors.Is(err, fs.ErrPermission) && !isRoot() && !strings.Contains(err.Error(), "chattr"):
		return unseen("whether the agent can write in %s", dir).at("%s", x.File.Path)
	}
	return bad("the message says what helps; the agent tries again by itself", "%v", err).at("%s", x.File.Path)
}

func lookFile(_ context.Context, x *exam) *finding {
	p, now := x.File.Path, x.inPlace()
	const self = "the agent puts the last good one back by itself; if it does not: journalctl -u k2hdkc-slave-agent"
	switch {
	case errors.Is(now.err, fs.ErrNotExist):
		return bad("the agent writes it as soon as K2HR3 has a good text: see the checks before, and journalctl -u k2hdkc-slave-agent", "there is no %s yet", p).
			at("%s", p).after("name", "tcp", "tls", "k2hr3", "store", "membership", "resource", "text", "certificates", "agent", "folder")
	case errors.Is(now.err, fs.ErrPermission) && !isRoot():
		return blind(unseen("what is in %s", p)).at("%s", p)
	case now.err != nil:
		return bad("put it out of the way; "+self, "%v", now.err).at("%s", p).after("folder")
	}
	grave := now.report.Grave()
	switch {
	case now.report.Only(chmpx.RuleTLSFile) || now.report.Only(chmpx.RuleTLSFile, chmpx.RuleSelfUnsure):
		return good("chmpx would take it, but for the certificates it names").at("%s", p)
	case now.report.Only(chmpx.RuleSelfUnsure):
		return warn("look at the name service of this host (/etc/resolv.conf), or set tag", "%s", now.report.Why()).at("%s", p).after("name")
	case len(grave) > 0:
		f := bad(self, "%s is not what the agent put there, or is out of date: %s: %s", p, now.report.Verdict, now.report.Why()).at("%s", p).after("agent", "folder")
		if x.text.Has(grave[0].Rule) { // it is about this host, or K2HR3's text is as bad
			f = f.after("text")
		}
		return f
	}
	var changes []string
	if x.fit {
		changes = chmpx.ChangesBesidesVersion(now.report.Config, x.text.Config)
	}
	if len(changes) > 0 {
		return warn("the agent takes it up at its next request; `systemctl reload k2hdkc-slave-agent` has it ask now",
			"K2HR3 has a newer text: %s", strings.Join(changes[:min(3, len(changes))], "; ")).at("%s", p).after("agent", "folder")
	}
	return good("revision %d: %s", now.report.Config.FileVersion, nodes(now.report.Config)).at("%s", p)
}

// again is how long a program may have the old file open that only reads it.
const again = 300 * time.Millisecond

func lookLinks(ctx context.Context, x *exam) *finding {
	p := x.File.Path
	if n := x.File.OtherNames(); n > 0 {
		return bad(fmt.Sprintf("remove them (find %s -xdev -samefile %s): as long as there is one, chmpx notices no replacement", filepath.Dir(p), p),
			"%s has %s besides", p, prose.Count(n, "other name")+" (hard links)")
	}
	holders, err := daemon.Holders(ctx, p, daemon.Inode{})
	if len(holders) > 0 && sleep(ctx, again) {
		holders, err = daemon.Holders(ctx, p, daemon.Inode{})
	}
	if len(holders) > 0 {
		var names []string
		for _, h := range holders {
			names = append(names, h.String())
		}
		return bad("end what has it open: as long as something does, chmpx does not load the file that took its place",
			"the file before is still open in %s", strings.Join(names, ", "))
	}
	if err != nil {
		return good("it has no other name (run as root to see whether a program has an old one open)").at("%s", p)
	}
	return good("it has no other name, and nobody has an old one open").at("%s", p)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// reader is whom chmpx runs as.
type reader struct {
	name string
	render.Reader
}

// reader returns whom chmpx runs as, or will; ok is false if nothing tells.
func (x *exam) reader() (r reader, ok bool) {
	if p := x.chmpx(); p.err == nil {
		if r, ok := daemon.ReaderOf(x.Proc, p.status.PID); ok {
			r.Elsewhere = r.Elsewhere || x.Options.InPod()
			return reader{fmt.Sprintf("uid %d", r.UID), r}, true
		}
	}
	u, err := x.unit()
	if x.Options.Unit == "" || err != nil {
		return reader{}, false
	}
	name := u.User
	if u.RunsHelper() {
		name, _ = daemon.HelperUser(regularfile.Dir("/"), x.Options.AntpickaxDir)
	}
	if name == "" || name == "root" {
		return reader{"root", render.Reader{All: true}}, true
	}
	return account(name)
}

// account looks a user up in /etc/passwd and /etc/group.
func account(name string) (reader, bool) {
	users, err := regularfile.Read("/etc/passwd", regularfile.Small)
	if err != nil {
		return reader{}, false
	}
	r := reader{name, render.Reader{UID: -1}}
	for line := range strings.Lines(string(users)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 3 && f[0] == name {
			r.UID, _ = strconv.Atoi(f[2])
			if gid, err := strconv.Atoi(f[3]); err == nil {
				r.Groups = append(r.Groups, gid)
			}
		}
	}
	groups, _ := regularfile.Read("/etc/group", regularfile.Small)
	for line := range strings.Lines(string(groups)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 3 && slices.Contains(strings.Split(f[3], ","), name) {
			if gid, err := strconv.Atoi(f[2]); err == nil {
				r.Groups = append(r.Groups, gid)
			}
		}
	}
	return r, r.UID >= 0
}

func lookLooks(_ context.Context, x *exam) *finding {
	p := x.File.Path
	if label := badLabel(p); label != "" {
		return warn("restorecon -v "+p, "%s has the label %s, which a confined chmpx may not read", p, label)
	}
	r, ok := x.reader()
	if !ok {
		return skip("nothing tells whom chmpx runs as").at("%s", p)
	}
	const restart = "; chmpx loses its watch on a file it cannot read, so restart it then"
	bar := r.Bar(p)
	next := x.File.Bar(r.Reader)
	switch {
	case bar == nil && next == nil:
		return good("chmpx's user (%s) can read it", r.name).at("%s", p)
	case bar == nil:
		return bad("set mode, owner or group in the agent's configuration so that chmpx's user can read the file", "the agent replaces %s no more: chmpx's user (%s) could not read a new one (%s)", p, r.name, next.Looks()).at("%s", p)
	case bar.Path != p && bar.Mode.IsDir():
		return bad("chmod "+bar.Path+" so that chmpx's user can enter it"+restart, "chmpx's user (%s) cannot read %s: it cannot enter %s (%s)", r.name, p, bar.Path, bar.Looks()).at("%s", p)
	case x.File.Mode != nil || x.File.Owner != nil || x.File.Group != nil:
		return bad("set mode, owner or group in the agent's configuration so that chmpx's user can read it (mode = 0644, or its group): the agent gives them to each new file"+restart,
			"chmpx's user (%s) cannot read %s (%s)", r.name, p, bar.Looks()).at("%s", p)
	}
	return bad("chmod or chown "+p+" so that chmpx's user can read it (0644, or its group): the agent keeps mode and owner"+restart,
		"chmpx's user (%s) cannot read %s (%s)", r.name, p, bar.Looks()).at("%s", p)
}

// badLabel returns the file's SELinux type if it is one that files get by accident.
func badLabel(path string) string {
	b := make([]byte, 256)
	n, err := unix.Lgetxattr(path, "security.selinux", b)
	if err != nil {
		return ""
	}
	label := strings.TrimRight(string(b[:n]), "\x00")
	parts := strings.Split(label, ":")
	if len(parts) > 2 && slices.Contains([]string{"unlabeled_t", "default_t", "tmp_t", "user_tmp_t", "user_home_t", "admin_home_t", "file_t"}, parts[2]) {
		return label
	}
	return ""
}

// named is a file that a configuration names.
type named struct {
	path, key string
	cert      bool // it is a certificate, not a key or a folder
}

func lookCertificates(_ context.Context, x *exam) *finding {
	c := x.wanted()
	if c == nil {
		return skip("there is no configuration that could name any").after("file")
	}
	files := certificates(c)
	if len(files) == 0 {
		return good("the configuration names none")
	}
	who, known := x.reader()
	var soon *finding
	soonest := time.Duration(1<<63 - 1)
	for _, f := range files {
		info, err := os.Stat(f.path)
		switch {
		case errors.Is(err, fs.ErrPermission) && !isRoot():
			return unseen("%s %s", f.key, f.path)
		case err != nil:
			return bad("install it, or correct "+f.key+" in the RESOURCE: chmpx ends on a configuration that names a file which is not there", "%s: %v", f.key, err)
		}
		if bar := who.Bar(f.path); known && bar != nil {
			return bad("chmod or chown "+bar.Path+" so that chmpx's user can read what is there", "chmpx's user (%s) cannot read %s %s: %s has %s", who.name, f.key, f.path, bar.Path, bar.Looks())
		}
		if !f.cert || info.IsDir() {
			continue
		}
		left, err := untilEnd(f.path, f.key == "CAPATH")
		switch {
		case errors.Is(err, fs.ErrPermission) && !isRoot():
			return unseen("until when %s is good", f.path)
		case err != nil:
			return bad("put a PEM certificate there", "%s %s: %v", f.key, f.path, err)
		case left < 0:
			return bad("renew it, and restart chmpx", "%s %s ended %s ago", f.key, f.path, days(-left)).after("clock")
		case left < soonest:
			soonest = left
			soon = warn("renew it, and restart chmpx", "%s %s ends in %s", f.key, f.path, days(left))
		}
	}
	if soonest < renewBefore {
		return soon
	}
	return good("%s, all there; the first one ends in %s", prose.Count(len(files), "file"), days(soonest))
}

// wanted is the configuration that chmpx should run on: K2HR3's, else the one in place. Files that
// it names need not be there.
func (x *exam) wanted() *chmpx.Config {
	text := []byte(x.answer.Text)
	if len(text) == 0 {
		var err error
		if text, err = regularfile.Read(x.File.Path, render.MaxFile); err != nil {
			return nil
		}
	}
	c, _ := chmpx.Load(render.Bytes(string(text), x.values(0)), allThere)
	return c
}

func certificates(c *chmpx.Config) []named {
	var files []named
	add := func(path, key string, cert bool) {
		if path != "" && !slices.ContainsFunc(files, func(f named) bool { return f.path == path }) {
			files = append(files, named{path, key, cert})
		}
	}
	add(c.NSSDBDir, "NSSDB_DIR", false)
	for _, nodes := range [][]chmpx.Node{c.Servers, c.Slaves} {
		for _, n := range nodes {
			add(n.CAPath, "CAPATH", true)
			add(n.ServerCert, "SERVER_CERT", true)
			add(n.ServerPrivKey, "SERVER_PRIKEY", false)
			add(n.SlaveCert, "SLAVE_CERT", true)
			add(n.SlavePrivKey, "SLAVE_PRIKEY", false)
		}
	}
	return files
}

// untilEnd returns how long the certificates in a file are good, the first one to end or, in a
// bundle of authorities, the last one.
func untilEnd(path string, last bool) (time.Duration, error) {
	b, err := regularfile.Read(path, render.MaxFile)
	if err != nil {
		return 0, err
	}
	var ends []time.Duration
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			ends = append(ends, time.Until(c.NotAfter))
		}
	}
	switch {
	case len(ends) == 0:
		return 0, errors.New("there is no certificate in it (PEM is expected)")
	case last:
		return slices.Max(ends), nil
	}
	return slices.Min(ends), nil
}
