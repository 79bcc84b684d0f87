package chmpx

import (
	"context"
	"strings"
	"testing"
)

func TestLiveReload(t *testing.T) {
	before := mustLoad(t, cluster)
	const server3 = "[SVRNODE]\nNAME = 10.20.0.13\nCUK = cuk-13\nCUSTOM_ID_SEED = db-3\n"
	const tls = "SSL = on\nSERVER_CERT = /etc/orders/cert.pem\nSERVER_PRIKEY = /etc/orders/key.pem\nPORT = 8020"
	for _, c := range []struct {
		name     string
		running  Running
		old, new string
		want     Verdict
		rule     string
	}{
		{"nothing known", Running{}, "", "", Accept, ""},
		{"nothing changed", Running{Config: before}, "", "", Accept, ""},
		{"a server more, with room", Running{MaxChmpx: 8, FreeSlots: 1, Config: before}, "", server3, Accept, ""},
		{"a server more, without room", Running{MaxChmpx: 8, FreeSlots: 0, Config: before}, "", server3, Dangerous, RuleLiveTables},
		{"known servers need no room", Running{MaxChmpx: 3, FreeSlots: 0, Config: before}, "", "", Accept, RuleLiveTables},
		{"servers as the process has them", Running{MaxChmpx: 4, FreeSlots: 1, Servers: []RunningServer{{8021, "cuk-11", "db-1"}}}, "", server3, Dangerous, RuleLiveTables},
		{"a server more than the start-up MAXCHMPX", Running{Config: withMax(t, 3)}, "", server3, Dangerous, RuleLiveTables},
		{"another GROUP", Running{Group: "orders"}, "GROUP = orders", "GROUP = bills", Dangerous, RuleLiveGroup},
		{"another GROUP than before", Running{Config: before}, "GROUP = orders", "GROUP = bills", Dangerous, RuleLiveGroup},
		{"another identity type", Running{Config: before}, "CHMPXIDTYPE = CUSTOM", "CHMPXIDTYPE = NAME", Dangerous, RuleLiveIDType},
		{"TLS switched on", Running{SSLKnown: true}, "PORT = 8020", tls, Dangerous, RuleLiveTLS},
		{"TLS switched on since", Running{Config: before}, "PORT = 8020", tls, Dangerous, RuleLiveTLS},
		{"TLS on as before", Running{SSL: true, SSLKnown: true}, "PORT = 8020", tls, Accept, ""},
		{"TLS on, and before not known", Running{}, "PORT = 8020", tls, Accept, ""},
		{"MAXMQCLIENT raised", Running{Config: before}, "PORT = 8020", "PORT = 8020\nMAXMQCLIENT = 8193", Dangerous, RuleLiveTables},
		{"MAXMQCLIENT lowered", Running{Config: before}, "PORT = 8020", "PORT = 8020\nMAXMQCLIENT = 256", Accept, ""},
		{"MAXMQSERVER raised", Running{Config: before}, "PORT = 8020", "PORT = 8020\nMAXMQSERVER = 8", Dangerous, RuleLiveTables},
		{"MAXCHMPX raised is a note", Running{Config: before}, "PORT = 8020", "PORT = 8020\nMAXCHMPX = 2048", Accept, RuleLiveTables},
		{"another own control port", Running{Config: mustLoad(t, strings.Replace(cluster, "SELFCTLPORT = 8031", "SELFCTLPORT = 8030", 1))}, "", "", Dangerous, RuleLivePort},
		{"another DELIVERMODE", Running{Config: before}, "DELIVERMODE = hash", "DELIVERMODE = random", Dangerous, RuleLiveMode},
		{"a timeout is fine", Running{Config: before}, "RWTIMEOUT = 10000", "RWTIMEOUT = 1", Accept, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := cluster + c.new
			if c.old != "" {
				text = strings.Replace(cluster, c.old, c.new, 1)
			}
			if fresh := Judge(context.Background(), []byte(text), shop(), nil); fresh.Verdict != Accept {
				t.Fatalf("fresh: %v %v", fresh.Verdict, fresh.Findings)
			}
			r := Judge(context.Background(), []byte(text), shop(), &c.running)
			if r.Verdict != c.want || c.rule != "" && c.want != Accept && !r.Has(c.rule) {
				t.Errorf("verdict %v, want %v by %s; findings %v", r.Verdict, c.want, c.rule, r.Findings)
			}
		})
	}
}

// withMax is the configuration of a process started with that MAXCHMPX.
func withMax(t *testing.T, n int) *Config {
	c := *mustLoad(t, cluster)
	c.MaxChmpx = n
	return &c
}
