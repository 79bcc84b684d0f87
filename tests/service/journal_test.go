package service

import (
	"encoding/json"
	"strings"

	"k2hdkc-slave-agent/packaging/events"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/realagent"
)

// entry is an entry of the journal, as far as it is text.
type entry map[string]string

func (e *entry) UnmarshalJSON(b []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	*e = entry{}
	for name, value := range fields {
		if text, ok := value.(string); ok {
			(*e)[name] = text
		}
	}
	return nil
}

// entries returns the entries with the agent's identifier since the subtest began.
func (s *installed) entries(more ...string) (list []entry) {
	s.TB.Helper()
	text := s.Run(`journalctl --sync; journalctl --quiet --boot --output=json --since="$1" -t k2hdkc-slave-agent $2`, s.since, strings.Join(more, " "))
	for line := range strings.Lines(text) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.TB.Fatalf("%v: %s", err, line)
		}
		list = append(list, e)
	}
	return list
}

// awaitEntry waits for an entry with a message, and returns it.
func (s *installed) awaitEntry(message string, more ...string) (found entry) {
	s.TB.Helper()
	machine.Until(s.TB, "the entry "+message, func() bool {
		for _, e := range s.entries(more...) {
			if strings.HasPrefix(e["MESSAGE"], message) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// journalExplains looks at what the journal has of the agent, and of its programs in chmpx's unit.
func journalExplains(s *installed) {
	const toJournal = "/etc/systemd/system/k2hdkc-slave-agent.service.d/zz-journal.conf" // after log.conf
	s.Run(`printf '[Service]\nStandardError=journal\nEnvironment=K2HDKC_SLAVE_LOG_FORMAT=auto\n' >"$1"; systemctl daemon-reload`, toJournal)
	defer s.Run(`rm "$1"; systemctl daemon-reload`, toJournal)
	s.since = s.Run("date +@%s.%6N")
	s.Run("systemctl start k2hdkc-slave-agent")
	s.awaitEntry(realagent.NotApplied)
	s.Join(1, 2, 3)
	if e := s.awaitEntry(realagent.Confirmed, "-u", slave.AgentUnit); e["K2HDKC_REVISION"] != "1" {
		s.TB.Errorf("no revision: %v", e)
	}
	s.Run("systemctl stop k2hdkc-slave-agent")
	s.awaitEntry("stopped")

	// A file that waits for the next start of chmpx, and cannot be taken. The program that says so
	// ends at once.
	s.Put("/etc/k2hdkc/.slave.parked.ini", "[GLOBAL]\n")
	s.Run("systemctl restart chmpx")
	const failed = "cannot put in place the slave.ini that waited"
	if e := s.awaitEntry(failed, "-u", slave.ChmpxUnit); e["K2HDKC_PROGRAM"] != "take-parked" {
		s.TB.Errorf("no program: %v", e)
	}

	// An agent that cannot begin.
	s.Run(`printf 'nonsense = 1\n' >>/etc/k2hdkc/slave-agent.ini; systemctl start k2hdkc-slave-agent || :`)
	if e := s.awaitEntry("the agent cannot run and ends", "-u", slave.AgentUnit); !strings.Contains(e["K2HDKC_ERROR"], "nonsense") {
		s.TB.Errorf("it does not say why: %v", e)
	}
	s.Run("systemctl stop k2hdkc-slave-agent; rm /etc/k2hdkc/.slave.parked.ini")
	s.Put(slave.ConfigFile, slave.Config)

	known := map[string]events.Event{}
	for _, e := range events.All() {
		known[e.ID] = e
	}
	for _, e := range s.entries() {
		switch event, ok := known[e["MESSAGE_ID"]]; {
		case !ok || !strings.HasPrefix(e["MESSAGE"], event.Message):
			s.TB.Errorf("MESSAGE_ID is %q of %q", event.Message, e["MESSAGE"])
		case e["K2HDKC_ROLE"] == "" && e["K2HDKC_PROGRAM"] == "" && !strings.HasPrefix(event.Message, "the agent cannot run"):
			s.TB.Errorf("no role: %v", e)
		}
	}

	explained := s.Run(`journalctl --quiet --boot -x --no-pager --since="$1" -t k2hdkc-slave-agent`, s.since)
	explained = oneLine(strings.NewReplacer("\n--", "\n", "\n░░", "\n").Replace(explained))
	for _, message := range []string{"RESOURCE not applied; there is no slave.ini yet", realagent.Replaced, realagent.Confirmed, failed} {
		said := false
		for _, e := range events.All() {
			if strings.HasPrefix(e.Message, message) {
				said = strings.Contains(explained, oneLine(e.Cause)) && strings.Contains(explained, "What to do: "+oneLine(e.Remedy))
			}
		}
		if !said {
			s.TB.Errorf("journalctl -x does not explain %q", message)
		}
	}
	if s.TB.Failed() {
		s.TB.Log(explained)
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
