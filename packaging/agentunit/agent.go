// Package agentunit is the agent as its systemd unit runs it, for the parts of its
// packages that have to know its options while it does not run.
package agentunit

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/unitfile"
)

// Name is the name of the agent's unit.
const Name = options.Program + ".service"

// Agent is the agent as its unit runs it.
type Agent struct {
	Unit    unitfile.Unit
	Options *options.Options // as `run` has them there
	// Flags and Environ are what the unit gives to `run`.
	Flags, Environ []string
}

// Read reads the files of the unit, and from there on the options as `run` reads
// them. With an error, which says what of it is wrong, come the options as far as
// they are right.
func Read(files fs.FS) (Agent, error) {
	var a Agent
	var errs [4]error
	a.Unit, errs[0] = unitfile.Read(files, Name)
	a.Environ, errs[1] = a.Unit.Environ(files)
	a.Flags, errs[2] = flags(a.Unit, a.Environ)
	a.Options, errs[3] = load(files, a.Flags, a.Environ)
	return a, errors.Join(errs[:]...)
}

// flags are those that the unit gives to `run`; none where it runs something else.
func flags(u unitfile.Unit, environ []string) ([]string, error) {
	argv, err := u.Command(environ)
	if err != nil || len(argv) < 2 || path.Base(argv[0]) != options.Program || argv[1] != "run" {
		return nil, err
	}
	return argv[2:], nil
}

// load is options.LoadLenient for `run`. Where the flags cannot be parsed, it goes
// by the rest.
func load(files fs.FS, flags, environ []string) (*options.Options, error) {
	run, _ := options.LookupVerb("run") // there is one
	system := options.System{Files: files, Environ: environ, Dir: "/"}
	o, err := options.LoadLenient(run, flags, system)
	if o == nil {
		o, _ = options.LoadLenient(run, nil, system)
	}
	return o, err
}

// Configured tells whether the agent has what it needs to begin: the address of
// K2HR3 and a role, be they right or wrong.
func (a Agent) Configured() bool {
	missing, _ := a.Options.Missing()
	return !slices.Contains(missing, "api-uri") && !slices.Contains(missing, "role")
}

// Writable lists the folders that the unit lets the agent write in.
func (a Agent) Writable() (dirs []string) {
	for _, value := range a.Unit.List("ReadWritePaths") {
		words, _ := unitfile.Words(value) // what is not known is not counted
		for _, word := range words {
			dirs = append(dirs, path.Clean(strings.TrimLeft(word, "-+")))
		}
	}
	for _, made := range []struct{ key, parent string }{{"StateDirectory", "/var/lib"}, {"RuntimeDirectory", "/run"}} {
		for _, name := range strings.Fields(a.Unit.Value(made.key)) {
			dirs = append(dirs, path.Join(made.parent, name))
		}
	}
	return dirs
}
