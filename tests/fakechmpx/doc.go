// Package fakechmpx stands in for chmpx and its tools where they are not installed.
//
// It has its own loader of chmpx's INI files, written from the measured
// behaviour of chmpx 1.0.113 and from nothing the agent uses, so that the two can be
// held against each other; a model of a running slave ([Slave]); chmpx's way of
// watching its file ([Watch]); and, built by [Build], one program that is chmpx,
// chmpxstatus or chmpxconftest by the name it is called by.
//
// Comments such as "(C.3)" name sections of docs/chmpx.md.
//
// Where the real programs are on PATH (Installed), tests here and of the packages
// that deal with chmpx run them too, each time on a host of its own (package netns),
// and hold the stand-in and the agent against them.
//
// # The programs
//
// chmpx keeps its state in a file of the state directory (see [DefaultStateDir]),
// under the name the real one gives its shared memory; chmpxstatus reads it there
// and prints it as the real one does. The same directory holds what tests tell
// the stand-in:
//
//   - ring.json: the server nodes in the RING, see [StateDir.SetRing]. Without it
//     the RING is empty, and all server nodes of the file are SERVICE OUT and DOWN. A member
//     that refuses the slave leaves it half connected (J).
//   - clients: how many programs have joined, see [StateDir.SetClients].
//
// chmpx listens on its control port and says nothing there: the agent never opens it. Several
// stand-ins on one machine share a port.
//
// # Decisions where the measurements are silent
//
//   - K2HMASKBIT above 28 keeps chmpx from starting.
//   - localhost is this host, even if it has no other address.
//   - A live reload that overruns the tables crashes at once; a start that does
//     crashes at the next change or at the end.
//   - Members of the RING are learnt even if the slave knows no server node that is up.
//   - A suspended member shows [Suspend]. The real one was seen to go on showing
//     [NoSuspend] to a slave for a server node whose k2hdkc had stopped.
//   - The running stand-in tells server nodes apart by their literal names.
//   - YAML and JSON are refused as unknown types.
package fakechmpx
