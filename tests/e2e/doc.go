// Package e2e tests and measures the whole agent: the real binary as a process
// of its own, or the real packages put together as the binary does it, against
// stand-ins on loopback. It holds nothing but tests.
//
//	go test ./tests/e2e                          all of them, a quarter of a minute
//	K2HDKC_TEST_FULL=1 go test -timeout 30m ./tests/e2e  1,000 kills, 10,000 replacements
//	go test -run '^$' -bench . ./tests/e2e       figures; nothing is asserted
//
// Some tests make a slave VM out of Linux namespaces, with its own network, host
// name and /etc; they need root and are skipped without it.
//
// Facts: K2HR3's REST interface as of k2hr3-api 2.0.3, chmpx 1.0.113.
package e2e
