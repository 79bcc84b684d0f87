package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/render/regularfile"
)

func unitChecks() []check {
	return []check{
		{id: "unit", about: "chmpx's unit", needs: []string{"config"}, look: lookUnit},
		{id: "drop-in", about: "which file chmpx's unit runs chmpx on", needs: []string{"unit"}, look: lookDropIn},
		{id: "rivals", about: "whether something else writes the file: k2hr3-get-resource", needs: []string{"config"}, look: lookRivals},
	}
}

// ownDropIn is what the agent's package adds to chmpx's unit.
const ownDropIn = "50-k2hdkc-slave-agent.conf"

// notHere is the finding for a host without systemd, or one whose systemd cannot be asked; nil: it
// can.
func notHere(err error) *finding {
	switch {
	case errors.Is(err, daemon.ErrNoSystemd):
		return skip("there is no systemd here")
	case err != nil && !isRoot():
		return unseen("the unit: %v", err)
	case err != nil:
		return warn("look at systemd and its bus (systemctl status dbus)", "cannot see the unit: %v", err)
	}
	return nil
}

func lookUnit(_ context.Context, x *exam) *finding {
	name := x.Options.Unit
	if name == "" {
		return skip("unit is empty: chmpx is not run by systemd here")
	}
	s, err := x.unit()
	if f := notHere(err); f != nil {
		return f.at("%s", name)
	}
	logs := "see why: journalctl -u " + name
	switch {
	case s.LoadState == "not-found":
		return bad("install chmpx, or name its unit in unit (empty: chmpx is not run by systemd here)", "there is no unit %s", name).at("%s", name)
	case s.LoadState == "masked":
		return bad("systemctl unmask "+name+" && systemctl enable --now "+name, "the unit is masked, so chmpx cannot start").at("%s", name)
	case s.LoadState != "loaded":
		return bad("systemctl status "+name+" says what is wrong with its files", "systemd could not load the unit (%s)", s.LoadState).at("%s", name)
	case s.ActiveState == "failed":
		return bad(logs+"; then systemctl restart "+name, "the unit has failed (%s)", s.Result).at("%s", name).after(whyChmpxEnds...)
	case s.Stale:
		return warn("systemctl daemon-reload, and restart chmpx when it suits its clients", "the unit's files have changed since systemd read them").at("%s", name)
	case !s.Active() && s.ActiveState != "activating":
		f := bad("systemctl start "+name, "the unit is %s", s.ActiveState).at("%s", name).after(whyChmpxEnds...)
		if !slices.Contains([]string{"enabled", "enabled-runtime"}, s.UnitFileState) {
			f.remedy = "systemctl enable --now " + name + ": the agent starts only a unit that is enabled"
			f.message += ", and not enabled"
		}
		return f
	case !slices.Contains([]string{"enabled", "enabled-runtime", "static", "linked"}, s.UnitFileState):
		return warn("systemctl enable "+name, "the unit is %s, and not enabled: it does not start at the next boot", s.ActiveState).at("%s", name)
	}
	return good("the unit is %s and %s", s.ActiveState, s.UnitFileState).at("%s", name)
}

// whyChmpxEnds are the checks that tell why no chmpx runs.
var whyChmpxEnds = []string{"file", "looks", "certificates"}

func lookDropIn(_ context.Context, x *exam) *finding {
	o := x.Options
	u, err := x.unit()
	if o.Unit == "" {
		return skip("unit is empty: chmpx is not run by systemd here")
	}
	if f := notHere(err); f != nil {
		f.status, f.waits = Skipped, "unit"
		return f
	}
	dropIn := slices.ContainsFunc(u.DropIns, func(p string) bool { return filepath.Base(p) == ownDropIn })
	if u.RunsHelper() {
		runs, said, err := daemon.HelperFile(regularfile.Dir("/"), o.AntpickaxDir)
		how := "remove the mask: rm /etc/systemd/system/" + o.Unit + ".d/" + ownDropIn + " && systemctl daemon-reload; or have " + o.AntpickaxDir +
			"/override.conf say chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = " + o.Output
		switch {
		case err != nil && errors.Is(err, fs.ErrPermission) && !isRoot():
			return unseen("on which file chmpx's helper runs it: %v", err)
		case err != nil:
			return bad(how, "the unit runs chmpx under chmpx's own helper, and nothing tells on which file: %v", err)
		case runs != o.Output:
			return bad(how, "the unit runs chmpx under chmpx's own helper, on %s (%s says so) and not on %s", runs, said, o.Output)
		}
		return good("chmpx's own helper runs it on %s", runs)
	}
	if i := slices.Index(u.Args, "-conf"); i >= 0 && i+1 < len(u.Args) && filepath.Clean(u.Args[i+1]) != o.Output {
		return bad("name the same file in output and in a drop-in of the unit (systemctl edit "+o.Unit+")", "the unit runs chmpx on %s, and not on %s", u.Args[i+1], o.Output)
	}
	if !dropIn {
		return good("the unit runs %s, without the drop-in of the agent's package", u.Command)
	}
	return good("the unit runs chmpx on %s, as the drop-in of the agent's package says", o.Output)
}

const (
	getResource       = "k2hr3-get-resource"
	getResourceHelper = "k2hr3-get-resource-helper"
)

func lookRivals(ctx context.Context, x *exam) *finding {
	var active []string
	if x.Options.Unit != "" {
		ctx, cancel := context.WithTimeout(ctx, unitLimit)
		defer cancel()
		for _, name := range []string{getResource + ".timer", getResource + ".service"} {
			if s, err := x.Unit(ctx, name); err == nil && (s.Active() || s.ActiveState == "activating") {
				active = append(active, name)
			}
		}
	}
	if pid := x.running(getResourceHelper); pid != 0 {
		active = append(active, fmt.Sprintf("process %d (%s)", pid, getResourceHelper))
	}
	if len(active) == 0 {
		return good("neither %s.timer nor its helper is active", getResource)
	}
	o := x.Options
	file, err := daemon.ResourceHelperFile(regularfile.Dir("/"), o.AntpickaxDir, o.Role.String())
	how := "systemctl disable --now " + getResource + ".timer, and end its helper: man k2hdkc-slave-agent, MOVING OVER"
	switch {
	case err != nil:
		return warn(how, "%s is active too, and nothing tells which file it writes: %v", strings.Join(active, ", "), err)
	case file == o.Output:
		return bad(how, "%s writes %s too, in place, which ends chmpx", strings.Join(active, ", "), file)
	}
	return warn(how, "%s is active too, and writes %s", strings.Join(active, ", "), file)
}

// maxProcesses bounds the search for a program.
const maxProcesses = 1 << 16

// running returns a process that runs a script or program of this name, 0 if there is none.
func (x *exam) running(name string) int {
	d, err := regularfile.OpenFolder(x.Proc)
	if err != nil {
		return 0
	}
	defer d.Close()
	all, err := d.Readdirnames(maxProcesses)
	if err != nil {
		return 0
	}
	for _, entry := range all {
		pid, err := strconv.Atoi(entry)
		if err != nil {
			continue
		}
		b, err := regularfile.Read(filepath.Join(x.Proc, entry, "cmdline"), regularfile.Small)
		if err != nil {
			continue
		}
		words := strings.Split(string(b), "\x00")
		for _, word := range words[:min(2, len(words))] { // the program, or its interpreter and the script
			if filepath.Base(word) == name {
				return pid
			}
		}
	}
	return 0
}
