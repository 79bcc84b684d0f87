// Package cloudinit writes user data that makes a fresh VM a slave node: it adds
// a signed package repository, writes the agent's configuration and role token,
// installs the agent and chmpx, and starts them. The user data is a cloud-config
// for cloud-init's own modules, or a shell script that does the same. One text
// works on Debian's family (apt) and on Red Hat's (dnf or yum).
//
// The caller decides what goes on a VM: this package knows nothing of options.
// Secrets are only in files, never in the arguments of a command.
//
// Facts about cloud-init 20.4 to 25: write_files comes before apt and yum_repos,
// these before packages, and runcmd last; each family ignores the other's apt or
// yum_repos. A key that write_files writes needs no gpg on the VM, and works with
// all these versions. Nova takes 65535 bytes of user data after base64. A key of
// apt may be armoured if its file name ends in .asc.
package cloudinit
