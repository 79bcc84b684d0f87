// Package host finds out who this host is: its addresses and names as chmpx sees them ([Look],
// kept by [Local]), and the full name that K2HR3's own init script would give it ([FullName]).
//
// The facts are those of chmpx 1.0.113 (docs/chmpx.md C.3) and of k2hr3-init.sh as of k2hr3-api
// 2.0.3 (docs/k2hr3.md F.1).
package host
