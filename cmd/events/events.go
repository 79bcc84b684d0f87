// Package events has what the agent logs: for each message its id, which the journal carries as
// MESSAGE_ID, and for the operator why it is logged and what to do. The journal's catalog and
// docs/journal.md are made of it.
package events

// Event is one kind of event that is logged at Info and above.
type Event struct {
	ID      string // 32 hexadecimal digits
	Group   string // one of Groups
	Message string // the constant text, by which the event is found
	Cause   string // why it is logged, and what it means, in sentences
	Remedy  string // what to do about it, in sentences
}

// What an event is about.
const (
	groupOfAgent = "The agent"
	groupOfK2hr3 = "K2HR3 and the membership"
	groupOfToken = "The role token"
	groupOfFile  = "slave.ini"
	groupOfChmpx = "chmpx"
)

// Groups returns what events are about, in the order of the documentation.
func Groups() []string {
	return []string{groupOfAgent, groupOfK2hr3, groupOfToken, groupOfFile, groupOfChmpx}
}

// All returns all events, those of a group in a row.
func All() []Event { return table }

var ids = func() map[string]string {
	m := make(map[string]string, len(table))
	for _, e := range table {
		m[e.Message] = e.ID
	}
	return m
}()

// ID returns the id of the event with this message; false if it has none.
func ID(message string) (id string, ok bool) {
	id, ok = ids[message]
	return id, ok
}
