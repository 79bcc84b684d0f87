// Package generator is the systemd generator of the agent's packages
// (systemd.generator(7)): it adds to k2hdkc-slave-agent.service the rights that the
// agent's options ask for beyond those that the unit comes with, and has
// chmpx.service run chmpx as the options say.
//
// systemd runs it at boot, before there is anything but /usr, /etc and /run, and at
// every `systemctl daemon-reload`. It goes by files alone, waits for nothing, and
// writes nothing but one drop-in for each of the two, into the folder that systemd
// names. Options that are wrong do not matter to those that are right.
package generator

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/packaging/unitfile"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/atomicfile"
)

// Name is what the program is called as a generator.
const Name = options.Program + "-generator"

// dropIn is the file that is written, below systemd's folder.
const dropIn = agentunit.Name + ".d/50-configuration.conf"

// generate writes the drop-ins into a folder; none where the units are right as they are.
// userNamespaces tells whether this host lets a unit have a namespace of users.
// wrong says what of the units or the options cannot be understood; what the rest
// needs is written all the same.
func generate(files fs.FS, to string, userNamespaces func() bool) (wrong, err error) {
	a, wrong := agentunit.Read(files)
	namespaces := userNamespaces()
	chmpx, unsure := chmpxunit.Read(files, a.Options, namespaces)
	wrong = errors.Join(wrong, unsure)
	return wrong, errors.Join(
		write(filepath.Join(to, dropIn), "What the options of this host's agent need.", rights(files, a, chmpx, namespaces)),
		write(filepath.Join(to, chmpxunit.OptionsDropIn), "chmpx as the options of this host's agent have it.", chmpx.Options))
}

// write writes a drop-in, if there is anything in it.
func write(file, about string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	if err := atomicfile.MakeFolders(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(file, []byte("# "+about+"\n[Service]\n"+strings.Join(lines, "\n")+"\n"), 0o644)
}

// rights are the lines that the agent's unit needs.
func rights(files fs.FS, a agentunit.Agent, chmpx chmpxunit.Runs, userNamespaces bool) (lines []string) {
	for _, dir := range folders(a) {
		lines = append(lines, "ReadWritePaths=-"+dir)
	}
	owned := forSomebody(files, a.Options, chmpx)
	if owned {
		lines = append(lines, "CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE", "SystemCallFilter=@chown")
	}
	// Its memory can be looked at only with the right to write there. A group that is
	// not in the file may be unknown, and systemd would not start the unit.
	// The unit has the usual group without a generator: where systemd runs none of /usr/lib, as on
	// Debian 11 with a /lib of its own, the agent has to see chmpx all the same.
	if _, there := chmpxunit.Number(files, "etc/group", options.ServiceAccount); !there {
		lines = append(lines, "SupplementaryGroups=")
	}
	member := false
	if !chmpx.ByRoot() && chmpx.LetsGroupIn() {
		if _, member = chmpxunit.Number(files, "etc/group", chmpx.Group); member {
			if chmpx.Group != options.ServiceAccount {
				lines = append(lines, "SupplementaryGroups="+chmpx.Group)
			}
		}
	}
	anybodys := !chmpx.ByRoot() && !member || showsElsewhere(files, a.Options)
	if anybodys {
		lines = append(lines, "CapabilityBoundingSet=CAP_DAC_OVERRIDE")
	}
	// A namespace of users has nobody but root in it. Where there may be none,
	// systemd would not start the unit.
	if owned || namesSomebody(files, a.Options) || anybodys || !userNamespaces {
		lines = append(lines, "PrivateUsers=no")
	}
	return lines
}

// folders are those that the agent has to write in, and the unit does not let it. One that a unit
// does not read as it is, is left to the operator.
func folders(a agentunit.Agent) (dirs []string) {
	o := a.Options
	wanted := []string{path.Dir(o.Output), o.StateDir, o.RunDir, o.AntpickaxDir}
	if o.ForgetBootstrapToken {
		wanted = append(wanted, path.Dir(o.RoleTokenFile))
	}
	for _, file := range o.MetricsFiles() {
		wanted = append(wanted, path.Dir(file.Path))
	}
	for _, dir := range wanted {
		if path.IsAbs(dir) && dir != "/" && unitfile.Plain(dir) && !within(dir, append(a.Writable(), dirs...)) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// showsElsewhere tells whether the agent shows its metrics in a folder of somebody else's than
// root, such as node_exporter's user, where root without capabilities may not write.
func showsElsewhere(files fs.FS, o *options.Options) bool {
	return slices.ContainsFunc(o.MetricsFiles(), func(file render.Taken) bool {
		_, st, ok := stat(files, path.Dir(file.Path))
		return ok && st.Uid != 0
	})
}

// within tells whether a folder is one of dirs, or below one.
func within(dir string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool {
		return dir == d || strings.HasPrefix(dir, strings.TrimSuffix(d, "/")+"/")
	})
}

// forSomebody tells whether the output file belongs, or has to belong, to somebody
// else than root: chmpx's unit gives one that only root may read to its group.
func forSomebody(files fs.FS, o *options.Options, chmpx chmpxunit.Runs) bool {
	const others = 0o004
	if o.Owner != "" || o.Group != "" || o.Mode != nil && *o.Mode&others == 0 && !chmpx.ByRoot() {
		return true
	}
	mode, st, ok := stat(files, o.Output)
	return ok && (st.Uid != 0 || st.Gid != 0 || mode&others == 0 && !chmpx.ByRoot())
}

// stat looks at a file by its absolute path; ok is false where there is none to be seen.
func stat(files fs.FS, name string) (mode fs.FileMode, st *syscall.Stat_t, ok bool) {
	info, err := fs.Stat(files, strings.TrimPrefix(name, "/"))
	if err != nil {
		return 0, nil, false
	}
	st, ok = info.Sys().(*syscall.Stat_t)
	return info.Mode(), st, ok
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
