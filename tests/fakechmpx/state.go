package fakechmpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// EnvState is the environment variable by which the stand-in programs find the
// state directory.
const EnvState = "CHMPX_STANDIN_DIR"

// noID is chmpx's mark for an id or hash that is not set.
const noID = ^uint64(0)

// ErrNotRunning is returned when no chmpx of that GROUP and control port runs.
var ErrNotRunning = errors.New("no such chmpx is running")

// Entry is a node as a running chmpx has it.
type Entry struct {
	Node
	ID, Hash uint64
	Status   string // the text of E.8
	Updated  uint64 // seconds << 24 | microseconds
	Sockets  []int
}

// Snapshot is what a running stand-in keeps where the real one has its shared
// memory.
type Snapshot struct {
	PID         int
	Start       int64  // Unix time
	Ticks       string // the kernel's start time of the process, tells a reused PID
	Group       string
	CtlPort     int // -1: unset
	FileVersion int
	Date        int64
	Mode        Mode
	IDType      string
	Random      bool
	Tuning      Tuning
	K2Hash      K2Hash
	Slots       int // MAXCHMPX at start-up
	Free        int // free node slots
	Hashes      int // server nodes in service
	Clients     int // programs that have joined
	Self        Entry
	Servers     []Entry
}

// StateDir is the directory a stand-in keeps its state in, and takes its ring
// and its faults from.
type StateDir string

// DefaultStateDir is the one of the environment, else the one named in the file
// standin.dir beside the program, else the directory for temporary files.
func DefaultStateDir() StateDir {
	if dir := os.Getenv(EnvState); dir != "" {
		return StateDir(dir)
	}
	if exe, err := os.Executable(); err == nil {
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(exe), stateDirFile)); err == nil {
			return StateDir(strings.TrimSpace(string(b)))
		}
	}
	return StateDir(os.TempDir())
}

const stateDirFile = "standin.dir"

// Env is the setting a program needs to find this directory.
func (d StateDir) Env() string { return EnvState + "=" + string(d) }

// Path is the memory of one chmpx, in the layout of the real one's. What more the stand-in knows is
// in a file beside it.
func (d StateDir) Path(group string, ctlPort int) string {
	return d.file(group, ctlPort, ".chmpx")
}

func (d StateDir) file(group string, ctlPort int, ext string) string {
	name := group
	if ctlPort != noPort {
		name += "-" + strconv.Itoa(ctlPort)
	}
	return filepath.Join(string(d), strings.ReplaceAll(name, "/", "_")+ext)
}

// Read returns the state of a running chmpx, or [ErrNotRunning].
func (d StateDir) Read(group string, ctlPort int) (Snapshot, error) {
	var shot Snapshot
	path := d.Path(group, ctlPort)
	if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil {
		return shot, fmt.Errorf("state file %s: %w: %w", path, err, ErrNotRunning)
	}
	b, err := os.ReadFile(path + snapshotExt)
	if err != nil {
		return shot, fmt.Errorf("%w: %w", err, ErrNotRunning)
	}
	if err := json.Unmarshal(b, &shot); err != nil {
		return shot, fmt.Errorf("state file %s: %w", path, err)
	}
	if shot.Ticks != startTicks(shot.PID) {
		return shot, fmt.Errorf("process %d is gone: %w", shot.PID, ErrNotRunning)
	}
	return shot, nil
}

// Await returns the first state for which ok holds, or the last one with the
// context's error. A chmpx that does not run yet is waited for.
func (d StateDir) Await(ctx context.Context, group string, ctlPort int, ok func(Snapshot) bool) (Snapshot, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		shot, err := d.Read(group, ctlPort)
		if err == nil && ok(shot) {
			return shot, nil
		}
		select {
		case <-ctx.Done():
			return shot, errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// snapshotExt is what the name of the file ends with that has a snapshot.
const snapshotExt = ".json"

// keep puts a process's snapshot in place, atomically.
func (d StateDir) keep(shot Snapshot) error {
	b, err := json.Marshal(shot)
	if err != nil {
		return err
	}
	return replaceFile(d.Path(shot.Group, shot.CtlPort)+snapshotExt, b)
}

// ringFile has the server nodes in the RING, in JSON.
const ringFile = "ring.json"

// SetRing says which server nodes are in the RING from now on. Every stand-in of
// this directory learns it at once. Without members the ring is empty.
func (d StateDir) SetRing(members ...Member) error {
	b, err := json.MarshalIndent(members, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(string(d), ringFile), b)
}

// ring returns the members of the RING. Without a file it is empty.
func (d StateDir) ring() (members []Member, err error) {
	b, err := os.ReadFile(filepath.Join(string(d), ringFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &members)
	}
	if err != nil {
		return nil, fmt.Errorf("the ring of %s: %w", d, err)
	}
	return members, nil
}

// clientsFile has how many programs have joined.
const clientsFile = "clients"

// SetClients says how many programs have joined every stand-in of this directory from now on.
func (d StateDir) SetClients(n int) error {
	return replaceFile(filepath.Join(string(d), clientsFile), []byte(strconv.Itoa(n)))
}

// clients is how many programs have joined. Without a file it is none.
func (d StateDir) clients() int {
	b, _ := os.ReadFile(filepath.Join(string(d), clientsFile))
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// look writes to the memory what chmpxstatus writes to the real one's: nothing, which
// chmpx takes for an event all the same (J.2).
func (d StateDir) look(group string, ctlPort int) {
	if f, err := os.OpenFile(d.Path(group, ctlPort), os.O_WRONLY, 0); err == nil {
		f.Close()
	}
}

func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := fmt.Sprintf("%s.%d.next", path, os.Getpid())
	if err := os.WriteFile(next, b, 0o666); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// startTicks is when a process started, in the kernel's words; empty when it has ended.
func startTicks(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const state, start = 0, 19 // counted from after the name
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return ""
	}
	return fields[start]
}
