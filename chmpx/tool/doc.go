// Package tool runs chmpx's own programs, chmpxstatus and chmpxconftest, so
// that nothing they do can hurt the agent: for a limited time, with bounded
// output, without the environment variables that they or their children would act
// on, and in a process group of their own that does not outlive the run.
//
// The caller interprets what a program says. Its exit status alone means little:
// chmpxconftest exits with 0 whatever it found (docs/chmpx.md F.6), and
// chmpxstatus with 1 for every reason (docs/chmpx.md F.7). The variables that
// these programs read are those of chmpx 1.0.113 (docs/chmpx.md F.2).
package tool
