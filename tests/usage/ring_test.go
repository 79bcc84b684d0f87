package usage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
)

// ring is a ring of real server nodes, each with chmpx and k2hdkc on a VM of its own.
type ring struct {
	t   *testing.T
	net *network
	// text is a server's configuration as K2HR3 has it now.
	text func(s *server) (string, error)
	// period is how often each server looks at it.
	period time.Duration

	programs fakechmpx.Programs
}

// serverINI is a server's configuration file.
const serverINI = "/etc/antpickax/server.ini"

// k2hdkcLog is what its k2hdkc says.
const k2hdkcLog = "/run/k2hdkc.log"

// server is a server node.
type server struct {
	*vm
	cuk     string
	chmpx   *fakechmpx.Process
	k2hdkc  *exec.Cmd
	ended   chan struct{}      // closed when k2hdkc has
	stop    context.CancelFunc // of its looks at K2HR3
	stopped chan struct{}
	// detached: it is no member of the role.
	detached bool

	mu  sync.Mutex
	ini string // in place
}

// realPrograms are those that the real cluster needs besides chmpx's three.
var realPrograms = []string{"k2hdkc", "k2hdkclinetool", "chmpxlinetool"}

// installed are chmpx's real programs, linked into the folder of all programs, if all are on PATH.
func installed(t *testing.T) (fakechmpx.Programs, bool) {
	t.Helper()
	p, ok := fakechmpx.Installed()
	if !ok {
		return p, false
	}
	paths := map[string]string{"chmpx": p.Chmpx, "chmpxstatus": p.Status, "chmpxconftest": p.Conftest}
	for _, name := range realPrograms {
		path, err := exec.LookPath(name)
		if err != nil {
			return p, false
		}
		paths[name] = path
	}
	for name, path := range paths {
		link := filepath.Join(programs, name)
		os.Remove(link)
		must(t, os.Symlink(path, link))
	}
	must(t, os.Chmod(programs, 0o755)) // for users other than root
	return p, true
}

// prepare is what a VM needs before a chmpx starts on it.
func (r *ring) prepare(v *vm) {
	r.t.Helper()
	must(r.t, os.MkdirAll(v.path(memory), 0o755))
	r.net.run(v.host, "sh", "-c", "echo 1025 >/proc/sys/fs/mqueue/msg_max")
}

// launch starts a server that K2HR3 lists already. The others take up that they have it before it
// starts, as its container waits for them.
func (r *ring) launch(s *server, others []*server) {
	r.t.Helper()
	for _, o := range others {
		must(r.t, r.look(o))
		until(r.t, o.name+" to know "+s.name, func() bool { return strings.Contains(r.shown(o), s.cuk) })
	}
	r.prepare(s.vm)
	must(r.t, os.MkdirAll(filepath.Dir(s.path(serverINI)), 0o755))
	must(r.t, r.look(s))
	r.starts(s)
	ctx, stop := context.WithCancel(r.t.Context())
	s.stop, s.stopped = stop, make(chan struct{})
	r.t.Cleanup(func() { r.end(s) })
	go r.looks(ctx, s)
	r.settle(append([]*server{s}, others...))
}

// starts starts a server's programs. While it is there they do not end by themselves.
func (r *ring) starts(s *server) {
	r.t.Helper()
	must(r.t, s.host.Do(func() (err error) {
		s.chmpx, err = fakechmpx.StartT(r.t, r.programs, serverINI)
		return err
	}))
	said, err := os.Create(s.path(k2hdkcLog))
	must(r.t, err)
	defer said.Close()
	s.k2hdkc = exec.Command(filepath.Join(programs, "k2hdkc"), "-conf", serverINI, "-ctlport", "8021", "-d", "err")
	s.k2hdkc.Stdout, s.k2hdkc.Stderr = said, said
	s.k2hdkc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.k2hdkc.Dir = "/"
	must(r.t, s.host.Do(s.k2hdkc.Start))
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.k2hdkc.Wait()
	}()
}

// inService is the state of a server that serves its keys, and takes part in no change of the ring.
const inService = "[SERVICE IN][UP][n/a][Nothing][NoSuspend]"

// settle waits until these servers are the ring, each serves, and all agree. Until then the ring
// takes no other change: one that leaves now would be refused, and one that joins wait.
func (r *ring) settle(all []*server) {
	r.t.Helper()
	for _, s := range all {
		must(r.t, r.look(s))
	}
	for _, s := range all {
		n := r.newNudge(s, "servicein")
		r.until(s, "to see that nothing moves in the ring", func(shown string) bool {
			n.at(shown)
			self := 1 // is shown once more
			return strings.Count(shown, inService) == len(all)+self && !slices.ContainsFunc(moving, func(state string) bool { return strings.Contains(shown, state) })
		})
	}
}

// moving are states of servers that the ring changes for.
var moving = []string{"[ADD]", "[DELETE]", "[Pending]", "[Doing]", "[Done]"}

// until waits for what chmpxstatus shows of a server.
func (r *ring) until(s *server, what string, ok func(shown string) bool) {
	r.t.Helper()
	shown := ""
	defer func() {
		if r.t.Failed() {
			said, _ := os.ReadFile(s.path(k2hdkcLog))
			r.t.Logf("%s:\n%s\nits k2hdkc:\n%s", s.name, shown, said)
		}
	}()
	for deadline := time.Now().Add(ringLimit); ; {
		select {
		case <-s.ended:
			r.t.Fatalf("k2hdkc of %s has ended: %v", s.name, s.k2hdkc.ProcessState)
		case <-r.t.Context().Done():
			return
		default:
		}
		if shown = r.shown(s); ok(shown) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("timed out waiting for %s %s", s.name, what)
		}
	}
}

// shown is what chmpxstatus shows of a server's chmpx. It is not asked for often, since that is
// an event for chmpx each time (docs/chmpx.md J.2).
func (r *ring) shown(s *server, options ...string) string {
	time.Sleep(300 * time.Millisecond)
	cmd := exec.Command(filepath.Join(programs, "chmpxstatus"), append([]string{"-conf", serverINI}, options...)...)
	var out []byte
	s.host.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err })
	return string(out)
}

// A ring that stands still is helped on, as the watcher in a server's container does: a merge may
// wait for its start or its end. One that is being done is left alone for longer, since it begins
// anew when it is ended. chmpx asks each server once for the keys and waits for all answers without
// a limit, so a merge whose answer gets lost is never done; if that happens to the next one too,
// the server that joins is started anew.
const (
	nudgeAfter = 10 * time.Second
	abortAfter = 30 * time.Second
	ringLimit  = 5 * time.Minute
)

// nudge helps a ring on that has shown the same for long.
type nudge struct {
	r     *ring
	s     *server
	wants string // of the server: servicein or serviceout
	shows string // the states that it shows of the ring's servers
	since time.Time

	aborted bool // a merge
}

func (r *ring) newNudge(s *server, wants string) *nudge {
	return &nudge{r: r, s: s, wants: wants, since: time.Now()}
}

// states are those of servers.
var states = regexp.MustCompile(`\[SERVICE (IN|OUT)\]\S*`)

// at takes what the server shows of the ring.
func (n *nudge) at(shown string) {
	if shows := strings.Join(states.FindAllString(shown, -1), " "); shows != n.shows {
		n.shows, n.since = shows, time.Now()
	}
	after := nudgeAfter
	if strings.Contains(n.shows, "[Doing]") {
		after = abortAfter
	}
	if time.Since(n.since) < after {
		return
	}
	command := n.command()
	switch command {
	case "":
	case restarts:
		n.r.stops(n.s)
		n.r.starts(n.s)
	default:
		n.r.tell(n.s, command)
	}
	if command != "" {
		fmt.Fprintf(n.r.t.Output(), "%s showed %s for %v: %s\n", n.s.name, n.shows, after, command)
	}
	n.since = time.Now()
}

// restarts is no command to chmpxlinetool: the server is started anew.
const restarts = "started anew"

func (n *nudge) command() string {
	switch {
	case strings.Contains(n.shows, "[Doing]") && n.aborted && n.wants == "servicein":
		n.aborted = false
		return restarts
	case strings.Contains(n.shows, "[Doing]"):
		n.aborted = true
		return "merge abort"
	case strings.Contains(n.shows, "[Done]"):
		return "merge complete"
	case strings.Contains(n.shows, "[Pending]"):
		return "merge start"
	case !strings.Contains(n.r.shown(n.s, "-self"), map[string]string{"servicein": "[SERVICE IN]", "serviceout": "[SERVICE OUT]"}[n.wants]):
		return n.r.told(n.s, n.wants)
	}
	return ""
}

// told is a command to a server for chmpxlinetool.
func (r *ring) told(s *server, command string) string {
	return fmt.Sprintf("%s %s:8021:%s:%s:", command, s.fqdn(), s.cuk, s.fqdn())
}

// looks takes up what K2HR3 has, every period, until ctx ends.
func (r *ring) looks(ctx context.Context, s *server) {
	defer close(s.stopped)
	next := rand.N(r.period) // each at a time of its own
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
			next = r.period
			if err := r.look(s); err != nil && ctx.Err() == nil {
				fmt.Fprintf(r.t.Output(), "%s: %v\n", s.name, err)
			}
		}
	}
}

// look takes up what K2HR3 has.
func (r *ring) look(s *server) error {
	text, err := r.text(s)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == s.ini {
		return nil
	}
	next := s.path(serverINI) + ".next"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	s.ini = text
	return os.Rename(next, s.path(serverINI))
}

// takeOut takes a server out of service, while the others take its keys.
func (r *ring) takeOut(s *server) {
	r.t.Helper()
	r.tell(s, r.told(s, "serviceout"))
	n := r.newNudge(s, "serviceout")
	r.until(s, "to be out of the ring", func(shown string) bool {
		if strings.Contains(r.shown(s, "-self"), "[SERVICE OUT][UP][n/a][Nothing]") {
			return true
		}
		n.at(shown)
		return false
	})
}

// line runs a command of chmpxlinetool's on a VM.
func (r *ring) line(v *vm, conf, command string) (string, error) {
	file := filepath.Join(v.path("/run"), "commands")
	if err := os.WriteFile(file, []byte(command+"\nexit\n"), 0o644); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "chmpxlinetool"), "-conf", conf, "-nocolor", "-run", "/run/commands")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := v.host.Do(cmd.Run); err != nil {
		return "", fmt.Errorf("chmpxlinetool %s: %w\n%s", command, err, out.String())
	}
	return out.String(), nil
}

// tell gives a server a command. One that is not answered is given again by a nudge: a server may
// be busy with a merge.
func (r *ring) tell(s *server, command string) {
	if _, err := r.line(s.vm, serverINI, command); err != nil {
		fmt.Fprintf(r.t.Output(), "%s: %v\n", s.name, err)
	}
}

// end ends a server.
func (r *ring) end(s *server) {
	if s.stop == nil {
		return
	}
	s.stop()
	<-s.stopped
	s.stop = nil
	r.stops(s)
}

// stops ends a server's programs.
func (r *ring) stops(s *server) {
	syscall.Kill(-s.k2hdkc.Process.Pid, syscall.SIGKILL)
	<-s.ended
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 20*time.Second)
	defer cancel()
	if _, err := s.chmpx.Stop(ctx); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintf(r.t.Output(), "%s: %v\n", s.name, err)
	}
}

// Users of a slave's VM: chmpx's, one whose programs are members of its group, and another.
const (
	chmpxUser = 61234
	appUser   = 61235
	otherUser = 61236
)

// as runs a command as one of the users, in chmpx's group or not.
func as(user int, member bool, command string) string {
	if user == 0 {
		return "exec " + command
	}
	groups := "--clear-groups"
	if member {
		groups = fmt.Sprintf("--groups=%d", chmpxUser)
	}
	return fmt.Sprintf("exec setpriv --reuid=%d --regid=%d %s --no-new-privs --bounding-set=-all --inh-caps=-all %s", user, user, groups, command)
}

// slaveChmpx starts chmpx on a slave as its unit does.
func (r *ring) slaveChmpx(ctx context.Context, v *vm) (p *fakechmpx.Process, err error) {
	wrapper := r.programs
	wrapper.Chmpx = filepath.Join(programs, "chmpx-of-unit")
	err = v.host.Do(func() (err error) {
		p, err = fakechmpx.Start(ctx, wrapper, slaveINI)
		return err
	})
	return p, err
}

// prepareSlave is what the packages make of a slave's VM.
func (r *ring) prepareSlave(v *vm) {
	r.t.Helper()
	r.prepare(v)
	must(r.t, os.Chown(v.path(memory), 0, chmpxUser))
	must(r.t, os.Chmod(v.path(memory), 0o770|os.ModeSetgid))
	script(r.t, filepath.Join(programs, "chmpx-of-unit"), "umask 0007\n"+as(chmpxUser, true, r.programs.Chmpx+` "$@"`))
}
