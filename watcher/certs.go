package watcher

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/chmpx"
	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render/regularfile"
)

// certsEvery is how often the certificates are looked at. They are renewed days before they end.
const certsEvery = 30 * time.Second

// maxCert bounds a certificate that is read, in bytes.
const maxCert = 1 << 20

// certs are the files that slave.ini names for TLS. chmpx looks for all of them at every load and
// ends if one is missing; what is in those that a slave uses it reads once, and keeps for its life
// (docs/flavours.md 6). So a renewed one takes a restart of chmpx, which no reload can replace.
type certs struct {
	log  *slog.Logger
	next alarm
	file *chmpx.Config // whose certificates these are

	looked  time.Time // the last look, on the wall
	seen    map[string]cert
	missing []string
	logged  string // the missing ones, as they were logged
	told    string // those that a chmpx goes on without, as they were logged
	unfit   trouble
}

// cert is a certificate as it was last seen.
type cert struct {
	sum     string
	changed time.Time // on the wall
}

// follow looks at the files of a configuration when it is another one, and plans the next look.
func (c *certs) follow(now time.Time, file *chmpx.Config, wall time.Time) {
	if file == c.file {
		return
	}
	c.file = file
	c.look(now, wall)
}

// look looks at the files, and logs which are missing.
func (c *certs) look(now, wall time.Time) {
	c.next.clear()
	var all, used []string
	if c.file != nil {
		all, used = c.file.TLSFiles()
	}
	before, last := c.seen, c.looked
	c.seen, c.missing, c.looked = map[string]cert{}, nil, wall
	for _, path := range all {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			c.missing = append(c.missing, path)
		}
		if !slices.Contains(used, path) {
			continue
		}
		was, known := before[path]
		if known {
			c.seen[path] = was // for as long as it cannot be read
		}
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		b, err := regularfile.Read(path, maxCert)
		if err != nil {
			continue // a key, which is chmpx's alone; it changes with its certificate
		}
		now := cert{sum: sum(b), changed: info.ModTime()}
		switch {
		case known && was.sum == now.sum:
			now.changed = was.changed
		case known:
			now.changed = replacedAt(path, last, wall)
		case now.changed.After(wall): // by a clock that was ahead: nothing tells when it was
			now.changed = time.Time{}
		}
		if now.changed.After(wall) { // the clock was set back since
			now.changed = wall
		}
		c.seen[path] = now
	}
	c.tellMissing()
	if len(all) > 0 {
		c.next.set(now.Add(certsEvery))
	}
}

// soon looks at them again, if there are any: chmpx is another.
func (c *certs) soon(now time.Time) {
	if !c.next.at.IsZero() {
		c.next.set(now)
	}
}

func (c *certs) tellMissing() {
	missing := strings.Join(c.missing, ", ")
	if missing != "" && missing != c.logged {
		c.log.Error("files that slave.ini names for TLS are missing; chmpx ends at its next load or start", "files", missing)
	}
	if missing == "" && c.logged != "" {
		c.log.Info("the files that slave.ini names for TLS are all there again")
	}
	c.logged = missing
}

// replacedAt returns when a file got the content that it did not have at the last look. The inodes
// of the file and of the links that lead to it, as the kubelet replaces them, show that, whatever
// time of writing it was given. Where they show no time since the last look, it is now: one restart
// of chmpx too many is better than one that never comes.
func replacedAt(path string, last, now time.Time) time.Time {
	at := last
	for links := 0; links < mostLinks; links++ {
		link, rest := firstLink(path)
		var st unix.Stat_t
		if unix.Lstat(link, &st) != nil {
			return now
		}
		if changed := time.Unix(st.Ctim.Unix()); changed.After(at) {
			at = changed
		}
		to, err := os.Readlink(link)
		if err != nil { // the file itself
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(link), to)
		}
		path = filepath.Join(to, rest)
	}
	if at.Equal(last) || at.After(now) {
		return now
	}
	return at
}

// mostLinks is how many symbolic links the kernel follows (path_resolution(7)).
const mostLinks = 40

// firstLink splits a path behind the first symbolic link in it, or at its end.
func firstLink(path string) (link, rest string) {
	for i := 1; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		if info, err := os.Lstat(path[:i]); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return path[:i], path[i:]
		}
	}
	return path, ""
}

// outdated are those that have changed since a chmpx has started; nil: none runs.
func (c *certs) outdated(running *daemon.Status) (paths []string) {
	if running == nil || running.Started.IsZero() {
		return nil
	}
	for path, seen := range c.seen {
		if seen.changed.After(running.StartedBy()) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// compare logs which certificates a chmpx goes on without, each change of them once.
func (c *certs) compare(running *daemon.Status) {
	paths, told := c.outdated(running), ""
	for _, path := range paths {
		told += path + c.seen[path].sum
	}
	if told != "" && told != c.told {
		c.log.Warn("certificates have changed; chmpx goes on with the previous ones until it is restarted", "files", strings.Join(paths, ", "))
	}
	c.told = told
}

// bases are the names of files without their folders.
func bases(paths []string) string {
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = filepath.Base(path)
	}
	return strings.Join(names, ", ")
}

// signs are what is wrong with them, for the chmpx that runs, if one does.
func (c *certs) signs(running *daemon.Status) (signs []sign) {
	if len(c.missing) > 0 {
		signs = append(signs, sign{code: CertificateMissing, message: oneLine("chmpx ends at its next load or start: there is no " + strings.Join(c.missing, ", "))})
	}
	if paths := c.outdated(running); len(paths) > 0 {
		signs = append(signs, sign{code: CertificateChanged, message: oneLine("chmpx has to be restarted (in a pod: end its container), as certificates have changed: " + bases(paths))})
	}
	return signs
}

// usable returns nil if a node's certificate and key belong together, and its CA stands for them at
// this time. chmpx starts on what does not, and no server lets it in.
func usable(n *chmpx.Node, wall time.Time) error {
	cert, err := regularfile.Read(n.SlaveCert, maxCert)
	key, errKey := regularfile.Read(n.SlavePrivKey, maxCert)
	if err := cmp.Or(err, errKey); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", n.SlaveCert, n.SlavePrivKey, err)
	}
	if !n.CAFile {
		return nil // a folder of them, or the system's
	}
	ca, err := regularfile.Read(n.CAPath, maxCert)
	if err != nil {
		return err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: wall, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	o.Roots.AppendCertsFromPEM(ca)
	o.Intermediates.AppendCertsFromPEM(cert)
	if _, err := pair.Leaf.Verify(o); err != nil {
		return fmt.Errorf("%s, by %s: %w", n.SlaveCert, n.CAPath, err)
	}
	return nil
}

// lookAtCerts looks at the certificates, and restarts chmpx for new ones where the operator lets
// the agent do that. It waits for those that are no good, as where half of them has been replaced.
func (l *loop) lookAtCerts(now time.Time) {
	l.certs.look(now, l.wall())
	last := l.probe.last
	l.certs.compare(last)
	if l.once || !l.RestartUnconfirmed || l.jobs.absent || l.jobOp.busy || last == nil || now.Sub(l.jobs.restarted) < leastRestart {
		return
	}
	paths := l.certs.outdated(last)
	if len(paths) == 0 {
		return
	}
	if err := l.certsFit(); err != nil {
		l.certs.unfit.report(now, slog.LevelError, "certificates have changed, and chmpx cannot use the new ones; not restarting it", err)
		return
	}
	l.certs.unfit.end("the certificates that have changed are usable now")
	l.Log.Warn("restarting chmpx, as its certificates have changed", "files", bases(paths))
	l.restartUnit(now)
}

// certsFit returns nil if chmpx would start on slave.ini and its certificates as they are now.
func (l *loop) certsFit() error {
	if err := l.cannotReadFile(); err != nil {
		return err
	}
	report := l.Judge.Judge(l.ctx, l.output.file.bytes, nil)
	if err := l.refuse(report); err != nil {
		return err
	}
	if report.Self == nil {
		return errors.New("slave.ini has no entry for this host")
	}
	return usable(report.Self, l.wall())
}
