package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// EnvCache names the folder that root file systems are kept in between runs;
// without it that is a folder of the user's cache.
const EnvCache = "K2HDKC_TEST_CACHE"

// The Debians a machine can run, by the name of the release.
const (
	Bullseye = "bullseye" // Debian 11, systemd 247
	Bookworm = "bookworm" // Debian 12, systemd 252
	Trixie   = "trixie"   // Debian 13, systemd 257
)

// packages are what a machine has besides the essential ones: what the agent
// and chmpx are installed on, and what a test looks at them with. cloud-init
// sleeps unless a machine is booted with user data. rpm is for packages that a
// Debian would not have.
var packages = []string{
	"systemd", "systemd-sysv", "dbus", "iproute2", "procps",
	"cloud-init", "python3-minimal", "curl", "gnupg", "ca-certificates", "rpm",
}

// contents are what a machine of a release has. That of Bookworm has dnf, too.
func contents(suite string) []string {
	if suite == Bookworm {
		return append(slices.Clone(packages), "dnf")
	}
	return packages
}

// untracked are files that packages bring and no test reads.
var untracked = []string{
	"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/bug/*", "/usr/share/lintian/*",
}

// settle runs in the new root file system, whose path is its argument. A
// machine-id that is there and empty is filled in at boot without the presets
// of a first boot. cloud-init would fail for want of locales, and would look
// for metadata in the network.
const settle = `set -eu
cd "$1"
: >etc/machine-id
rm -f etc/hostname etc/resolv.conf
: >etc/apt/sources.list
cat >etc/cloud/cloud.cfg.d/90-machine.cfg <<-'END'
	datasource_list: [ NoCloud, None ]
	locale: C.UTF-8
	network: { config: disabled }
END
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer systemd-pstore.service getty.target console-getty.service; do
	ln -sf /dev/null "etc/systemd/system/$unit"
done
`

// recipe is all that decides what is in a root file system, besides the date.
func recipe(suite string) string {
	return strings.Join([]string{
		suite, runtime.GOARCH, strings.Join(contents(suite), ","), strings.Join(untracked, ","), settle,
	}, "\n")
}

// Rootfs returns the folder of the root file system that machines of a Debian
// release are booted from. Nothing may write to it. It is made when it is not in the cache, which
// takes about a minute and needs apt's sources of this host; a tar of it is
// kept beside it, which is all that a cache has to carry from one host to
// another.
func Rootfs(ctx context.Context, suite string) (string, error) {
	if err := Available(); err != nil {
		return "", err
	}
	return cached(suite, recipe(suite), func(dir string) error {
		tar := dir + ".tar"
		if err := once(tar, func(to string) error { return bootstrap(ctx, suite, contents(suite), to) }); err != nil {
			return fmt.Errorf("make a root file system of Debian %s: %w", suite, err)
		}
		return once(dir, func(to string) error { return extract(ctx, tar, to) })
	})
}

// cached returns the folder in the cache of what a recipe makes. make is called to
// make it unless it is there; nobody else does meanwhile.
func cached(name, recipe string, make func(dir string) error) (dir string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	name = fmt.Sprintf("%s-%.12x", name, sha256.Sum256([]byte(recipe)))
	unlock, err := lock(filepath.Join(cache, name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := forget(cache, name); err != nil {
		return "", err
	}
	dir = filepath.Join(cache, name)
	return dir, make(dir)
}

func cacheDir() (string, error) {
	dir := os.Getenv(EnvCache)
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no place to keep root file systems, set %s: %w", EnvCache, err)
		}
		dir = filepath.Join(user, "k2hdkc-slave-agent", "machine")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// unused is how long a root file system that no recipe makes any more is kept
// for others, such as an older checkout, that may use it.
const unused = 48 * time.Hour

// forget removes the root file systems that have not been used for long, and
// notes that this one is.
func forget(cache, name string) error {
	now := time.Now()
	if err := os.Chtimes(filepath.Join(cache, name+".lock"), now, now); err != nil {
		return err
	}
	locks, err := filepath.Glob(filepath.Join(cache, "*.lock"))
	if err != nil {
		return err
	}
	for _, path := range locks {
		if info, err := os.Stat(path); err != nil || now.Sub(info.ModTime()) < unused {
			continue
		}
		base := strings.TrimSuffix(path, ".lock")
		err = errors.Join(err, os.RemoveAll(base), os.RemoveAll(base+".tar"), os.Remove(path))
	}
	return err
}

// lock waits until nobody else makes the same thing.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// once makes path unless it is there: in a folder beside it first, so that it is
// there whole or not at all.
func once(path string, make func(to string) error) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := path + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	made := filepath.Join(part, filepath.Base(path))
	if err := make(made); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// bootstrap makes a tar of a Debian with these packages.
func bootstrap(ctx context.Context, suite string, packages []string, tar string) error {
	mirrors, err := hostMirrors(ctx, suite)
	if err != nil {
		return err
	}
	// In namespaces its mounts end with it, also when it is killed.
	args := []string{
		"--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc",
		"mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", "--include=" + strings.Join(packages, ","),
		"--aptopt=Apt::Install-Recommends \"false\"", "--customize-hook=" + settle,
	}
	for _, glob := range untracked {
		args = append(args, "--dpkgopt=path-exclude="+glob)
	}
	args = append(append(args, suite, tar), mirrors...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Dir(tar))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return quietly(cmd)
}

// hostMirrors returns apt source lines of a suite for this host's own mirrors of
// Debian, whatever suites it takes from there itself. apt can tell them from
// others only with their index, which is fetched if need be.
func hostMirrors(ctx context.Context, suite string) ([]string, error) {
	lines, err := knownMirrors(ctx, suite)
	if err != nil || len(lines) != 0 {
		return lines, err
	}
	if err := quietly(exec.CommandContext(ctx, "apt-get", "--quiet", "update")); err != nil {
		return nil, err
	}
	lines, err = knownMirrors(ctx, suite)
	if err == nil && len(lines) == 0 {
		err = errors.New("apt has no source of Debian on this host")
	}
	return lines, err
}

func knownMirrors(ctx context.Context, suite string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("ask apt for its sources: %w", err)
	}
	return parseMirrors(out, suite), nil
}

// parts are what a stable suite of Debian is made of, by the ends of their names.
var parts = []string{"", "-updates", "-security"}

func parseMirrors(targets []byte, suite string) (lines []string) {
	for line := range bytes.Lines(targets) {
		f := strings.Fields(string(line))
		if len(f) != 4 || f[0] != "Debian" || f[3] != "main" {
			continue
		}
		_, part, ok := strings.Cut(f[2], "-")
		if ok {
			part = "-" + part
		}
		source := fmt.Sprintf("deb %s %s%s main", f[1], suite, part)
		if slices.Contains(parts, part) && !slices.Contains(lines, source) {
			lines = append(lines, source)
		}
	}
	return lines
}

func extract(ctx context.Context, tar, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	// Devices are nspawn's business.
	return quietly(exec.CommandContext(ctx, "tar", "--extract", "--file="+tar, "--directory="+dir,
		"--numeric-owner", "--preserve-permissions", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"))
}

// quietly runs a command; what it has printed is part of the error.
func quietly(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, tail(out))
	}
	return nil
}

// tail is the end of a long text.
func tail(b []byte) []byte {
	const most = 4 << 10
	return b[max(0, len(b)-most):]
}
