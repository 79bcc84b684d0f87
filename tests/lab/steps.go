package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/realagent"
)

// show is the lab's story, step by step.
func (l *lab) show(ctx context.Context) error {
	steps := []struct {
		head string
		do   func(context.Context) error
	}{
		{"a new slave, and a cluster without a server yet", l.newSlave},
		{"the first server joins", l.firstServer},
		{"two more servers join", l.moreServers},
		{"a server leaves", l.oneLeaves},
		{"the RESOURCE is broken", l.broken},
		{"the RESOURCE is mended, and the server comes back", l.mended},
	}
	for _, s := range steps {
		l.head("%s", s.head)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w\n--- the agent's log:\n%s", s.head, err, l.agent)
		}
	}
	return nil
}

func (l *lab) newSlave(ctx context.Context) error {
	if err := l.says(ctx, realagent.Registered, ""); err != nil {
		return err
	}
	if err := l.says(ctx, "", realagent.NoServers); err != nil {
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
	if err := l.says(ctx, realagent.Replaced, ""); err != nil {
		return err
	}
	if err := l.startChmpx(ctx); err != nil {
		return err
	}
	return l.runs(ctx, 1)
}

func (l *lab) moreServers(ctx context.Context) error {
	for _, n := range []int{2, 3} {
		if err := l.join(n); err != nil {
			return err
		}
	}
	return l.runs(ctx, 3)
}

func (l *lab) oneLeaves(ctx context.Context) error {
	if err := l.leave(2); err != nil {
		return err
	}
	return l.runs(ctx, 2)
}

// broken serves the text as a broken template might render it: the servers are
// there, GLOBAL is not.
func (l *lab) broken(ctx context.Context) error {
	before, err := os.ReadFile(l.file)
	if err != nil {
		return err
	}
	text := l.cluster.Text()
	l.cluster.SetText(text[strings.Index(text, "[SVRNODE]"):])
	l.line("K2HR3", "the text has lost its [GLOBAL] section")
	if err := l.says(ctx, realagent.NotApplied, "GROUP"); err != nil {
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

func (l *lab) mended(ctx context.Context) error {
	l.cluster.ClearText()
	if err := l.join(2); err != nil {
		return err
	}
	return l.runs(ctx, 3)
}

// says waits for a record with this message whose error contains text.
func (l *lab) says(ctx context.Context, message, text string) error {
	_, next, err := l.agent.Await(ctx, l.read, func(r realagent.Record) bool {
		return strings.HasPrefix(r.Message, message) && strings.Contains(r.Text("error"), text)
	})
	l.read = next
	if err != nil {
		return fmt.Errorf("the agent should have said %q %q: %w", message, text, err)
	}
	return nil
}

// runs waits until chmpx serves a ring of n servers, from the file in place,
// and the agent has seen that it does.
func (l *lab) runs(ctx context.Context, n int) error {
	started := time.Now()
	want := func(s fakechmpx.Snapshot) bool {
		up := 0
		for _, e := range s.Servers {
			if strings.Contains(e.Status, "[UP]") {
				up++
			}
		}
		return len(s.Servers) == n && up == n
	}
	shot, err := l.state.Await(ctx, cluster, fakek2hr3.SlaveCtlPort, want)
	if err != nil {
		return fmt.Errorf("chmpx should have %d servers, has %d: %w", n, len(shot.Servers), err)
	}
	for {
		shot, err = l.state.Read(cluster, fakek2hr3.SlaveCtlPort)
		if err != nil {
			return err
		}
		host := fakechmpx.LocalHost()
		c, err := fakechmpx.ReadConfig(l.file, host)
		if err != nil {
			return fmt.Errorf("slave.ini would end chmpx: %w", err)
		}
		if len(c.Servers) == n && c.FileVersion == shot.FileVersion && want(shot) {
			break
		}
		if _, err := l.state.Await(ctx, cluster, fakek2hr3.SlaveCtlPort, func(s fakechmpx.Snapshot) bool {
			return s.FileVersion != shot.FileVersion || len(s.Servers) != len(shot.Servers)
		}); err != nil {
			return fmt.Errorf("chmpx runs revision %d, the file is %d with %d servers: %w", shot.FileVersion, c.FileVersion, len(c.Servers), err)
		}
	}
	if err := l.alive(); err != nil {
		return err
	}
	l.line("chmpx", "runs revision %d with %d servers", shot.FileVersion, n)
	if _, next, err := l.agent.Await(ctx, l.read, func(r realagent.Record) bool {
		return r.Message == realagent.Confirmed && r.Text("revision") == fmt.Sprint(shot.FileVersion)
	}); err != nil {
		return fmt.Errorf("the agent should have seen chmpx run revision %d: %w", shot.FileVersion, err)
	} else {
		l.read = next
	}
	l.right("K2HR3, slave.ini and chmpx have the same %d servers, %v after the change", n, time.Since(started).Round(time.Millisecond))
	return nil
}
