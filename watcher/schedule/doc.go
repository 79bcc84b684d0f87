// Package schedule decides when K2HR3 is asked: for the RESOURCE, and whether this host is a
// member. One K2HR3 process answers about 20 requests a second (docs/k2hr3.md K), and ten thousand
// slaves may ask it; so what is here decides whether K2HR3 bears them.
//
// It takes events and the time, and returns times. It has no goroutine, no clock and no connection
// of its own, so that tests/fleet can run it for ten thousand slaves within seconds.
package schedule
