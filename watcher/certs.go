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

	"k2hdkc-slave-agent/chmpx"
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

	seen    map[string]cert
	missing []string
	logged  string // the missing ones, as they were logged
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

// look looks at the files, and logs what has changed or is missing.
func (c *certs) look(now, wall time.Time) {
	c.next.clear()
	var all, used []string
	if c.file != nil {
		all, used = c.file.TLSFiles()
	}
	before := c.seen
	c.seen, c.missing = map[string]cert{}, nil
	var renewed []string
	for _, path := range all {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			c.missing = append(c.missing, path)
		}
		if err != nil || !slices.Contains(used, path) || !info.Mode().IsRegular() {
			continue
		}
		b, err := regularfile.Read(path, maxCert)
		if err != nil {
			continue // a key, which is chmpx's alone; it changes with its certificate
		}
		now := cert{sum: sum(b), changed: info.ModTime()}
		switch was, known := before[path]; {
		case known && was.sum == now.sum:
			now.changed = was.changed
		case known:
			now.changed = wall
			renewed = append(renewed, path)
		}
		c.seen[path] = now
	}
	c.tell(renewed)
	if len(all) > 0 {
		c.next.set(now.Add(certsEvery))
	}
}

func (c *certs) tell(renewed []string) {
	if len(renewed) > 0 {
		c.log.Warn("certificates have changed; chmpx goes on with the previous ones until it is restarted", "files", strings.Join(renewed, ", "))
	}
	missing := strings.Join(c.missing, ", ")
	if missing != "" && missing != c.logged {
		c.log.Error("files that slave.ini names for TLS are missing; chmpx ends at its next load or start", "files", missing)
	}
	if missing == "" && c.logged != "" {
		c.log.Info("the files that slave.ini names for TLS are all there again")
	}
	c.logged = missing
}

// outdated are those that have changed since a chmpx has started, which tells that in seconds.
func (c *certs) outdated(started time.Time) (names []string) {
	if started.IsZero() {
		return nil
	}
	for path, seen := range c.seen {
		if seen.changed.After(started.Add(time.Second)) {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names
}

// signs are what is wrong with them, for the chmpx that runs, if one does.
func (c *certs) signs(running *time.Time) (signs []sign) {
	if len(c.missing) > 0 {
		signs = append(signs, sign{code: CertificateMissing, message: oneLine("chmpx ends at its next load or start: there is no " + strings.Join(c.missing, ", "))})
	}
	if running == nil {
		return signs
	}
	if names := c.outdated(*running); len(names) > 0 {
		signs = append(signs, sign{code: CertificateChanged, message: oneLine("chmpx has to be restarted (in a pod: end its container), as certificates have changed: " + strings.Join(names, ", "))})
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
	if l.once || !l.RestartUnconfirmed || l.jobs.absent || l.jobOp.busy || last == nil || now.Sub(l.jobs.restarted) < leastRestart {
		return
	}
	names := l.certs.outdated(last.Started)
	if len(names) == 0 {
		return
	}
	if err := l.certsFit(); err != nil {
		l.certs.unfit.report(now, slog.LevelError, "certificates have changed, and chmpx cannot use the new ones; not restarting it", err)
		return
	}
	l.certs.unfit.end("the certificates that have changed are usable now")
	l.Log.Warn("restarting chmpx, as its certificates have changed", "files", strings.Join(names, ", "))
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
