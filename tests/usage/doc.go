// Package usage walks the usage guide of K2HDKC DBaaS with Trove (usage_trove.html) as one test:
// from the configuration group (its section 4) to a key that an application has set (6-3-3). It
// reads as a script, TestUsageGuide, with the guide's section numbers, and prints after each step
// what an operator sees: status in one line, and what became of the operations of an application
// that reads and writes its keys all the time.
//
// By default K2HR3 and chmpx are stand-ins. With chmpx and k2hdkc on PATH and K2HR3_API_URI,
// K2HR3_USER_TOKEN and K2HR3_TENANT set, the same script goes against those: each server node and
// each slave is a host of its own, made of namespaces.
//
// It takes root. What it shows with the stand-ins is in docs/usage.md.
package usage
