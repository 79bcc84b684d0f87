// Command sbom completes the bill of materials that cyclonedx-gomod makes of a
// Go program, in CycloneDX's JSON on standard input and output:
//
//	cyclonedx-gomod bin -json -std -noserial -version 1.2.3 PROGRAM |
//		sbom -copyright packaging/copyright
//
// It adds under which licence each module is, from a copyright file in Debian's
// machine-readable format, which has to name every module; and it takes out the
// time and what depends on how cyclonedx-gomod itself was built, so that the same
// program has the same bill, byte for byte.
package main
