// Package lifecycle tests what becomes of a slave node, with its service, its
// membership, its chmpx and its files, while the agent's package comes, is
// replaced, and goes. It has nothing but tests, which boot machines and are run
// as those of the package machine are.
package lifecycle
