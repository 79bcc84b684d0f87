// Package watcher keeps slave.ini and chmpx right: it decides when to ask
// K2HR3, leads each answer through the house, and sees that chmpx took it.
//
//	K2HR3's answer → text → bytes → judged → file → chmpx told → revision seen
//
// [Watcher.Run] is one loop in one goroutine that owns all state. Everything
// that can take long (a request that K2HR3 holds, a look at chmpx, a systemd
// job) runs beside it, at most one of each, and comes back to the loop as a
// value; so nothing needs a lock and everything ends with the context.
//
// When it asks (spec k2hr3 0, and the measurements behind the intervals):
//
//   - at once, again and again, where the server holds requests;
//   - when chmpx has learnt of another set of servers from the ring, which it
//     does within seconds, spread by the number of slaves that notice the same
//     thing at the same moment;
//   - at the interval, which is the safety net;
//   - after a failure or a refused text, with growing pauses;
//   - when told to (SIGHUP, a new token file).
//
// Whoever runs it may want to know how it is: it calls Changed with a [Snapshot]
// when that has changed, and Alive now and then for as long as nothing is stuck.
//
// What it never does: remove or empty the file, put in place what chmpx would
// not take, ask chmpx's control port, or send chmpx a signal.
package watcher
