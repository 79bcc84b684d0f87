package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

// answerWithin is how long a command waits for what should come of it.
const answerWithin = 30 * time.Second

// commands are what one can type.
const commands = `  join N      server node N joins the cluster (1 to 99)
  leave N     server node N leaves it
  break       K2HR3's RESOURCE loses its [GLOBAL] section
  mend        the RESOURCE is whole again
  down        K2HR3 does not answer
  up          it does
  stop WHAT   end chmpx or the agent, as in: stop chmpx
  start WHAT  start it again
  status      who has which servers now, and what the agent's verb status says
  doctor      what the agent's verb doctor says; both take that verb's flags, as in: status --brief
  help        this
  quit        end the lab; so does the end of input, or Ctrl-C`

// play takes commands until there are no more or ctx ends.
func (l *lab) play(ctx context.Context, in io.Reader) error {
	l.head("the lab stays up; what now?")
	l.say(`
%s

K2HR3      %s
slave.ini  %s
chmpx      %s -conf %s
agent      %s status --config %s

Break what you like below %s, and have doctor find it.
`, commands, l.url, l.file, l.programs.Status, l.file, l.bin, l.config(), l.dir)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for {
		agent, chmpx := l.agent.Done(), l.chmpx.Done()
		if l.agentEnded == l.agent {
			agent = nil
		}
		if l.chmpxEnded == l.chmpx {
			chmpx = nil
		}
		select {
		case <-ctx.Done():
			return l.end()
		case <-agent:
			l.agentEnded = l.agent
			l.line("agent", "has ended, %v; type start agent", l.agent.State())
		case <-chmpx:
			l.chmpxEnded = l.chmpx
			l.line("chmpx", "has ended; type start chmpx")
			l.say("%s", lastLine(l.chmpx.Output()))
		case line, more := <-lines:
			words := strings.Fields(line)
			if !more || slices.Contains([]string{"quit", "exit", "q"}, strings.Join(words, " ")) {
				return l.end()
			}
			if len(words) > 0 {
				l.answer(ctx, words)
			}
		}
	}
}

// answer does what was typed, and says what came of it.
func (l *lab) answer(ctx context.Context, words []string) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("not within %v", answerWithin))
	defer cancel()
	defer l.hurry()()
	if err := l.command(ctx, words); err != nil {
		l.line("  !!", "%v", err)
	}
}

func (l *lab) command(ctx context.Context, words []string) error {
	switch words[0] {
	case "status":
		return l.status(ctx, words[1:])
	case "doctor":
		_, err := l.screen(ctx, "doctor", words[1:]...)
		return err
	case "start", "stop":
		return l.startOrStop(words)
	case "join", "leave":
		n, err := number(words)
		if err != nil {
			return err
		}
		if words[0] == "join" {
			return l.joins(ctx, n)
		}
		return l.leaves(ctx, n)
	}
	do, known := map[string]func(context.Context) error{
		"break": l.breakIt, "mend": l.mendIt, "down": l.goDown, "up": l.comeUp,
		"help": func(context.Context) error { l.say("%s", commands); return nil },
	}[words[0]]
	switch {
	case !known:
		return fmt.Errorf("there is no command %q; type join N, leave N, break, mend, down, up, stop WHAT, start WHAT, status, doctor, help or quit", words[0])
	case len(words) > 1:
		return fmt.Errorf("%s stands alone", words[0])
	}
	return do(ctx)
}

// startOrStop starts or ends chmpx or the agent. Nobody waits for what comes of it: status and
// doctor are there to tell.
func (l *lab) startOrStop(words []string) error {
	is := map[string]<-chan struct{}{"agent": l.agent.Done(), "chmpx": l.chmpx.Done()}
	if len(words) != 2 || is[words[1]] == nil {
		return fmt.Errorf("type %s agent or %s chmpx", words[0], words[0])
	}
	runs := !ended(is[words[1]])
	switch what := words[1]; {
	case runs && words[0] == "start":
		return fmt.Errorf("%s runs already", what)
	case !runs && words[0] == "stop":
		return fmt.Errorf("%s does not run; type start %s", what, what)
	case runs && what == "agent":
		l.agentEnded = l.agent
		return l.stopAgent()
	case runs:
		l.chmpxEnded = l.chmpx
		return l.stopChmpx()
	case what == "agent":
		return l.runAgent()
	}
	return l.startChmpx()
}

// lastLine is the last that a program has said.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimRight("    "+lines[len(lines)-1], " ")
}

// number reads the N of a command.
func number(words []string) (int, error) {
	if len(words) == 2 {
		if n, err := strconv.Atoi(words[1]); err == nil && n >= 1 && n <= 99 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("which server node? type %s and a number from 1 to 99, as in: %s 4", words[0], words[0])
}

func (l *lab) has(n int) bool {
	return slices.ContainsFunc(l.members, func(m fakechmpx.Member) bool { return m.CUK == member(n).CUK })
}

// names are the server nodes that are there.
func (l *lab) names() string {
	var names []string
	for _, m := range l.members {
		names = append(names, m.CUK)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (l *lab) joins(ctx context.Context, n int) error {
	if l.has(n) {
		return fmt.Errorf("server-%d is there already; there are: %s", n, l.names())
	}
	if err := l.join(n); err != nil {
		return err
	}
	return l.follows(ctx)
}

func (l *lab) leaves(ctx context.Context, n int) error {
	if !l.has(n) {
		return fmt.Errorf("server-%d is not there; there are: %s", n, l.names())
	}
	if err := l.leave(n); err != nil {
		return err
	}
	return l.follows(ctx)
}

// follows waits for the agent to do what there is to do about K2HR3's change.
func (l *lab) follows(ctx context.Context) error {
	switch {
	case ended(l.agent.Done()):
		l.right("K2HR3 has it, and no agent runs; type start agent, and it learns it")
		return nil
	case ended(l.chmpx.Done()):
		l.right("K2HR3 has it, and chmpx does not run; type start chmpx")
		return nil
	case l.down != nil:
		l.right("K2HR3 has it, but does not answer; type up, and the agent learns it")
		return nil
	case l.broken:
		l.right("K2HR3 has it, but not in the broken RESOURCE; type mend, and the agent learns it")
		return nil
	case len(l.members) == 0:
		if err := l.refuses(ctx, realagent.NoServers); err != nil {
			return err
		}
		l.right("refused: a file without a server would end chmpx; slave.ini stays as it is")
		return l.alive()
	}
	return l.runs(ctx)
}

func (l *lab) breakIt(ctx context.Context) error {
	switch {
	case ended(l.agent.Done()) || ended(l.chmpx.Done()):
		return fmt.Errorf("the agent and chmpx have to run for that; type start agent, start chmpx")
	case l.broken:
		return fmt.Errorf("the RESOURCE is broken already; type mend")
	case l.down != nil:
		return fmt.Errorf("K2HR3 does not answer, so nobody would see it; type up first")
	case len(l.members) == 0:
		return fmt.Errorf("without a server the RESOURCE is refused anyway; type join 1 first")
	}
	return l.breaks(ctx)
}

func (l *lab) mendIt(ctx context.Context) error {
	if !l.broken {
		return fmt.Errorf("the RESOURCE is not broken; type break first")
	}
	l.mend()
	return l.follows(ctx)
}

func (l *lab) goDown(context.Context) error {
	if l.down != nil {
		return fmt.Errorf("K2HR3 is down already; type up")
	}
	l.change(func() { l.down = l.k2hr3.Fault(fakek2hr3.Fault{Name: fakek2hr3.Cut}) }, "is down: every connection ends before an answer")
	l.right("the agent keeps slave.ini and asks again; join or leave, and type up")
	return nil
}

func (l *lab) comeUp(ctx context.Context) error {
	if l.down == nil {
		return fmt.Errorf("K2HR3 is not down; type down first")
	}
	l.change(l.down, "answers again")
	l.down = nil
	if ended(l.agent.Done()) {
		return l.follows(ctx)
	}
	if err := l.asks(ctx, true); err != nil {
		return err
	}
	return l.follows(ctx)
}

// status says what everybody has, without waiting for anything.
func (l *lab) status(ctx context.Context, flags []string) error {
	if len(flags) > 0 {
		_, err := l.screen(ctx, "status", flags...)
		return err
	}
	k2hr3 := ""
	if l.broken {
		k2hr3 += "; the RESOURCE is broken"
	}
	if l.down != nil {
		k2hr3 += "; it is down"
	}
	l.line("K2HR3", "has %s%s", l.names(), k2hr3)
	if c, err := fakechmpx.ReadConfig(l.file, fakechmpx.LocalHost()); err != nil {
		l.line("file", "%v", err)
	} else {
		l.line("file", "is revision %d with %s", c.FileVersion, servers(len(c.Servers)))
	}
	if shot, err := l.state.Read(cluster, fakek2hr3.SlaveCtlPort); err != nil {
		l.line("chmpx", "%v", err)
	} else {
		l.line("chmpx", "runs revision %d with %s, pid %d", shot.FileVersion, servers(len(shot.Servers)), shot.PID)
	}
	if ended(l.agent.Done()) {
		l.line("agent", "does not run; the lab is pid %d", os.Getpid())
	} else {
		l.line("agent", "runs, pid %d; the lab is pid %d", l.agent.PID(), os.Getpid())
	}
	_, err := l.screen(ctx, "status")
	return err
}
