package fakechmpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// process is a running stand-in for chmpx: one loop that takes events of the
// file and of the ring one after the other, and signals between them.
type process struct {
	tool
	host  Host
	path  string
	watch *Watch
	slave *Slave
	start time.Time
	// control is the control port, open for as long as the process runs.
	control net.Listener
	memory  *os.File
}

// chmpx is the daemon. It runs in the foreground (F.1).
func (t tool) chmpx() int {
	signals := catchSignals()
	host := LocalHost()
	c, err := t.load(host)
	if err == nil {
		err = c.CanStart(host)
	}
	if errors.Is(err, ErrCrash) {
		crash()
	}
	if err != nil {
		return t.notStarted(err)
	}
	p := &process{tool: t, host: host, path: t.args["conf"], slave: newSlave(c, host, literal(host)), start: time.Now()}
	if p.watch, err = newWatch(p.path, host, p.slave); err != nil {
		return t.notStarted(err)
	}
	defer p.watch.Close()
	ring, looks, err := p.watchRing()
	if err != nil {
		return t.notStarted(err)
	}
	if err := p.dir.mayTake(c.Group, c.SelfCtlPort); err != nil {
		return t.notStarted(err)
	}
	if err := p.keep(); err != nil {
		return t.notStarted(err)
	}
	p.listen()
	p.announce()
	return p.loop(signals, ring, looks)
}

func (t tool) notStarted(err error) int {
	t.log(levelErr, "Initialize", "%v.", err)
	t.say("ERROR: Could not initialize process.")
	t.say(`You can see detail about error, execute with "-d" option.`)
	return 1
}

// catchSignals takes the signals chmpx acts on and ignores those it blocks (D.7).
func catchSignals() <-chan os.Signal {
	signal.Ignore(syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1)
	return signals
}

// listen listens on the control port, unless that is another program's, and takes no connection.
func (p *process) listen() {
	control := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}
	if port := p.slave.Snapshot().Self.CtlPort; port > 0 {
		p.control, _ = (&net.ListenConfig{Control: control}).Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	}
}

// announce prints what chmpx prints once it is up.
func (p *process) announce() {
	self := p.slave.Snapshot().Self
	for _, row := range [][2]string{
		{"CHMPX HOSTNAME", self.Name},
		{"MODE", string(p.slave.first.Mode)},
		{"PORT", fmt.Sprint(self.Port)},
		{"CONTROL PORT", fmt.Sprint(self.CtlPort)},
		{"SSL", map[bool]string{true: "YES", false: "NO"}[self.TLS.On]},
		{"BASE HASH", fmt.Sprintf("0x%016x", self.Hash)},
		{"STATUS", self.Status},
	} {
		p.say("%-25s = %s", row[0], row[1])
	}
}

// loop runs until the process has a reason to end, and returns the exit status.
func (p *process) loop(signals <-chan os.Signal, ring, looks <-chan struct{}) int {
	file := p.fileEvents()
	for {
		var idle <-chan time.Time
		if !p.slave.connected() {
			idle = time.After(IdleFor)
		}
		select {
		case <-looks:
			if p.after(Event{Effect: p.slave.Looked()}) {
				return p.end()
			}
		case <-idle:
			if p.after(Event{Effect: p.slave.Idle()}) {
				return p.end()
			}
		case batch := <-file:
			for _, e := range batch {
				if p.onFile(e) {
					return p.end()
				}
			}
		case <-ring:
			if p.onRing() {
				return p.end()
			}
		case s := <-signals:
			if s != syscall.SIGUSR1 {
				return p.end()
			}
			p.say("Changed the log level.")
		}
	}
}

// end cleans up and returns the status of an ordered end, which a fatal load is too.
func (p *process) end() int {
	path := p.dir.Path(p.slave.first.Group, p.slave.first.SelfCtlPort)
	os.Remove(path)
	os.Remove(path + snapshotExt)
	if p.slave.overrun {
		crash()
	}
	return 0
}

// fileEvents reads ahead of the loop, so that the loop can look at other things.
func (p *process) fileEvents() <-chan []inotifyEvent {
	out := make(chan []inotifyEvent)
	go func() {
		for {
			batch, err := readEvents(p.watch.file)
			if err != nil {
				return // the loop has ended and closed it
			}
			out <- batch
		}
	}()
	return out
}

func (p *process) onFile(e inotifyEvent) (end bool) {
	event, acted := p.watch.handle(e)
	if !acted {
		return false
	}
	p.log(levelMsg, "CheckNotifyEvent", "Configuration file %s: event(%#x), %s.", p.path, e.mask, event.Effect)
	return p.after(event)
}

// after makes the outcome of a load visible.
func (p *process) after(event Event) (end bool) {
	switch event.Effect {
	case Died:
		p.log(levelErr, "CheckUpdate", "Failed to load configuration from %s, thus this is fatal error: %v.", p.path, event.Err)
		return true
	case Crashed:
		crash()
	case Reloaded:
		if err := p.keep(); err != nil {
			p.log(levelErr, "Keep", "%v.", err)
		}
	}
	return false
}

// keep writes the memory.
func (p *process) keep() (err error) {
	shot := p.slave.Snapshot()
	shot.PID = os.Getpid()
	shot.Start = p.start.Unix()
	shot.Ticks = startTicks(shot.PID)
	if err := p.dir.keep(shot); err != nil {
		return err
	}
	if p.memory == nil {
		p.memory, err = makeMemory(p.dir.Path(shot.Group, shot.CtlPort), shot)
		return err
	}
	return writeMemory(p.memory, shot)
}

// watchRing reads the ring and tells of every change of its file or of the clients, and of every
// run of chmpxstatus.
func (p *process) watchRing() (ring, looks <-chan struct{}, err error) {
	dir := string(p.dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("inotify: %w", err)
	}
	const mask = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	p.readRing()
	changed, looked := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan<- struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	state := filepath.Base(p.dir.Path(p.slave.first.Group, p.slave.first.SelfCtlPort))
	go func() {
		f := os.NewFile(uintptr(fd), "inotify") // open for as long as the process runs
		for {
			batch, err := readEvents(f)
			if err != nil {
				return
			}
			for _, e := range batch {
				switch {
				case e.name == ringFile, e.name == clientsFile:
					tell(changed)
				case e.name == state && e.mask&unix.IN_CLOSE_WRITE != 0:
					tell(looked)
				}
			}
		}
	}()
	return changed, looked, nil
}

func (p *process) onRing() (end bool) {
	return p.after(Event{Effect: p.readRing()})
}

// readRing takes the ring file. One that cannot be read changes nothing.
func (p *process) readRing() Effect {
	members, err := p.dir.ring()
	if err != nil {
		p.log(levelErr, "UpdateChmpxSvrs", "%v.", err)
		return Unchanged
	}
	p.slave.SetClients(p.dir.clients())
	return p.slave.SetRing(members)
}

// crash ends the process by SIGSEGV, as the kernel ends a chmpx that overran its
// tables. Go's own handler of that signal has to go first.
func crash() {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	var byDefault [4]uint64 // the kernel's struct sigaction; zero is SIG_DFL
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSEGV),
		uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	unix.Kill(unix.Getpid(), unix.SIGSEGV)
	forever()
}
