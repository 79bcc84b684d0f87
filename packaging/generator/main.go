package generator

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/cmd/options"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/render/regularfile"
)

// Main is the generator as systemd runs it, with three folders, of which it uses the
// first. It returns the exit status. What is wrong with the options is said and is
// no failure: the agent says it as well, where more people look.
func Main(args []string) int {
	if len(args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s NORMAL-DIR EARLY-DIR LATE-DIR\n", Name)
		return 2
	}
	wrong, err := generate(regularfile.Dir("/"), args[0], chmpxunit.UserNamespaces)
	if wrong != nil || err != nil {
		log := openLog()
		defer log.Close()
		say(log, journal.PriWarning, wrong)
		say(log, journal.PriErr, err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// openLog opens what a generator's messages go to: the kernel's log, from where the
// journal has them later, as there is no journal yet. Who runs it by hand reads them
// on standard error.
func openLog() io.WriteCloser {
	if info, err := os.Stderr.Stat(); err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && st.Mode&syscall.S_IFMT == syscall.S_IFCHR && st.Rdev == unix.Mkdev(1, 3) { // /dev/null
			if kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				return kmsg
			}
		}
	}
	return os.Stderr
}

// say logs an error, a record for each line of it. The kernel takes the priority
// from the number in front, and no record that is much longer; the journal takes the
// identifier from the name, which is that of the agent's entries.
func say(log io.Writer, priority journal.Priority, err error) {
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(log, "<%d>%s[%d]: generator: %.900s\n", priority, options.Program, os.Getpid(), strings.TrimSpace(line))
	}
}
