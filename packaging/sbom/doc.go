// Command sbom writes the bill of materials of a Go program: the modules that
// are linked into it, as CycloneDX 1.6 in JSON.
//
//	sbom -release 1.2.3 -copyright packaging/copyright PROGRAM
//
// What is in the program is taken from the program itself, and under which
// licences that is from a copyright file in Debian's machine-readable format,
// which has to name every module. The same program and SOURCE_DATE_EPOCH give the
// same bytes. It is a command of its own because the modules of the tools that
// exist for this cannot be relied on to be there.
package main
