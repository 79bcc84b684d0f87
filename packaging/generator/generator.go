// Package generator is the systemd generator of the agent's unit
// (systemd.generator(7)): it adds to k2hdkc-slave-agent.service the rights that the
// agent's options ask for beyond those that the unit comes with.
//
// systemd runs it at boot, before there is anything but /usr, /etc and /run, and at
// every `systemctl daemon-reload`. It goes by files alone, waits for nothing, and
// writes nothing but one drop-in, into the folder that systemd names. Options that
// are wrong do not matter to those that are right.
package generator

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/packaging/unitfile"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/atomicfile"
)

// Name is what the program is called as a generator.
const Name = options.Program + "-generator"

// dropIn is the file that is written, below systemd's folder.
const dropIn = agentunit.Name + ".d/50-configuration.conf"

// generate writes the drop-in into a folder; none where the unit has rights enough.
// userNamespaces tells whether this host lets the unit have a namespace of users.
// wrong says what of the units or the options cannot be understood; what the rest
// needs is written all the same.
func generate(files fs.FS, to string, userNamespaces func() bool) (wrong, err error) {
	a, wrong := agentunit.Read(files)
	lines, unsure := rights(files, a, userNamespaces)
	wrong = errors.Join(wrong, unsure)
	if len(lines) == 0 {
		return wrong, nil
	}
	text := "# What the options of this host's agent need.\n[Service]\n" + strings.Join(lines, "\n") + "\n"
	file := filepath.Join(to, dropIn)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return wrong, err
	}
	return wrong, atomicfile.Write(file, []byte(text), 0o644)
}

// rights are the lines that the unit needs.
func rights(files fs.FS, a agentunit.Agent, userNamespaces func() bool) (lines []string, err error) {
	for _, dir := range folders(a) {
		lines = append(lines, "ReadWritePaths=-"+dir)
	}
	owned := forSomebody(files, a.Options)
	if owned {
		lines = append(lines, "CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE", "SystemCallFilter=@chown")
	}
	// Its memory can be looked at only with the right to write there.
	user, err := chmpxUser(files, a.Options)
	metrics := showsElsewhere(files, a.Options)
	if !isRoot(user) || metrics {
		lines = append(lines, "CapabilityBoundingSet=CAP_DAC_OVERRIDE")
	}
	// A namespace of users has nobody but root in it. Where there may be none,
	// systemd would not start the unit.
	if owned || namesSomebody(files, a.Options) || !isRoot(user) || metrics || !userNamespaces() {
		lines = append(lines, "PrivateUsers=no")
	}
	return lines, err
}

// plain is a path that a unit reads as it is. Another one is left to the operator.
var plain = regexp.MustCompile(`^/[A-Za-z0-9/._@:+-]+$`)

// folders are those that the agent has to write in, and the unit does not let it.
func folders(a agentunit.Agent) (dirs []string) {
	o := a.Options
	wanted := []string{path.Dir(o.Output), o.StateDir, o.RunDir, o.AntpickaxDir}
	if o.ForgetBootstrapToken {
		wanted = append(wanted, path.Dir(o.RoleTokenFile))
	}
	for _, file := range metricsFiles(o) {
		wanted = append(wanted, path.Dir(file))
	}
	for _, dir := range wanted {
		if plain.MatchString(dir) && !within(dir, append(a.Writable(), dirs...)) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// metricsFiles are those that the agent shows its metrics by.
func metricsFiles(o *options.Options) (files []string) {
	if o.MetricsTextfile != "" {
		files = append(files, o.MetricsTextfile)
	}
	if o.MetricsListen.Network == "unix" {
		files = append(files, o.MetricsListen.Address)
	}
	return files
}

// showsElsewhere tells whether the agent shows its metrics in a folder of somebody else's than
// root, such as node_exporter's user, where root without capabilities may not write.
func showsElsewhere(files fs.FS, o *options.Options) bool {
	return slices.ContainsFunc(metricsFiles(o), func(file string) bool {
		info, err := fs.Stat(files, strings.TrimPrefix(path.Dir(file), "/"))
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		return ok && st.Uid != 0
	})
}

// within tells whether a folder is one of dirs, or below one.
func within(dir string, dirs []string) bool {
	for _, d := range dirs {
		if dir == d || strings.HasPrefix(dir, strings.TrimSuffix(d, "/")+"/") {
			return true
		}
	}
	return false
}

// forSomebody tells whether the output file belongs, or has to belong, to somebody
// else than root.
func forSomebody(files fs.FS, o *options.Options) bool {
	if o.Owner != "" || o.Group != "" {
		return true
	}
	info, err := fs.Stat(files, strings.TrimPrefix(o.Output, "/"))
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid != 0 || st.Gid != 0)
}

// namesSomebody tells whether the output file has an ACL, which names more users than its owner.
func namesSomebody(files fs.FS, o *options.Options) bool {
	f, err := files.Open(strings.TrimPrefix(o.Output, "/"))
	if err != nil {
		return false
	}
	defer f.Close()
	file, ok := f.(*os.File)
	return ok && render.HasACL(file)
}

// chmpxUser is the user that chmpx runs as; empty: root.
func chmpxUser(files fs.FS, o *options.Options) (string, error) {
	if o.Unit == "" {
		return "", nil
	}
	u, errUnit := unitfile.Read(files, o.Unit)
	user := u.Value("User")
	if !isRoot(user) {
		return user, errUnit
	}
	argv, err := u.Command(nil)
	if len(argv) > 0 && (daemon.UnitState{Command: argv[0]}).RunsHelper() {
		user, err = daemon.HelperUser(files, o.AntpickaxDir)
	}
	return user, errors.Join(errUnit, err)
}

func isRoot(user string) bool { return user == "" || user == "root" || user == "0" }
