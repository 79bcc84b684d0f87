package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

// story is what the lab shows, step by step.
func (l *lab) story(ctx context.Context) error {
	steps := []struct {
		head string
		do   func(context.Context) error
	}{
		{"a new slave, and a cluster without a server yet", l.newSlave},
		{"the first server joins", l.firstServer},
		{"two more servers join", l.moreServers},
		{"a server leaves", l.oneLeaves},
		{"the RESOURCE is broken", l.breaks},
		{"the RESOURCE is mended, and the server comes back", l.comesBack},
	}
	for i, s := range steps {
		l.head("%d/%d: %s", i+1, len(steps), s.head)
		stop := l.hurry()
		err := s.do(ctx)
		stop()
		if err != nil {
			return fmt.Errorf("%s: %w\n--- the agent's log:\n%s", s.head, err, l.agent)
		}
	}
	l.head("what `k2hdkc-slave-agent status` says now")
	if err := l.healthy(ctx); err != nil {
		return err
	}
	if _, err := l.screen(ctx, "status"); err != nil {
		return err
	}
	l.head("what `k2hdkc-slave-agent doctor` says now")
	if status, err := l.screen(ctx, "doctor"); err != nil || status != 0 {
		return fmt.Errorf("doctor should find nothing that has failed: status %d, %w", status, err)
	}
	return nil
}

func (l *lab) newSlave(ctx context.Context) error {
	if _, err := l.says(ctx, realagent.Registered, ""); err != nil {
		return err
	}
	if err := l.refuses(ctx, realagent.NoServers); err != nil {
		return err
	}
	if n := len(l.cluster.Slaves()); n != 1 {
		return fmt.Errorf("K2HR3 has %d slaves, want this one", n)
	}
	if _, err := os.Stat(l.file); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is a slave.ini already (%v)", err)
	}
	l.right("K2HR3 knows this host; a file without a server, which would end chmpx, is not written")
	return nil
}

func (l *lab) firstServer(ctx context.Context) error {
	if err := l.join(1); err != nil {
		return err
	}
	// Whatever the agent finds wrong with this text, nothing will come of waiting.
	r, err := l.saysOneOf(ctx, realagent.Replaced, realagent.NotApplied)
	if err == nil && r.Message != realagent.Replaced {
		err = fmt.Errorf("the agent refuses the first file: %s", r.Text("error"))
	}
	if err != nil {
		return err
	}
	if err := l.startChmpx(); err != nil {
		return err
	}
	return l.runs(ctx)
}

func (l *lab) moreServers(ctx context.Context) error {
	for _, n := range []int{2, 3} {
		if err := l.join(n); err != nil {
			return err
		}
	}
	return l.runs(ctx)
}

func (l *lab) oneLeaves(ctx context.Context) error {
	if err := l.leave(2); err != nil {
		return err
	}
	return l.runs(ctx)
}

// breaks serves the text as a broken template might render it: the servers are
// there, GLOBAL is not.
func (l *lab) breaks(ctx context.Context) error {
	before, err := os.ReadFile(l.file)
	if err != nil {
		return err
	}
	text := l.cluster.Text()
	l.broken = true
	_, nodes, _ := strings.Cut(text, "[SVRNODE]")
	l.change(func() { l.cluster.SetText("[SVRNODE]" + nodes) }, "the text has lost its [GLOBAL] section")
	if err := l.refuses(ctx, "GROUP"); err != nil {
		return err
	}
	after, err := os.ReadFile(l.file)
	if err != nil {
		return err
	}
	if string(before) != string(after) {
		return errors.New("slave.ini was touched")
	}
	if err := l.alive(); err != nil {
		return err
	}
	l.right("refused, with the reason; slave.ini is as it was and chmpx runs")
	return nil
}

// mend serves the text as it should be.
func (l *lab) mend() {
	l.broken = false
	l.change(l.cluster.ClearText, "the text is whole again")
}

func (l *lab) comesBack(ctx context.Context) error {
	l.mend()
	if err := l.join(2); err != nil {
		return err
	}
	return l.runs(ctx)
}

// says waits for a record with this message whose error contains text.
func (l *lab) says(ctx context.Context, message, text string) (realagent.Record, error) {
	return l.await(ctx, fmt.Sprintf("%q %q", message, text), func(r realagent.Record) bool {
		return strings.HasPrefix(r.Message, message) && strings.Contains(r.Text("error"), text)
	})
}

// asks waits until K2HR3 has answered a request since its latest change. One that
// it holds, because the agent has what it would get, may be as good.
func (l *lab) asks(ctx context.Context, mayHold bool) error {
	answered := func(r fakek2hr3.Request) bool {
		return r.Start.Add(r.Held).After(l.changed) && r.Op == fakek2hr3.OpResource && r.Status != 0
	}
	for (!mayHold || l.k2hr3.Held() == 0) && !slices.ContainsFunc(l.k2hr3.Requests(), answered) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the agent should have asked K2HR3: %w", context.Cause(ctx))
		}
	}
	return nil
}

// patience is how long the lab waits for an agent before it reloads it.
const patience = 10 * time.Second

// hurry reloads the agent after a while, unless stop is called: on a busy machine the lab's K2HR3
// answers slowly, and an agent that takes it for busy asks it seldom.
func (l *lab) hurry() (stop func() bool) {
	agent := l.agent
	return time.AfterFunc(patience, func() {
		if agent.Signal(syscall.SIGHUP) == nil {
			l.line("lab", "reloads the agent, which may take this K2HR3 for busy and ask it seldom")
		}
	}).Stop
}

// refuses waits until the agent refuses the RESOURCE for a reason. What it has
// said already it says again after a minute only.
func (l *lab) refuses(ctx context.Context, reason string) error {
	if l.refused == reason {
		return l.asks(ctx, false)
	}
	_, err := l.says(ctx, realagent.NotApplied, reason)
	if err == nil {
		l.refused = reason
	}
	return err
}

// saysOneOf waits for a record with one of these messages.
func (l *lab) saysOneOf(ctx context.Context, one, other string) (realagent.Record, error) {
	return l.await(ctx, fmt.Sprintf("%q or %q", one, other), func(r realagent.Record) bool {
		return strings.HasPrefix(r.Message, one) || strings.HasPrefix(r.Message, other)
	})
}

// await waits for a record that was not looked at yet.
func (l *lab) await(ctx context.Context, what string, ok func(realagent.Record) bool) (realagent.Record, error) {
	r, next, err := l.agent.Await(ctx, l.read, ok)
	l.read = next
	if err != nil {
		err = fmt.Errorf("the agent should have said %s: %w", what, err)
	}
	return r, err
}

// runs waits until chmpx has the server nodes that K2HR3 has, by the file in
// place, and the agent has seen that it does.
func (l *lab) runs(ctx context.Context) error {
	if l.refused != "" {
		if err := l.asks(ctx, true); err != nil {
			return err
		}
	}
	shot, err := l.agrees(ctx)
	if err == nil {
		err = l.alive()
	}
	if err == nil {
		err = l.seen(ctx, shot.FileVersion)
	}
	if err != nil {
		return err
	}
	l.right("K2HR3, slave.ini and chmpx have the same %s: revision %d, %.2f s after K2HR3's change",
		servers(len(shot.Servers)), shot.FileVersion, time.Since(l.changed).Seconds())
	return nil
}

// seen waits until the agent has seen that chmpx runs a revision and that the
// RESOURCE is good.
func (l *lab) seen(ctx context.Context, revision int) error {
	switch {
	case revision != l.confirmed:
		if _, err := l.await(ctx, fmt.Sprintf("that chmpx runs revision %d", revision), func(r realagent.Record) bool {
			return r.Message == realagent.Confirmed && r.Text("revision") == fmt.Sprint(revision)
		}); err != nil {
			return err
		}
		l.confirmed = revision
	case l.refused == "" || l.k2hr3.Held() > 0: // a held request says that the RESOURCE is good when it is answered
		return nil
	default:
		if _, err := l.says(ctx, realagent.Usable, ""); err != nil {
			return err
		}
	}
	l.refused = ""
	return nil
}

func servers(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", n)
}

// agrees waits until chmpx runs the file in place, and both have the server nodes
// that K2HR3 has, all of them up.
func (l *lab) agrees(ctx context.Context) (fakechmpx.Snapshot, error) {
	n, host := len(l.members), fakechmpx.LocalHost()
	var wrong error
	shot, err := l.state.Await(ctx, cluster, fakek2hr3.SlaveCtlPort, func(s fakechmpx.Snapshot) bool {
		if len(s.Servers) != n || slices.ContainsFunc(s.Servers, isDown) {
			return false
		}
		var c *fakechmpx.Config
		c, wrong = fakechmpx.ReadConfig(l.file, host)
		return wrong != nil || len(c.Servers) == n && c.FileVersion == s.FileVersion
	})
	switch {
	case wrong != nil:
		return shot, fmt.Errorf("slave.ini would end chmpx: %w", wrong)
	case err != nil:
		return shot, fmt.Errorf("chmpx should have %s, it runs revision %d with %d: %w", servers(n), shot.FileVersion, len(shot.Servers), err)
	}
	return shot, nil
}

func isDown(e fakechmpx.Entry) bool { return !strings.Contains(e.Status, "[UP]") }
