// Package preparechmpx gets a host ready, before chmpx's unit starts chmpx, for the user that the
// unit runs it as: the folder of its memory, the right to read its file, and what a killed chmpx of
// another user has left in its way (docs/chmpx.md K.4). It is run as root.
package preparechmpx

import (
	"fmt"
	"os"

	"k2hdkc-slave-agent/chmpx/daemon"
	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/packaging/agentunit"
	"k2hdkc-slave-agent/packaging/chmpxunit"
	"k2hdkc-slave-agent/render/regularfile"
)

// Name is what chmpx's unit calls the program.
const Name = "prepare-chmpx"

const usage = `usage: prepare-chmpx FILE

Prepares this host for a chmpx that is about to start on FILE as the user of its unit. Exit status: 0
it has; 1 chmpx may not start; 2 wrong arguments.
`

// Main does what args say and returns the exit status.
func Main(args []string) int {
	if len(args) != 1 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	log := service.ProgramLog(Name, os.Stderr)
	files := regularfile.Dir("/")
	a, _ := agentunit.Read(files) // the agent says what is wrong
	a.Options.Unit = chmpxunit.Name
	runs, err := chmpxunit.Read(files, a.Options, true)
	p := host{
		file: args[0], memory: daemon.MemoryDir, queues: "/dev/mqueue", proc: "/proc",
		msgMax: "/proc/sys/fs/mqueue/msg_max", log: log,
	}
	if err == nil {
		err = p.whom(files, runs)
	}
	if err == nil {
		err = p.prepare()
	}
	if err != nil {
		log.Error("cannot prepare this host for chmpx, which may not start", "error", err)
		return 1
	}
	return 0
}
