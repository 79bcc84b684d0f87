// Package k2hr3 speaks K2HR3's REST interface as a slave host does: it
// registers the host in a ROLE, asks whether it is a member, takes it out
// again, and reads the RESOURCE. One method is one exchange; the package knows
// nothing of chmpx, of files, or of when to ask.
//
// Answers are bounded and typed. An answer that is not what K2HR3 sends is an
// error with a text of its own, and no body of K2HR3 ever reaches an error or a
// log, because K2HR3 echoes tokens and whole templates in them.
//
// The facts are those of k2hr3-api 2.0.3; comments name the section of docs/k2hr3.md
// they rest on.
package k2hr3
