// Package conftest is the second opinion on a configuration file: that of
// chmpxconftest, which runs chmpx's own loader.
//
// The facts are those of chmpx 1.0.113 (docs/chmpx.md F.6). The verdict is the
// line "configuration{" on standard output, never the exit status. The program
// opens neither chmpx's shared memory nor a port, so it may run beside a chmpx.
// It sees less than package chmpx does: not whether the file lists this host, not
// tables that are too small, not what a running chmpx cannot change.
package conftest
