// Package cloudinit writes user data that makes a fresh VM a slave node: it adds
// a signed package repository, writes the agent's configuration and role token,
// installs the agent and chmpx, and starts them. It comes as a cloud-config for
// cloud-init's own modules, or as a shell script that does the same. One text
// serves Debian's family (apt) and Red Hat's (dnf or yum).
//
// What goes on a VM is decided before: this package knows nothing of options.
// Secrets are in files only, never in the arguments of a command.
//
// Facts: cloud-init 20.4 to 25: write_files comes before apt and yum_repos, these
// before packages, and runcmd last; apt and yum_repos are each ignored on the
// other family. A key that write_files has put in place needs no gpg on the VM,
// and is known to all these versions. Nova takes 65535 bytes of user data after
// base64. Keys of apt may be armoured if their name ends in .asc.
package cloudinit
