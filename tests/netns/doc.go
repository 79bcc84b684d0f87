// Package netns makes a host of its own for a test, out of Linux namespaces: a host
// name, addresses, a resolver, folders and message queues that are nobody
// else's. It needs root.
package netns
