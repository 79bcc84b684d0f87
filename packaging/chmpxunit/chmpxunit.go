// Package chmpxunit is chmpx's unit as it runs with the drop-in of the agent's package and with the
// agent's options: whom it runs chmpx as, and who may join that.
package chmpxunit

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/unitfile"
	"k2hdkc-slave-agent/render"
	"k2hdkc-slave-agent/render/regularfile"
)

// Name is the name of chmpx's unit, which the package's drop-in is for.
const Name = "chmpx.service"

// Files that say how it runs.
const (
	// VendorDropIn is the package's.
	VendorDropIn = "/usr/lib/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	// OptionsDropIn is the generator's, below systemd's folder: what the options have otherwise.
	OptionsDropIn = Name + ".d/" + optionsName
	optionsName   = "51-k2hdkc-slave-agent-options.conf"
)

// Runs is how a unit runs chmpx.
type Runs struct {
	User  string // a name or a number; root where it is root
	Group string // empty: the user's own
	UMask fs.FileMode
	// Options are the lines of [Service] that the agent's options take besides the package's
	// drop-in; none where they are the default, or that drop-in does not count.
	Options []string
}

// ByRoot tells whether chmpx runs as root.
func (r Runs) ByRoot() bool { return isRoot(r.User) }

// LetsGroupIn tells whether the members of its group can open chmpx's memory, and so can join it
// (docs/chmpx.md K.1).
func (r Runs) LetsGroupIn() bool { return r.Group != "" && r.UMask&0o060 == 0 }

// LetsOthersIn tells whether everybody can.
func (r Runs) LetsOthersIn() bool { return r.UMask&0o006 == 0 }

// Read reads how the unit that the options name runs chmpx. Its zero value, with User root, is
// that of no unit. userNamespaces tells whether a unit may have a namespace of users. With an error
// comes what can be told.
func Read(files fs.FS, o *options.Options, userNamespaces bool) (Runs, error) {
	r := Runs{User: "root", UMask: defaultUMask}
	if o.Unit == "" {
		return r, nil
	}
	u, errUnit := unitfile.Read(files, o.Unit)
	if o.Unit == Name && u.Has(VendorDropIn) {
		r.Options = lines(o, userNamespaces)
		u, errUnit = unitfile.ReadWith(files, o.Unit, unitfile.DropIn{Name: optionsName, Text: "[Service]\n" + strings.Join(r.Options, "\n") + "\n"})
	}
	var errHelper error
	user := u.Value("User")
	if isRoot(user) {
		argv, err := u.Command(nil)
		errHelper = err
		if len(argv) > 0 && (daemon.UnitState{Command: argv[0]}).RunsHelper() {
			user, errHelper = daemon.HelperUser(files, o.AntpickaxDir)
		}
	}
	if !isRoot(user) {
		r.User = user
	}
	r.Group = u.Value("Group")
	if mask, err := strconv.ParseUint(u.Value("UMask"), 8, 12); err == nil {
		r.UMask = fs.FileMode(mask)
	}
	return r, errors.Join(errUnit, errHelper)
}

// defaultUMask is the one that systemd gives a service.
const defaultUMask fs.FileMode = 0o022

// lines are what the options take besides the package's drop-in.
func lines(o *options.Options, userNamespaces bool) (list []string) {
	if o.ChmpxUser != options.ServiceAccount {
		list = append(list, "User="+o.ChmpxUser)
	}
	if o.AppGroup != options.ServiceAccount {
		list = append(list, "Group="+o.AppGroup)
	}
	byRoot := isRoot(o.ChmpxUser)
	if byRoot {
		// Root's keys, what another user's chmpx has left, and queues deeper than the host allows.
		list = append(list, "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_RESOURCE")
	}
	if byRoot || !userNamespaces {
		list = append(list, "PrivateUsers=no")
	}
	return list
}

func isRoot(user string) bool { return user == "" || user == "root" || user == "0" }

// Number returns the number of an account out of a file such as "etc/passwd" or "etc/group"; ok is
// false if it is not there. A number is that of itself.
func Number(files fs.FS, file, name string) (id int, ok bool) {
	if id, err := strconv.Atoi(name); err == nil {
		return id, true
	}
	list, err := regularfile.ReadFS(files, file, render.MaxAccounts)
	if err != nil {
		return 0, false
	}
	id, err = render.SearchAccounts(bytes.NewReader(list), name)
	return id, err == nil
}
