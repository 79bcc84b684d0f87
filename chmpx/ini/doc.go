// Package ini reads the INI dialect of chmpx 1.0.113 line by line and says
// where in the input each value is.
//
// It is a scanner, not a parser: it says what every single line is to chmpx, and
// leaves merging, defaults and rules to package chmpx. The facts are in
// docs/chmpx.md A.
//
// # The dialect
//
//   - Lines end at LF. Blank, TAB and CR are trimmed from both ends, nothing
//     else is: a form feed or a no-break space stays part of the text, and a
//     byte order mark makes a header unrecognisable.
//   - A line that is exactly [GLOBAL], [SVRNODE] or [SLVNODE] opens that
//     section. Any other line that begins with [ and ends with ] opens an
//     unknown one, whose lines are skipped. Sections repeat: each [SVRNODE] and
//     [SLVNODE] is one more node.
//   - # comments a line out if it is the first character. Further on it starts
//     a comment only if the nearest unquoted character before it is blank; as
//     the first character of a value it is part of the value.
//   - Key and value split at the first =. Both are trimmed, unquoted and
//     trimmed again. '…' is literal, "…" knows \" and \\, and outside quotes a
//     backslash is dropped unless a quote or a backslash follows.
//   - An unclosed quote or a backslash at the very end drops the line. There is
//     no continuation line and no include.
//   - Within key or value a NUL byte ends the text, because chmpx walks it as a
//     C string.
//   - Inside unquoted text, \# keeps the backslash pending: it applies to the
//     next character that is not another #.
//
// # Why not gopkg.in/ini.v1
//
// The agent uses that library for its own configuration file. It cannot replace
// chmpx's reader: it keeps one section of each name (or returns them without the
// order of keys across them), joins a line that ends in a backslash with the next
// one, ends values at ; as well as at #, unquotes by other rules, and gives no byte
// offsets, without which the agent could not replace a single value and leave every
// other byte of the file as it was.
package ini
