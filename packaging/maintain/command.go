package maintain

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// Exit statuses of what is run.
const (
	statusForbidden = 101 // of policy-rc.d
	statusNotThere  = 127 // there is no such program
)

// command is a program with its arguments. What one complains of that is only asked
// something is not shown.
type command struct {
	argv []string
	ask  bool
}

// run runs a command and returns what it prints, and its exit status; -1 if it has
// none. It has no limit of its own: the package manager has.
func run(c command) (out string, status int) {
	cmd := exec.CommandContext(context.Background(), c.argv[0], c.argv[1:]...)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if !c.ask {
		cmd.Stderr = os.Stderr
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		status = statusNotThere
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		status = -1
	}
	return strings.TrimSpace(stdout.String()), status
}

// ask asks a program something.
func (h *host) ask(argv ...string) (out string, status int) {
	return h.run(command{argv: argv, ask: true})
}

// answers tells whether systemctl says yes about a unit.
func (h *host) answers(question, unit string) bool {
	_, status := h.ask("systemctl", "--quiet", question, unit)
	return status == 0
}

// tell has a program do something, and returns its exit status.
func (h *host) tell(argv ...string) (status int) {
	_, status = h.run(command{argv: argv})
	return status
}
