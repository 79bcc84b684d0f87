// Package service tests the installed agent and chmpx together, as services of a
// real systemd. It has nothing but tests, which boot a container as package
// machine does.
//
// Where chmpx, chmpxstatus and chmpxconftest are on PATH the container gets these
// real ones and the libraries they need, else the stand-ins; no test is for one of
// the two only.
package service
