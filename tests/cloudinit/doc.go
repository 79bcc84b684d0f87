// Package cloudinit has the end-to-end tests of what an operator does: hand a
// new virtual machine some user data, and see it become a slave node.
//
// A machine with the real cloud-init and systemd is booted with nothing but
// that. What it needs is at the other end of its only cable: K2HR3's stand-in
// and a signed package repository. chmpx is the real one where that is on PATH.
//
// By default the machine is a container, as of package machine:
//
//	K2HDKC_TEST_MACHINE=1 go test -count=1 -timeout 20m -v ./tests/cloudinit
//
// The same tests run in a virtual machine with a kernel of its own. Its
// processor is emulated, so that one takes minutes for what the other does in
// seconds:
//
//	K2HDKC_TEST_VM=1 go test -count=1 -timeout 90m -v ./tests/cloudinit
//
// That needs qemu-system-x86, qemu-utils and e2fsprogs besides the packages of
// .ci/packages.
package cloudinit
