package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"

	"k2hdkc-slave-agent/atomicfile"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/watcher/member"
)

// caretaker sees to what others have left on this host: K2HR3's own init script,
// and the host this one may be a copy of. The zero caretaker is ready for use; it
// tells of each thing once.
type caretaker struct {
	guard    member.Guard
	leftover string // the k2hr3-cuk that was told of as not this host's
	unkept   string // why the identity could not be kept, as it was told
}

// look closes the role token to others, and remembers by which key this host goes.
// That it cannot is no reason to stop. Verbs that change nothing do without it.
func (c *caretaker) look(o *options.Options, log *slog.Logger) {
	c.guard.CloseFolder(o.AntpickaxDir, options.AntpickaxRoleToken, log)
	c.guard.CloseFile(options.OwnRoleToken, log)
	c.tellLeftover(o, log)
	c.keepIdentity(o, log)
}

func (c *caretaker) tellLeftover(o *options.Options, log *slog.Logger) {
	leftover := o.LeftoverCUK()
	if leftover == c.leftover {
		return
	}
	c.leftover = leftover
	if leftover != "" {
		log.Info("k2hr3-cuk is left over from the host this one is a copy of; the instance id counts until that file changes",
			"cuk", leftover, "instance_id_file", o.InstanceIDFile)
	}
}

// keepIdentity writes down that k2hr3-cuk and the instance id are of the same
// host: a copy of this one is known by that.
func (c *caretaker) keepIdentity(o *options.Options, log *slog.Logger) {
	i, changed := o.Identity()
	if !changed {
		return
	}
	err := writeIdentity(o.IdentityFile(), i)
	switch {
	case err == nil:
		c.unkept = ""
	case errors.Is(err, fs.ErrNotExist):
		// A verb by hand, on a host where the daemon never ran.
	case c.unkept != err.Error():
		c.unkept = err.Error()
		log.Warn("a copy of this host will not know itself from it until K2HR3's script has run there", "error", err)
	}
}

// writeIdentity replaces the file. It is not flushed: an agent that does not find
// it writes it anew.
func writeIdentity(path string, i options.Identity) error {
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(b, '\n'), 0o644)
}
