// Package events has what the agent logs: for each message its id, which the journal carries as
// MESSAGE_ID, and for the operator why it is logged and what to do. The journal's catalog,
// docs/journal.md and the ids in the program are made of it; the program has no use for the rest.
package events

// Event is one kind of event that is logged at Info and above.
type Event struct {
	ID      string // 32 hexadecimal digits
	Group   string // one of Groups
	Message string // the constant text, by which the program finds the id
	Cause   string // why it is logged, and what it means, in sentences
	Remedy  string // what to do about it, in sentences
}

// What an event is about.
const (
	aboutAgent = "The agent"
	aboutK2HR3 = "K2HR3 and the membership"
	aboutToken = "The role token"
	aboutFile  = "slave.ini"
	aboutChmpx = "chmpx"
)

// Groups returns what events are about, in the order of the documentation.
func Groups() []string { return []string{aboutAgent, aboutK2HR3, aboutToken, aboutFile, aboutChmpx} }

// All returns all events, those of a group in a row.
func All() []Event { return table }
