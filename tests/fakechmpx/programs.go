package fakechmpx

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Main is the stand-in program: what it does depends on the base name of
// argv[0], or on the first argument when that is "standin". It returns the exit
// status.
func Main(argv []string, stdout, stderr io.Writer) int {
	role, words := filepath.Base(argv[0]), argv[1:]
	if role == "standin" && len(words) > 0 {
		role, words = words[0], words[1:]
	}
	t := tool{args: parseArguments(words), dir: DefaultStateDir(), stdout: stdout, stderr: stderr}
	switch role {
	case "chmpx":
		return t.chmpx()
	case "chmpxstatus":
		return t.status()
	case "chmpxconftest":
		return t.conftest()
	}
	fmt.Fprintf(stderr, "%q is none of chmpx, chmpxstatus and chmpxconftest\n", role)
	return 1
}

// arguments are the options of chmpx and its tools: names in any case after a
// dash, the next word is the value unless it begins with a dash itself (F.1).
type arguments map[string]string

func parseArguments(words []string) arguments {
	args := arguments{}
	for i, word := range words {
		name, isOption := strings.CutPrefix(word, "-")
		if !isOption {
			continue
		}
		name = strings.ToLower(strings.TrimPrefix(name, "-"))
		args[name] = ""
		if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			args[name] = words[i+1]
		}
	}
	return args
}

type tool struct {
	args           arguments
	dir            StateDir
	stdout, stderr io.Writer
}

func (t tool) say(format string, values ...any) { fmt.Fprintf(t.stdout, format+"\n", values...) }

// fail writes an error of the tool itself.
func (t tool) fail(format string, values ...any) int {
	fmt.Fprintf(t.stderr, "[ERR] "+format+"\n", values...)
	return 1
}

// levels are those of -d, from silent to dump.
var levels = []string{"", "err", "wan", "msg", "dump"}

const (
	levelErr = 1
	levelMsg = 3
)

// log writes a line of chmpx's log if -d asks for it.
func (t tool) log(level int, function, format string, values ...any) {
	if level <= slices.Index(levels, strings.ToLower(t.args["d"])) {
		tag := strings.ToUpper(levels[level])
		fmt.Fprintf(t.stderr, "[CHMPX-%s] %s : %s\n", tag, function, fmt.Sprintf(format, values...))
	}
}

// load reads the configuration the arguments name.
func (t tool) load(host Host) (*Config, error) {
	path := t.args["conf"]
	if path == "" {
		return nil, errors.New("there is no -conf")
	}
	c, err := ReadConfig(path, host)
	if err != nil {
		t.log(levelErr, "LoadConfiguration", "configuration file(%s): %v.", path, err)
	}
	return c, err
}

// status is chmpxstatus (F.7).
func (t tool) status() int {
	host := LocalHost
	if !t.needsHost() {
		host = func() Host { return Host{} }
	}
	c, err := t.load(host())
	if err != nil {
		return t.notAttached()
	}
	shot, err := t.dir.Read(c.Group, c.SelfCtlPort)
	if err != nil || shot.Group != c.Group {
		return t.notAttached()
	}
	t.dir.look(c.Group, c.SelfCtlPort)
	return t.print(func(w io.Writer) { WriteStatus(w, shot, t.dir) })
}

// print writes in one go what is made of many lines.
func (t tool) print(write func(io.Writer)) int {
	out := bufio.NewWriter(t.stdout)
	write(out)
	if err := out.Flush(); err != nil {
		return 1
	}
	return 0
}

// needsHost reports whether the load has to know this machine at all. It has not
// when no server has the own control port, which is what makes a status cheap.
func (t tool) needsHost() bool {
	b, err := os.ReadFile(t.args["conf"])
	if err != nil {
		return false
	}
	doc := parse(b)
	own, set := port(doc.global["SELFCTLPORT"]), doc.global.has("SELFCTLPORT")
	for _, block := range doc.servers {
		p, err := nodePort("CTLPORT", block, doc.global)
		if !set || err == nil && p == own {
			return true
		}
	}
	return false
}

func (t tool) notAttached() int {
	t.fail("Could not initialize(attach) chmpx shared memory.")
	t.say(`You can see detail about error, execute with "-d"("-g") option.`)
	return 1
}

// conftest is chmpxconftest (F.6).
func (t tool) conftest() int {
	path := t.args["conf"]
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".ini" {
		return t.fail("%q is not a configuration file.", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return t.fail("Could not open %s.", path)
	}
	f.Close()
	c, err := t.load(LocalHost())
	if err != nil {
		t.log(levelErr, "LoadConfTest", "Failed load configuration.")
		t.say("\n[NOTICE]\nThe configuration could not be loaded.\n")
	} else {
		t.print(func(w io.Writer) { WriteConfig(w, c) })
	}
	if _, given := t.args["no_check_update"]; !given {
		forever() // it watches the file until it is killed
	}
	return 0
}

// forever blocks. An empty select would end a program that does nothing else as
// a deadlock.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}
