// Package chmpx judges a chmpx configuration file the way chmpx 1.0.113 does:
// does it load, does a chmpx that is a slave on this host start on it, and does
// one that runs survive a live reload of it. It also says what chmpx would find
// changed between two configurations.
//
// It does so without chmpx: it loads the file itself, rule by rule
// (docs/chmpx.md A, B, C, D, I), on top of the scanner in package ini. chmpx's
// own checker sees neither who this host is, nor a table that is too small, nor a
// port that cannot work; and chmpx itself exits when a file does not load.
//
// # Verdicts
//
//   - Reject: the load fails, and a running chmpx exits; or a fresh start on this
//     host fails, for example because the file does not list this host.
//   - Dangerous: chmpx starts and then breaks: tables too small for the nodes,
//     ports nobody can connect to, two nodes with one identity, strings too long
//     for their fields, a slave that becomes a server, damaged text; or a chmpx
//     that runs refuses the file, or crashes, when it reloads.
//   - Accept: neither. Findings with this verdict are notes: what chmpx ignores,
//     or reads differently from how it is written.
//
// # Rules
//
// Every finding names its rule in words (RuleRequiredKey is "required-key"), so
// that callers can recognise a case without reading its text: RuleNoServer, for
// example, is a cluster that no server has joined yet. The constants are the list.
//
// # Names
//
// A name that does not resolve matches nothing, as for chmpx, and alone is no
// reason to reject a file: servers need not resolve. Judge looks names up only
// for entries that could be this host's by control port and CUK, all at once and
// within five seconds. If the name service does not say in time whether an entry
// is this host's, the finding is RuleSelfUnsure. It is a note if the entry has
// this host's CUK: the file was made for this host, and chmpx looks the name up
// itself when it starts. Otherwise it is dangerous. It never rejects. A server
// entry that could not be looked up counts as another host, unless MODE is
// missing: then this host might become that server.
//
// # Decisions where the measurements are silent
//
//   - One [SVRNODE] may expand to at most 32768 nodes here, the most chmpx has
//     room for. More are dangerous, and more than a million are a reject, since
//     chmpx would not finish the load.
//   - A line of a known key that chmpx drops (unclosed quote, dangling
//     backslash) is dangerous: the file does not say what its author meant.
//   - Blocks merged into one node, duplicate and unknown keys, unknown sections
//     and clamped values are notes.
//   - Identities are compared as texts. Two names of one server are not
//     recognised as one. Other slaves may share an identity with each other; this
//     host may share its own with nobody.
package chmpx
