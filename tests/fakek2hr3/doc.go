// Package fakek2hr3 is a stand-in for K2HR3's REST interface, for tests of the
// agent: an http.Handler that gives the same status, headers and body shape as
// k2hr3-api 2.0.3 for every exchange a slave VM or pod can cause, held to recordings
// of the real program (see the tables in the tests).
//
// It can do two things the real one cannot: hold a request until something
// changes (Server.Hold), and fail on demand (Server.Fault).
//
// A Server is only a handler. It is served over TCP by NewHTTPServer, which
// closes idle connections after five seconds as the real one does, or without
// any socket by an InMemory network, which also works inside a testing/synctest
// bubble.
//
// Known differences from the real program: a path with a malformed percent
// escape ("%zz") is answered by Go's own HTTP server (400) before the handler
// sees it, unless it comes as a well-formed escape of bytes that are not UTF-8
// (500, as recorded); HTTP/1.0 and CORS headers, the clean-up watcher and most of
// what an administrator does (POST, and GET of roles and whole resources) are not
// modelled, the Cluster's methods do their work.
package fakek2hr3
