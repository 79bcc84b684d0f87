package generator

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/render/regularfile"
)

// AgainName is what the units call the program to have systemd generate their drop-ins anew.
const AgainName = "generate-again"

const againUsage = `usage: generate-again

Has systemd run its generators again where this host lets no unit have a namespace of users, and the
units of the agent and of chmpx are not generated for that yet. Exit status: 0 they are; 1 they are
not; 2 wrong arguments.
`

// folder is the one that systemd has the generator write into, and maxDropIn the most that
// one drop-in of it has.
const (
	folder    = "/run/systemd/generator"
	maxDropIn = 64 << 10
)

// AgainMain is run by both units before they start anything. systemd generates the units before it
// sets the sysctls, so a user.max_user_namespaces of 0 in sysctl.d is found out only here: a unit
// with PrivateUsers=yes would not start. systemd takes up what it has read anew for the command
// that follows.
func AgainMain(args []string) int {
	if len(args) != 0 {
		fmt.Fprint(os.Stderr, againUsage)
		return 2
	}
	a := again{dir: folder, userNamespaces: chmpxunit.UserNamespaces, reload: reload}
	if err := a.run(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot have systemd generate the units for a host without namespaces of users; they may not start: %v\n", err)
		return 1
	}
	return 0
}

type again struct {
	dir            string
	userNamespaces func() bool
	reload         func() error
}

func (a again) run() error {
	if a.userNamespaces() || a.knows(dropIn) && a.knows(chmpxunit.OptionsDropIn) {
		return nil
	}
	return a.reload()
}

// knows tells whether a drop-in is of a host without namespaces.
func (a again) knows(file string) bool {
	b, err := regularfile.Read(filepath.Join(a.dir, file), maxDropIn)
	return err == nil && strings.Contains(string(b), "\nPrivateUsers=no\n")
}

// reloadLimit is for a systemd that is busy booting; the agent's unit may take a minute to start.
const reloadLimit = 30 * time.Second

func reload() error {
	ctx, cancel := context.WithTimeout(context.Background(), reloadLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "daemon-reload").CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl daemon-reload: %w: %.200s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
