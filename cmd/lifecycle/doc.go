// Package lifecycle runs the watcher as a daemon does: it waits for a configuration that is enough
// to begin with, runs a watcher on it, takes up another configuration when one of its files or
// SIGHUP says so, and tells the service manager about each step. A configuration that is wrong
// changes nothing: the agent goes on with the previous one.
package lifecycle
