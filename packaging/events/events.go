// Package events has what the agent logs: for each message its id, which the journal carries as
// MESSAGE_ID, and for the operator why it is logged and what to do. The journal's catalog,
// docs/journal.md and the ids in the program are made of it; the program has no use for the rest.
package events

// Event is one kind of event that is logged at Info and above.
type Event struct {
	ID      string // 32 hexadecimal digits
	Message string // the constant text, by which the program finds the id
	Cause   string // why it is logged, and what it means, in sentences
	Remedy  string // what to do about it, in sentences
}

// Group is the events that are about one thing.
type Group struct {
	About  string
	Events []Event
}

// Groups returns all events by what they are about, in the order of the documentation.
func Groups() []Group {
	return []Group{
		{"The agent", agentEvents},
		{"K2HR3 and the membership", k2hr3Events},
		{"The role token", tokenEvents},
		{"slave.ini", fileEvents},
		{"chmpx", chmpxEvents},
	}
}

// All returns all events, those of a group in a row.
func All() (all []Event) {
	for _, g := range Groups() {
		all = append(all, g.Events...)
	}
	return all
}
