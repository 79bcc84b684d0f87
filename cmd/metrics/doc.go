// Package metrics counts what the agent does and shows that, together with the status document, to
// Prometheus: by a socket of its own, by one that systemd passes, and by a file for node_exporter's
// textfile collector. Nobody who counts waits for who reads.
package metrics
