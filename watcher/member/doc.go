// Package member is this host's membership in the slave ROLE: who the host is to K2HR3 (its CUK
// and its tag), whether it is a member, and by which right it reads the RESOURCE.
//
// The facts are those of K2HR3's REST interface as of k2hr3-api 2.0.3 (docs/k2hr3.md 0, B, C).
package member
