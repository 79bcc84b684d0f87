package fakek2hr3

import (
	"fmt"
	"strings"
)

// render is the configuration K2HR3 makes of the cluster's template. Template
// statements leave their line break and indentation behind, so the text is full
// of empty and blank lines, as the real one is.
func render(cluster, mode string, p ports, servers, slaves []Host) string {
	var b strings.Builder
	line := func(key string, value any) { fmt.Fprintf(&b, "%-19s = %v\n", key, value) }
	block := func(s string) { b.WriteString(s) }
	pairs := func(kv ...string) {
		for i := 0; i < len(kv); i += 2 {
			line(kv[i], kv[i+1])
		}
	}

	block("#\n# " + cluster + ": configuration of chmpx and k2hdkc,\n# rendered for each reader from the members of the cluster's roles\n#\n\n")
	block("#\n# For every node\n#\n[GLOBAL]\n")
	pairs("FILEVERSION", "1", "DATE", "Mon, 03 Feb 2025 09:00:00  0000", "GROUP", cluster, "MODE", mode,
		"CHMPXIDTYPE", "CUSTOM", "DELIVERMODE", "hash", "MAXCHMPX", "256", "REPLICA", "1",
		"MAXMQSERVER", "8", "MAXMQCLIENT", "128", "MQPERATTACH", "8", "MAXQPERSERVERMQ", "8",
		"MAXQPERCLIENTMQ", "8", "MAXMQPERCLIENT", "16", "MAXHISTLOG", "0")
	block("\n")
	ctlPort := p.slaveCtl
	if mode == "SERVER" {
		line("PORT", p.server)
		ctlPort = p.serverCtl
	}
	line("CTLPORT", ctlPort)
	line("SELFCTLPORT", ctlPort)
	block("\n")
	pairs("SELFCUK", "__SELF_INSTANCE_ID__", "RWTIMEOUT", "10000", "RETRYCNT", "500", "CONTIMEOUT", "1000",
		"MQRWTIMEOUT", "500", "MQRETRYCNT", "10000", "MQACK", "no", "AUTOMERGE", "on", "DOMERGE", "on",
		"MERGETIMEOUT", "0", "SOCKTHREADCNT", "8", "MQTHREADCNT", "8", "MAXSOCKPOOL", "16",
		"SOCKPOOLTIMEOUT", "0", "SSL", "no", "K2HFULLMAP", "on", "K2HMASKBIT", "4", "K2HCMASKBIT", "8", "K2HMAXELE", "16")

	block("\n#\n# Server nodes\n#\n")
	for _, h := range servers {
		block("\n    \n[SVRNODE]\n")
		pairs("NAME", h.Tag, "CUK", h.CUK, "PORT", itoa(p.server), "CTLPORT", itoa(p.serverCtl), "CUSTOM_ID_SEED", h.Tag, "SSL", "no")
		block("    ")
		if h.InboundIP != "" {
			block("\n")
			line("ENDPOINTS", h.InboundIP+":"+itoa(p.server))
			line("CTLENDPOINTS", h.InboundIP+":"+itoa(p.serverCtl))
			line("REVERSE_PEERS", h.InboundIP)
			block("    ")
		}
		block("\n    ")
		if h.OutboundIP != "" {
			block("\n")
			line("FORWARD_PEERS", h.OutboundIP)
			block("    ")
		}
		block("\n")
	}
	block("\n\n#\n# Slave nodes\n#\n\n")
	if len(slaves) == 0 {
		block("# Nobody is here yet, and chmpx refuses a configuration without any slave:\n# this one stands in until the first one registers.\n[SLVNODE]\n")
		pairs("NAME", "127.0.0.1", "CUK", "dummy_cuk", "CTLPORT", itoa(p.slaveCtl), "SSL", "no")
	} else {
		block("    ")
		for _, h := range slaves {
			block("\n        \n[SLVNODE]\n")
			pairs("NAME", h.Tag, "CUK", h.CUK, "CTLPORT", itoa(p.slaveCtl), "CUSTOM_ID_SEED", h.Tag, "SSL", "no")
			block("        ")
			if h.InboundIP != "" {
				block("\n")
				line("CTLENDPOINTS", h.InboundIP+":"+itoa(p.slaveCtl))
				line("REVERSE_PEERS", h.InboundIP)
				block("        ")
			}
			block("\n        ")
			if h.OutboundIP != "" {
				block("\n")
				line("FORWARD_PEERS", h.OutboundIP)
				block("        ")
			}
			block("\n    ")
		}
		block("\n")
	}
	block("\n\n\n")
	if mode == "SERVER" {
		block("#\n# Storage of the servers\n#\n[K2HDKC]\n")
		pairs("K2HTYPE", "file", "K2HFILE", "/var/lib/antpickax/k2hdkc/k2hdkc.k2h", "K2HFULLMAP", "on", "K2HINIT", "no",
			"K2HMASKBIT", "8", "K2HCMASKBIT", "8", "K2HMAXELE", "32", "K2HPAGESIZE", "512", "MAXTHREAD", "20")
		block("\n")
	}
	block("\n#\n# End of " + cluster + "\n#\n")
	return b.String()
}

// brokenTemplate is what the real one would echo of a template it cannot parse.
const brokenTemplate = "{{#!k2hr3template }}\n[GLOBAL]\nGROUP = {{= %cluster-name% }}\n{{ if 1 == }}\nMODE = SLAVE\n"
