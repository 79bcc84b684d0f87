// Package maintain is what the scripts of the deb and of the rpm have in common:
// what they do about the agent, its membership and chmpx when the package arrives,
// is replaced, or leaves.
//
// Nothing here touches a chmpx that runs, and no trouble fails an installation or a
// removal. On Debian it does to the agent's unit only what the administrator's
// policy-rc.d allows.
package maintain

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/render/regularfile"
)

// Name is what the scripts call the program.
const Name = "maintain"

const usage = `usage: maintain users|arrive|start|restart|leave

  users    make the user that chmpx runs as, and its group
  arrive   the package has come to this host, or has come back
  start    start the agent, if it is enabled and has a configuration
  restart  give a new version to an agent that runs
  leave    the package is about to go; the agent has been stopped
`

// What the package and this one write or read.
const (
	stateDir = "/var/lib/k2hdkc-slave-agent"
	// enabledOnce says that chmpx's unit was enabled, by whomever.
	enabledOnce  = stateDir + "/chmpx-enabled"
	slaveINI     = "/etc/k2hdkc/slave.ini"
	vendorDropIn = chmpxunit.VendorDropIn
	ownDropIn    = "/etc/systemd/system/chmpx.service.d/50-k2hdkc-slave-agent.conf"
	chmpxMemory  = "/var/lib/antpickax"
	sysusers     = "k2hdkc-slave-agent.conf"
	howToMove    = "/usr/share/doc/k2hdkc-slave-agent/cloud-init.md"
)

// leaveLimit bounds how long a removal waits for K2HR3.
const leaveLimit = 9 * time.Second

// Unregister ends the membership of this host, with the options it has as a service.
type Unregister func(context.Context, agentunit.Agent) error

// Main does what args ask for and returns the exit status, which is 0 whatever
// comes of it. What the operator has to know is written to out.
func Main(args []string, out io.Writer, unregister Unregister) int {
	h := host{root: "/", out: out, run: run, unregister: unregister}
	h.Agent, _ = agentunit.Read(regularfile.Dir(h.root)) // the agent says what is wrong
	if len(args) != 1 || !h.do(args[0]) {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	return 0
}

// host is what a script works on.
type host struct {
	agentunit.Agent
	root       string
	out        io.Writer
	run        func(command) (out string, status int)
	unregister Unregister
}

// do does what a verb says, if there is such a verb.
func (h *host) do(verb string) bool {
	switch verb {
	case "users":
		h.makeUsers()
	case "arrive":
		h.removeLeft()
		h.makeMemoryFolder()
		h.reportNeighbours()
		h.enableChmpx()
	case "start":
		h.start()
	case "restart":
		h.restart()
	case "leave":
		h.leaveBehind()
		h.leave()
	default:
		return false
	}
	return true
}

func (h *host) say(format string, args ...any) {
	fmt.Fprintf(h.out, options.Program+": "+format+"\n", args...)
}

// path is where a file of the host is.
func (h *host) path(name string) string { return filepath.Join(h.root, name) }

// exists is also true of a link that leads nowhere.
func (h *host) exists(name string) bool {
	_, err := os.Lstat(h.path(name))
	return err == nil
}

// booted tells whether systemd runs this host.
func (h *host) booted() bool { return h.exists("/run/systemd/system") }

// leave ends the membership, if there may be one.
func (h *host) leave() {
	if !h.Configured() || !h.booted() && !h.exists(stateDir) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.unregister(ctx, h.Agent) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done(): // it may hang where ctx does not reach
		err = ctx.Err()
	}
	if err != nil {
		h.say("cannot take this host out of its role; K2HR3 may list it until somebody removes it there.")
	}
}

// reportNeighbours says what else on this host has to do with chmpx's configuration.
// The operator decides about that.
func (h *host) reportNeighbours() {
	const timer = "k2hr3-get-resource.timer"
	if h.answers("is-active", timer) || h.answers("is-enabled", timer) {
		h.say("%s runs on this host too. This package leaves it alone; %s explains how to move over.", timer, howToMove)
	}
	override := filepath.Join(h.Options.AntpickaxDir, "override.conf")
	if _, err := os.Readlink(h.path(ownDropIn)); err != nil && h.exists(override) {
		h.say("this package leaves %s alone, but chmpx.service now runs chmpx without the helper that reads it.", override)
		h.say("%s explains how to get the helper back.", vendorDropIn)
	}
}

// start starts the agent if it is enabled and has a configuration.
func (h *host) start() {
	if !h.booted() || !h.Configured() || !h.answers("is-enabled", agentunit.Name) {
		return
	}
	switch state, _ := h.ask("systemctl", "is-system-running"); state {
	case "initializing", "starting":
		// The unit comes after the network, which may come after what installs
		// this package: cloud-init for one. So nobody waits.
		if _, status := h.ask("policy-rc.d", agentunit.Name, "start"); status != statusForbidden {
			h.tell("systemctl", "--quiet", "--no-block", "start", agentunit.Name)
		}
	default:
		h.act("start")
	}
}

// restart gives a new version to an agent that runs.
func (h *host) restart() {
	if !h.booted() {
		return
	}
	if state, _ := h.ask("systemctl", "is-enabled", agentunit.Name); strings.HasPrefix(state, "masked") {
		return
	}
	// One that has failed is given another try; one that was stopped is not.
	switch state, _ := h.ask("systemctl", "show", "--property=ActiveState", "--value", agentunit.Name); state {
	case "active", "activating", "reloading", "failed":
		h.act("restart")
	}
}

// act does something to the agent's unit as Debian's own packages do it, where the
// host is Debian.
func (h *host) act(verb string) {
	status := h.tell("deb-systemd-invoke", verb, agentunit.Name)
	if status == statusNotThere {
		status = h.tell("systemctl", "--quiet", verb, agentunit.Name)
	}
	if status != 0 {
		h.say("the %s of the agent failed: see `journalctl -u %s`. systemd tries again every few seconds.", verb, options.Program)
	}
}
