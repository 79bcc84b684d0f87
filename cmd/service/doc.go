// Package service is what the service manager, systemd, and the agent tell each other: how the
// agent is ([Manager]), what it logs (journal fields), and what its unit keeps it from ([Folders],
// [Hint]). Where systemd has not started the agent, all of it does nothing.
//
// The unit itself is packaging/k2hdkc-slave-agent.service.
package service
