// Package slave boots a machine that is a slave node of a cluster, for tests of
// the agent and its packages on a real systemd: K2HR3's stand-in is at the
// test's end of the machine's cable, and what a test looks at again and again
// (units, the running chmpx, the server nodes) has a short way to it.
//
// Its own tests are those of the installed agent and chmpx together. Where
// chmpx, chmpxstatus and chmpxconftest are on PATH, the machine gets these real
// ones and the libraries they need, else the stand-ins; no test is for one of the
// two only.
package slave
