// Package member is this host's standing with K2HR3: who it is there (its CUK
// and its tag), whether it is in the slave ROLE, and by which right it reads
// the RESOURCE.
//
// Facts: K2HR3's REST interface as of k2hr3-api 2.0.3 (spec k2hr3 0, B, C), and
// for the tag what its own init script does (spec k2hr3 F.1).
package member
