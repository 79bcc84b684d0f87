package fakek2hr3

import (
	"fmt"
	"strings"
)

// render is the configuration K2HR3 makes of the cluster's template. Template
// statements leave their line break and indentation behind, so the text is full
// of empty and blank lines, as the real one is.
func render(cluster, mode string, p ports, servers, slaves []Host) string {
	t := &text{}
	t.block("#\n# " + cluster + ": configuration of chmpx and k2hdkc,\n# rendered for each reader from the members of the cluster's roles\n#\n\n")
	t.block("#\n# For every node\n#\n[GLOBAL]\n")
	t.pairs("FILEVERSION", "1", "DATE", "Mon, 03 Feb 2025 09:00:00  0000", "GROUP", cluster, "MODE", mode,
		"CHMPXIDTYPE", "CUSTOM", "DELIVERMODE", "hash", "MAXCHMPX", "256", "REPLICA", "1",
		"MAXMQSERVER", "8", "MAXMQCLIENT", "128", "MQPERATTACH", "8", "MAXQPERSERVERMQ", "8",
		"MAXQPERCLIENTMQ", "8", "MAXMQPERCLIENT", "16", "MAXHISTLOG", "0")
	t.block("\n")
	t.pairs("CTLPORT", itoa(p.slaveCtl), "SELFCTLPORT", itoa(p.slaveCtl))
	t.block("\n")
	t.pairs("SELFCUK", "__SELF_INSTANCE_ID__", "RWTIMEOUT", "10000", "RETRYCNT", "500", "CONTIMEOUT", "1000",
		"MQRWTIMEOUT", "500", "MQRETRYCNT", "10000", "MQACK", "no", "AUTOMERGE", "on", "DOMERGE", "on",
		"MERGETIMEOUT", "0", "SOCKTHREADCNT", "8", "MQTHREADCNT", "8", "MAXSOCKPOOL", "16",
		"SOCKPOOLTIMEOUT", "0", "SSL", "no", "K2HFULLMAP", "on", "K2HMASKBIT", "4", "K2HCMASKBIT", "8", "K2HMAXELE", "16")
	t.block("\n#\n# Server nodes\n#\n")
	for _, h := range servers {
		t.node("    ", "[SVRNODE]", h, p.serverCtl, p.server)
		t.block("\n")
	}
	t.block("\n\n#\n# Slave nodes\n#\n\n")
	if len(slaves) == 0 {
		t.block("# Nobody is here yet, and chmpx refuses a configuration without any slave:\n# this one stands in until the first one registers.\n[SLVNODE]\n")
		t.pairs("NAME", "127.0.0.1", "CUK", "dummy_cuk", "CTLPORT", itoa(p.slaveCtl), "SSL", "no")
	} else {
		t.block("    ")
		for _, h := range slaves {
			t.node("        ", "[SLVNODE]", h, p.slaveCtl, 0)
			t.block("\n    ")
		}
		t.block("\n")
	}
	t.block("\n\n\n\n#\n# End of " + cluster + "\n#\n")
	return t.String()
}

// text is a configuration in the making.
type text struct{ strings.Builder }

func (t *text) block(s string) { t.WriteString(s) }

func (t *text) pairs(kv ...string) {
	for i := 0; i < len(kv); i += 2 {
		fmt.Fprintf(t, "%-19s = %s\n", kv[i], kv[i+1])
	}
}

// node is a section; indent is what the template's statements leave of it. A slave
// has no port.
func (t *text) node(indent, section string, h Host, ctlPort, port int) {
	t.block("\n" + indent + "\n" + section + "\n")
	t.pairs("NAME", h.Tag, "CUK", h.CUK)
	if port != 0 {
		t.pairs("PORT", itoa(port))
	}
	t.pairs("CTLPORT", itoa(ctlPort), "CUSTOM_ID_SEED", h.Tag, "SSL", "no")
	t.block(indent)
	if h.InboundIP != "" {
		t.block("\n")
		if port != 0 {
			t.pairs("ENDPOINTS", h.InboundIP+":"+itoa(port))
		}
		t.pairs("CTLENDPOINTS", h.InboundIP+":"+itoa(ctlPort), "REVERSE_PEERS", h.InboundIP)
		t.block(indent)
	}
	t.block("\n" + indent)
	if h.OutboundIP != "" {
		t.block("\n")
		t.pairs("FORWARD_PEERS", h.OutboundIP)
		t.block(indent)
	}
}

// brokenTemplate is what the real one would echo of a template it cannot parse.
const brokenTemplate = "{{#!k2hr3template }}\n[GLOBAL]\nGROUP = {{= %cluster-name% }}\n{{ if 1 == }}\nMODE = SLAVE\n"
