// Package tool runs chmpx's own programs, chmpxstatus and chmpxconftest, so
// that nothing they do can hurt the agent: for a limited time, with bounded
// output, in an environment that steers neither them nor anything they start
// towards the agent, and in a process group of their own that does not outlive
// the run.
//
// What a program says is its caller's business: an exit status alone means
// little here, for chmpxconftest ends with 0 whatever it found (spec chmpx
// F.6), and chmpxstatus with 1 for every reason there is (F.7). The variables
// these programs read are those of chmpx 1.0.113 (F.2).
package tool
