// Package daemon probes and steers the running chmpx: what chmpxstatus prints of
// it, whether it has applied a revision of its file, whether its servers are still
// those of the file, who keeps it from noticing a new file, and its systemd unit.
//
// The facts are those of chmpx 1.0.113: chmpxstatus attaches the shared memory
// of the process that has the GROUP and SELFCTLPORT of the file it is given,
// so a small constant probe file replaces the real one (docs/chmpx.md F.7). Once it
// has, the memory is read without chmpxstatus (F.9). A probe touches neither the
// control port nor the real file. systemd, over D-Bus, starts, reloads and restarts the unit; in a
// pod, [Container] ends chmpx by a signal, and the kubelet starts it again.
package daemon
