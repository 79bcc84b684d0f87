// Package slave looks at a machine that is a slave node of a cluster, for tests
// of the agent and its packages on a real systemd: what a test looks at again and
// again (units, the running chmpx, the journal) has a short way to it. [New] boots
// one, with K2HR3's stand-in at the test's end of its cable.
package slave
