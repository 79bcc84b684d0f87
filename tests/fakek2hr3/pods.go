package fakek2hr3

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// What Kubernetes' slaves are to K2HR3.
const (
	k8sExtra        = "k8s-auto-v1"
	PodSlaveCtlPort = 8022
)

// pod is what the key of a pod says of it.
type pod map[string]string

var podMembers = []string{
	"k8s_container_id", "k8s_k2hr3_rand", "k8s_namespace", "k8s_node_ip", "k8s_node_name", "k8s_pod_id", "k8s_pod_ip", "k8s_pod_name", "k8s_service_account",
}

// podOf decodes a key; false: it is not a pod's, or one of the nine members is empty.
func podOf(cuk string) (pod, bool) {
	var p pod
	b, err := base64.StdEncoding.DecodeString(cuk)
	if err != nil || json.Unmarshal(b, &p) != nil {
		return nil, false
	}
	for _, m := range podMembers {
		if p[m] == "" {
			return nil, false
		}
	}
	return p, true
}

// PodCUK makes the key of a pod. rand tells two pods of one name and address apart.
func PodCUK(name, ip, nodeIP, rand string) string {
	b, _ := json.Marshal(pod{
		"k8s_container_id": "c-" + rand, "k8s_k2hr3_rand": rand, "k8s_namespace": "shop", "k8s_node_ip": nodeIP, "k8s_node_name": "node",
		"k8s_pod_id": "p-" + rand, "k8s_pod_ip": ip, "k8s_pod_name": name, "k8s_service_account": "default",
	})
	return base64.StdEncoding.EncodeToString(b)
}

// mayRegister says whether K2HR3 takes a registration of a host of this kind from an address.
func (h Host) mayRegister(source string) bool {
	if h.Extra != k8sExtra {
		return true
	}
	p, ok := podOf(h.CUK)
	return ok && (p["k8s_pod_ip"] == source || p["k8s_node_ip"] == source)
}

// AddPodCluster is AddCluster for a cluster of pods, with TLS: its nodes' NAMEs are addresses, and
// its text has the placeholders of Kubernetes. certs is where each node has its certificates;
// empty: /etc/antpickax.
func (s *Server) AddPodCluster(tenant, cluster, certs string) *Cluster {
	c := s.AddCluster(tenant, cluster)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.pods = cmp.Or(certs, "/etc/antpickax")
	c.ports.slaveCtl = PodSlaveCtlPort
	for _, kv := range []keyValue{
		{"chmpx-server-port", itoa(ServerPort)}, {"chmpx-server-ctlport", itoa(ServerCtlPort)}, {"chmpx-slave-ctlport", itoa(PodSlaveCtlPort)},
	} {
		for i, old := range s.resources[c.resourceYRN("")].keys {
			if old.name == kv.name {
				s.resources[c.resourceYRN("")].keys[i] = kv // numbers here, texts with Trove
			}
		}
	}
	return c
}

// UnscopedToken returns a new token of a user, which K2HR3 exchanges for one of the tenant.
func (s *Server) UnscopedToken(tenant string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := randomHex(32)
	s.unscoped[v] = tenant
	return v
}

// ExpireUsers ends all tokens of users.
func (s *Server) ExpireUsers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.unscoped)
	clear(s.users)
}

// postUserToken is POST /v1/user/tokens: an unscoped token for one of a tenant.
func (s *Server) postUserToken(ex *exchange, active *requestFaults) answer {
	var body struct {
		Auth struct {
			TenantName string `json:"tenantName"`
		} `json:"auth"`
	}
	if json.Unmarshal(ex.body, &body) != nil || body.Auth.TenantName == "" {
		return fail(http.StatusBadRequest, "POST body does not have auth.tenantName")
	}
	tenant, wanted := s.unscoped[ex.token], body.Auth.TenantName
	switch {
	case tenant == "" || ex.asRole || active.has(BackendDown):
		return fail(http.StatusNotFound, "could not get scoped user token for other token, tenant=%s by could not get user access token by could not get user access token by getUserUnscopedTokenByToken is not implemented", wanted)
	case tenant != wanted:
		return fail(http.StatusNotFound, "could not get scoped user token for user=dummyuser, tenant=%s by could not get scoped user token for user dummyuser by some parameters are wrong : token=%s, tenant=null", wanted, quote(ex.token))
	}
	v := randomHex(32)
	s.users[v] = tenant
	return jsonAnswer(http.StatusCreated, `{"result":true,"message":"succeed","scoped":true,"token":`+quote(v)+`}`)
}

// listRole is GET /v1/role/<role>?expand=false by a user: what the role itself has.
func (s *Server) listRole(n name) answer {
	var ips []string
	for _, h := range s.roles[n.yrn("role")].members() {
		text := h.key()
		for _, more := range []string{h.Extra, h.Tag} {
			if more != "" {
				text += " " + more
			}
		}
		ips = append(ips, quote(text))
	}
	return jsonAnswer(http.StatusOK, fmt.Sprintf(`{"result":true,"message":null,"role":{"policies":[],"aliases":[],"hosts":{"hostnames":[],"ips":[%s]}}}`, strings.Join(ips, ",")))
}

// leaveAll is DELETE /v1/role?cuk= without a token: the pod leaves all roles, from its node's
// address alone.
func (s *Server) leaveAll(ex *exchange) answer {
	cuk := ex.query.cuk()
	p, ok := podOf(cuk)
	if !ok || ex.hasToken() || p["k8s_node_ip"] != ex.source {
		return bare(http.StatusBadRequest)
	}
	for _, r := range s.roles {
		for _, e := range r.hosts {
			if e.CUK == cuk {
				r.drop(e)
			}
		}
	}
	s.notify()
	return noContent()
}

// renderPods is the configuration of a cluster of pods: the statements of the chart's template, in
// a wording of our own.
func renderPods(cluster, mode, certs string, p ports, servers, slaves []Host) string {
	t := &text{}
	t.block("#\n# " + cluster + ": pods that speak TLS to each other\n#\n\n[GLOBAL]\n")
	t.pairs("FILEVERSION", "1", "DATE", "%%FILE_DOWNLOAD_DATE%%", "GROUP", cluster, "MODE", mode,
		"CHMPXIDTYPE", "CUSTOM", "DELIVERMODE", "hash", "MAXCHMPX", "256", "REPLICA", "1",
		"MAXMQSERVER", "8", "MAXMQCLIENT", "128", "MQPERATTACH", "8", "MAXQPERSERVERMQ", "8",
		"MAXQPERCLIENTMQ", "8", "MAXMQPERCLIENT", "16", "MAXHISTLOG", "0")
	ctlPort := p.slaveCtl
	if mode == "SERVER" {
		ctlPort = p.serverCtl
	}
	t.block("\n")
	t.pairs("CTLPORT", itoa(ctlPort), "SELFCTLPORT", itoa(ctlPort))
	t.block("\n")
	t.pairs("SELFCUK", "%%SELF_CONTAINER_CUK%%", "RWTIMEOUT", "10000", "RETRYCNT", "500", "CONTIMEOUT", "10000",
		"MQRWTIMEOUT", "500", "MQRETRYCNT", "10000", "MQACK", "no", "AUTOMERGE", "on", "DOMERGE", "on",
		"MERGETIMEOUT", "0", "SOCKTHREADCNT", "8", "MQTHREADCNT", "8", "MAXSOCKPOOL", "16",
		"SOCKPOOLTIMEOUT", "0", "SSL", "no", "K2HFULLMAP", "on", "K2HMASKBIT", "4", "K2HCMASKBIT", "8", "K2HMAXELE", "16",
		"SSL", "on", "SSL_VERIFY_PEER", "on", "CAPATH", certs+"/ca.crt", "SERVER_CERT", certs+"/server.crt", "SERVER_PRIKEY", certs+"/server.key",
		"SLAVE_CERT", certs+"/client.crt", "SLAVE_PRIKEY", certs+"/client.key")
	t.block("\n# servers\n\n")
	for _, h := range servers {
		t.podNode("    ", "[SVRNODE]", h, p.serverCtl, p.server)
		t.block("\n")
	}
	t.block("\n# slaves\n\n")
	if len(slaves) == 0 {
		t.block("# until the first one registers\n[SLVNODE]\n")
		t.pairs("NAME", "127.0.0.1", "CUK", "dummy_cuk", "CTLPORT", itoa(p.slaveCtl), "CUSTOM_ID_SEED", "dummy_host")
	} else {
		t.block("    \n")
		for _, h := range slaves {
			t.podNode("        ", "[SLVNODE]", h, p.slaveCtl, 0)
			t.block("    \n")
		}
	}
	t.block("\n\n\n")
	return t.String()
}

// podNode is a section of a pod, whose NAME is the address that K2HR3 has seen.
func (t *text) podNode(indent, section string, h Host, ctlPort, port int) {
	t.block(indent + "\n" + section + "\n")
	t.pairs("NAME", h.Addr, "CUK", h.CUK)
	if port != 0 {
		t.pairs("PORT", itoa(port))
	}
	t.pairs("CTLPORT", itoa(ctlPort), "CUSTOM_ID_SEED", h.Tag)
}
