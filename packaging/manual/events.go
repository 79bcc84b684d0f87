package main

import (
	"fmt"
	"io"
	"strings"

	"k2hdkc-slave-agent/cmd/events"
)

const catalogHead = `# The catalog of k2hdkc-slave-agent(8)'s entries in the journal: journalctl -x
# shows what is below with each of them. ` + "`go run ./packaging/manual`" + ` writes this
# file from the table in cmd/events.
`

// catalog writes the journal's catalog (https://systemd.io/CATALOG).
func catalog(w io.Writer) error {
	var b strings.Builder
	b.WriteString(catalogHead)
	for _, e := range events.All() {
		fmt.Fprintf(&b, "\n-- %s\nSubject: %s\nDefined-By: k2hdkc-slave-agent\nDocumentation: man:k2hdkc-slave-agent(8)\n\n", e.ID, e.Message)
		fmt.Fprintf(&b, "%s\n\n%s\n", wrap(e.Cause, catalogWidth), wrap("What to do: "+e.Remedy, catalogWidth))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// journalctl writes "-- " before each line, and a terminal has 80 columns.
const catalogWidth = 76

const journalHead = `# What the agent logs

Under systemd the agent logs into the journal; these are its entries. With ` + "`-x`" + `, journalctl shows
cause and remedy with each of them:

    journalctl -x -t k2hdkc-slave-agent

` + "`-t`" + ` also finds what the agent's programs log in other units: what chmpx's unit runs before chmpx and to reload it, and
the generator at boot. ` + "`-u`" + ` finds what the agent's own unit logs, and what systemd says of it.

Each kind of event has an id, which stays the same for ever, also when the words change. Alerts are to go by it:

    journalctl MESSAGE_ID=%s

What varies is in fields, named as in the message with ` + "`K2HDKC_`" + ` before. ` + "`journalctl -o verbose`" + ` shows them,
` + "`journalctl K2HDKC_REVISION=12`" + ` finds what was logged of a revision.

| field | what it holds |
|---|---|
| ` + "`K2HDKC_ROLE`" + ` | the role, with every entry of an agent that is configured |
| ` + "`K2HDKC_REVISION`" + ` | the revision of ` + "`slave.ini`" + ` that an entry is about |
| ` + "`K2HDKC_RUNS`" + ` | the revision that chmpx runs, where that is another one |
| ` + "`K2HDKC_ERROR`" + `, ` + "`K2HDKC_REASON`" + ` | what went wrong and what to do, in words; why |
| ` + "`K2HDKC_REPEATS`" + ` | how often the same has happened since the entry before without one of its own: what lasts is logged at growing intervals, from a minute to an hour |
| ` + "`K2HDKC_PROGRAM`" + ` | which of the programs in chmpx's unit logs: ` + "`take-parked`, `await-chmpx`" + ` |

Elsewhere, and with ` + "`log-format`" + ` text or json, the same goes to the standard error, without the ids.

This file is written by ` + "`go run ./packaging/manual`" + ` from the table in ` + "`cmd/events`" + `.
`

// journalDoc writes docs/journal.md.
func journalDoc(w io.Writer) error {
	var b strings.Builder
	id, ok := events.ID("slave.ini replaced")
	if !ok {
		return fmt.Errorf("the example of the documentation is not in the table of events")
	}
	fmt.Fprintf(&b, journalHead, id)
	for _, group := range events.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", group)
		for _, e := range events.All() {
			if e.Group == group {
				fmt.Fprintf(&b, "\n### %s\n\n`%s`\n\n%s\n\n**What to do:** %s\n",
					e.Message, e.ID, wrap(e.Cause, docWidth), wrap(e.Remedy, docWidth))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const docWidth = 118

// wrap breaks a text at blanks into lines of at most width bytes, where that is possible.
func wrap(text string, width int) string {
	var b strings.Builder
	length := 0
	for _, word := range strings.Fields(text) {
		switch {
		case length == 0:
		case length+1+len(word) > width:
			b.WriteByte('\n')
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String()
}
