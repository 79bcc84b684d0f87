// Package chmpx judges a chmpx configuration file the way chmpx 1.0.113 does:
// would it load, would a chmpx that is a slave on this host start on it, and
// would one that runs survive a live reload of it. It also tells what chmpx
// would find changed between two configurations.
//
// It does so without chmpx: the load is done again here, rule by rule (spec
// chmpx A to D and I), on top of the scanner in package ini. chmpx's own checker
// sees neither who this host is, nor a table that is too small, nor a port that
// can't work; and chmpx itself ends when a file does not load.
//
// # Verdicts
//
//   - Reject: the load fails, which ends a running chmpx, or a fresh start on
//     this host does. The own entry missing is among the latter.
//   - Dangerous: chmpx starts and then breaks: tables too small for the nodes,
//     ports it can't reach, two nodes with one identity, strings too long for
//     their fields, a slave that becomes a server, text that was damaged on its
//     way; or, with a chmpx running, what it refuses or crashes on in a reload.
//   - Accept: neither. Findings with this verdict are notes: what chmpx ignores
//     or reads otherwise than written.
//
// # Rules
//
// Every finding names its rule in words (RuleRequiredKey is "required-key"), so
// that callers can recognise a case without reading its text: RuleNoServer, for
// example, is a cluster no server has joined yet. The constants are the list.
//
// # Names
//
// A name that does not resolve matches nothing, as for chmpx, and rejects
// nothing by itself: servers need not resolve. Names are only looked up for
// entries that could be this host by control port and CUK, all at once and
// within five seconds. Where an answer did not come in time and decides
// whether an entry is this host's, the finding is RuleSelfUnsure. It is a note
// if the entry carries this host's CUK: the file was made for this host, and
// chmpx asks for itself when it starts. Otherwise it is dangerous. It never
// rejects. A server entry that could not be looked up counts as another host,
// unless MODE is missing: then this host might become that server.
//
// # Decisions where the measurements are silent
//
//   - One [SVRNODE] may stand for at most 32768 nodes here, the most chmpx has
//     room for; what is beyond is dangerous, and from a million on a reject,
//     since chmpx would not get through the load.
//   - A line of a known key that chmpx drops (unclosed quote, dangling
//     backslash) is dangerous: the file does not say what it was meant to say.
//   - Blocks merged into one node, duplicate and unknown keys, unknown sections
//     and clamped values are notes.
//   - Identities are compared as texts. Two names of one server are not
//     recognised as one. Other slaves may share an identity among themselves;
//     this host may share its own with nobody.
package chmpx
