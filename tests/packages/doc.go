// Package packages gives tests the packages that users install: the agent's deb
// and rpm, built from this tree by packaging/build.
package packages
