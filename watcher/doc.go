// Package watcher keeps slave.ini and chmpx right: it decides when to ask
// K2HR3, leads each answer to the file, and checks that chmpx loads it.
//
//	K2HR3's answer → text → bytes → judged → file → chmpx told → revision seen
//
// [Watcher.Run] is one loop in one goroutine. Its parts (poll, membership,
// output, probe, …) are small state machines without goroutines; only their own
// methods change their fields. Everything that waits for somebody else (a request
// that K2HR3 holds, a probe of chmpx, a systemd job) runs beside the loop, at most
// one of each kind, and comes back as a value. So nothing needs a lock and
// everything ends with the context. docs/architecture.md has a picture, and says
// which part is in which file.
//
// When it asks (docs/k2hr3.md 0, and the measurements behind the intervals):
//
//   - at once, again and again, where the server holds requests;
//   - when chmpx has learnt of another set of servers from the ring, which it
//     does within seconds, spread by the number of slaves that notice the same
//     thing at the same moment;
//   - at the interval, which is the safety net;
//   - after a failure or a refused text, with growing pauses;
//   - on [AskNow] (SIGHUP, a new token file).
//
// It calls Changed with a [Status] when that changes, and Alive now and then for
// as long as nothing is stuck.
//
// It never removes or empties the file, never puts in place what chmpx would not
// load, and never opens the control port of this host's chmpx.
package watcher
