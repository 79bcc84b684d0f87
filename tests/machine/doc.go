// Package machine boots a Debian with a real systemd, for tests of what the
// agent does to and with it: a systemd-nspawn container on a throw-away copy of
// a root file system that [Rootfs] makes from Debian's packages, of one release
// or another.
//
// A [Machine] is whole as far as a service can tell: PID 1 is systemd, there is
// a journal, a system bus, cgroups, its own host name and one network interface.
// That interface is a cable to the test and leads nowhere else: there is no
// default route and no resolver. What it lacks is a kernel of its own (no
// modules, and /proc/sys is read-only but for the network) and resource limits
// by cgroup that bite.
//
// A [VM] has a kernel of its own, and is the same for a test otherwise. Its
// processor is emulated: a boot takes a minute, and what it does takes twenty
// times as long.
//
// Everything a machine is made of (mounts, network, processes) lives in
// namespaces of one process, so it all ends with that process, and that ends
// with the test, however the test ends.
//
// The tests that boot machines run only when they are asked for, as root. What
// they need, the packages of .ci/packages, has to be installed then:
//
//	K2HDKC_TEST_MACHINE=1 go test -count=1 -timeout 20m ./tests/machine/... ./tests/service
//
// Virtual machines are booted with K2HDKC_TEST_VM=1 in place of that, and need
// qemu-system-x86, qemu-utils and e2fsprogs, too.
//
// The first run makes the root file system, which takes a minute or two;
// go run ./tests/machine/rootfs does that ahead.
package machine
