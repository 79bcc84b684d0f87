package fakek2hr3

import "strings"

// What the pods of the table are known by: a name of podCUKs.
const (
	own       = "{cuk:pod-0}"       // of the pod pod-0
	reborn    = "{cuk:pod-0-new}"   // of the next pod of that name and address
	otherRand = "{cuk:pod-0-rand}"  // as own, but for the random part
	foreign   = "{cuk:foreign}"     // of addresses that are nobody's here
	lacking   = "{cuk:lacking}"     // one member is empty
	sidecar   = "{cuk:pod-1-lines}" // JSON with line ends, as another tool writes it
	second    = "{cuk:pod-1}"       // of the pod pod-1
)

var (
	putPod    = "PUT {R}/slave?extra=k8s-auto-v1&cuk=" + own + "&tag=slvpod-{C}-0"
	readPod   = "GET {S}/slave?role={YR}/slave&cuk="
	leavePod  = "DELETE {R}/slave?extra=k8s-auto-v1&cuk=" + own + "&tag=slvpod-{C}-0"
	membersOf = "GET /v1/role/{C}/slave?expand=false"
	notMember = `ip:port("{addr:pod-0}":0) is not role("{YR}/slave") member.`
	badCUK    = "could not set enable value to {YR}/slave/hosts key"
	servers2  = "10.20.0.42 10.20.0.49 | "
)

// members is the answer to membersOf.
func members(hosts ...string) string {
	return `{"result":true,"message":null,"role":{"policies":[],"aliases":[],"hosts":{"hostnames":[],"ips":[` + strings.Join(hosts, ",") + `]}}}`
}

// member is a pod in such an answer.
func member(cuk string) string {
	return `"{addr:pod-0} * ` + strings.Replace(cuk, "cuk", "key", 1) + ` k8s-auto-v1 slvpod-{C}-0"`
}

const (
	unknownUser = "could not get scoped user token for other token, tenant={T} by could not get user access token by could not get user access token by getUserUnscopedTokenByToken is not implemented"
	wrongTenant = `could not get scoped user token for user=dummyuser, tenant=nosuchtenant by could not get scoped user token for user dummyuser by some parameters are wrong : token="{tok:unscoped}", tenant=null`
)

// podExchanges are those that a pod of the two Kubernetes flavours causes, in the order in which
// they were recorded, on two server pods.
var podExchanges = []row{
	// The init container gets a role token of a user's.
	{rec: "001", req: "POST /v1/user/tokens", from: "pod-0", tok: "U=unscoped", send: `{"auth":{"tenantName":"{T}"}}`, want: 201, kind: "scoped"},
	{rec: "002", req: "GET /v1/role/token/{C}/slave?expire=0", from: "pod-0", tok: "U=scoped", want: 200, saveTok: "shared"},
	{rec: "003", req: "GET /v1/role/token/{C}/slave?expire=0", from: "pod-0", tok: "U=scoped", want: 200, saveTok: "again"},

	// It reads, registers, and reads again.
	{rec: "004", req: getText, from: "pod-0", tok: "R=shared", want: 200, nodes: servers2 + "127.0.0.1", saveTag: "nobody"},
	{rec: "005", req: putPod, from: "pod-0", tok: "R=shared", want: 201},
	{rec: "006", req: getText, from: "pod-0", tok: "R=shared", want: 200, nodes: servers2 + "10.20.0.41", newTag: "nobody", saveTag: "one"},
	{rec: "007", req: getText, from: "pod-0", tok: "R=shared", hdr: "If-None-Match: {tag:one}", want: 304, sameTag: "one"},

	// Without a token a pod is matched strictly.
	{rec: "008", req: readPod + own, from: "pod-0", want: 200, nodes: servers2 + "10.20.0.41", sameTag: "one"},
	{rec: "009", req: "GET {S}/slave?role={YR}/slave", from: "pod-0", want: 404, msg: notMember},
	{rec: "010", req: readPod + otherRand, from: "pod-0", want: 404, msg: notMember},
	{rec: "011", req: readPod + "plain-cuk", from: "pod-0", want: 404, msg: notMember},
	{rec: "012", req: readPod + own, from: "pod-1", want: 404, msg: strings.Replace(notMember, "pod-0", "pod-1", 1)},
	{rec: "013", req: readPod + own, from: "node", want: 404, msg: strings.Replace(notMember, "pod-0", "node", 1)},
	{rec: "014", req: getText, from: "node", tok: "R=shared", want: 200, nodes: servers2 + "10.20.0.41", sameTag: "one"},
	{rec: "015", req: "HEAD {R}/slave?cuk=" + own, from: "pod-0", want: 204},
	{rec: "016", req: "HEAD {R}/slave", from: "pod-0", want: 403},
	{rec: "017", req: "GET /v1/role/token/{YR}/slave?cuk=" + own, from: "pod-0", want: 200, saveTok: "host"},
	{rec: "018", req: "GET /v1/role/token/{YR}/slave", from: "pod-0", want: 404, msg: "Not found ip({addr:pod-0}) with port(0) and cuk(null) in tenant({T}) + role({C}/slave)"},

	// What K2HR3 looks at when a pod registers.
	{rec: "019", req: "PUT {R}/slave?extra=k8s-auto-v1&cuk=" + foreign + "&tag=slvpod-{C}-0", from: "pod-0", tok: "R=shared", want: 400, msg: badCUK},
	{rec: "020", req: "PUT {R}/slave?extra=k8s-auto-v1&cuk=plain-cuk&tag=slvpod-{C}-0", from: "pod-0", tok: "R=shared", want: 400, msg: badCUK},
	{rec: "021", req: "PUT {R}/slave?extra=k8s-auto-v1&tag=slvpod-{C}-0", from: "pod-0", tok: "R=shared", want: 400, msg: badCUK},
	{rec: "022", req: "PUT {R}/slave?extra=k8s-auto-v1&cuk=" + lacking + "&tag=slvpod-{C}-0", from: "pod-0", tok: "R=shared", want: 400, msg: badCUK},
	{rec: "023", req: membersOf, from: "node", tok: "U=scoped", want: 200, body: members(member(own))},
	{rec: "024", req: putPod, from: "pod-0", tok: "R=shared", want: 201},
	{rec: "025", req: getText, from: "pod-0", tok: "R=shared", hdr: "If-None-Match: {tag:one}", want: 304, sameTag: "one"},

	// A pod that did not leave, and the next one of its name and address.
	{rec: "026", req: strings.Replace(putPod, own, reborn, 1), from: "pod-0", tok: "R=shared", want: 201},
	{rec: "027", req: membersOf, from: "node", tok: "U=scoped", want: 200, body: members(member(own), member(reborn))},
	{rec: "028", req: getText, from: "pod-0", tok: "R=shared", want: 200, nodes: servers2 + "10.20.0.41 10.20.0.41"},
	{rec: "029", req: "DELETE {R}/slave", from: "pod-0", want: 403},
	{rec: "030", req: strings.Replace(leavePod, own, otherRand, 1), from: "pod-0", want: 403},
	{rec: "031", req: leavePod, from: "pod-1", want: 403},
	{rec: "032", req: leavePod, from: "node", want: 403},
	{rec: "033", req: leavePod, from: "pod-0", want: 204},
	{rec: "034", req: leavePod, from: "pod-0", want: 403},
	{rec: "035", req: readPod + own, from: "pod-0", want: 404, msg: notMember},
	{rec: "036", req: getText, from: "pod-0", tok: "R=shared", want: 200, nodes: servers2 + "10.20.0.41", newTag: "one"},
	{rec: "037", req: "DELETE /v1/role?cuk=" + reborn, from: "pod-0", want: 400},
	{rec: "038", req: "DELETE /v1/role?cuk=" + reborn, from: "node", want: 204},
	{rec: "039", req: membersOf, from: "node", tok: "U=scoped", want: 200, body: members()},

	// What another tool sends, from behind the node's address and without a tag.
	{rec: "040", req: "PUT {R}/slave?extra=k8s-auto-v1&cuk=" + sidecar, from: "node", tok: "R=shared", want: 201},
	{rec: "041", req: getText, from: "node", tok: "R=shared", want: 200, nodes: servers2 + "10.20.0.49"},
	{rec: "042", req: "DELETE {R}/slave?cuk=" + sidecar, from: "node", want: 204},

	// The wrong extra, and how it is healed.
	{rec: "043", req: "PUT {R}/slave?extra=openstack-auto-v1&cuk=" + second + "&tag=slvpod-{C}-1", from: "pod-1", tok: "R=shared", want: 201},
	{rec: "044", req: readPod + second, from: "pod-1", want: 404, msg: strings.Replace(notMember, "pod-0", "pod-1", 1)},
	{rec: "045", req: "PUT {R}/slave?extra=k8s-auto-v1&cuk=" + second + "&tag=slvpod-{C}-1", from: "pod-1", tok: "R=shared", want: 201},
	{rec: "046", req: readPod + second, from: "pod-1", want: 200, nodes: servers2 + "10.20.0.42"},
	{rec: "047", req: "DELETE {R}/slave?extra=k8s-auto-v1&cuk=" + second + "&tag=slvpod-{C}-1", from: "pod-1", want: 204},

	// Tokens that do not work, and those that do.
	{rec: "048", req: "POST /v1/user/tokens", from: "pod-0", tok: "U=nobodys", send: `{"auth":{"tenantName":"{T}"}}`, want: 404, msg: unknownUser},
	{rec: "049", req: "GET /v1/role/token/nosuchcluster/slave?expire=0", from: "pod-0", tok: "U=scoped", want: 404, msg: `could not get role id(yrn:yahoo:::{T}:role:nosuchcluster/slave/id) value, or it is wrong value("").`},
	{rec: "050", req: "POST /v1/user/tokens", from: "pod-0", tok: "U=unscoped", send: `{"auth":{"tenantName":"nosuchtenant"}}`, want: 404, msg: wrongTenant},
	{rec: "002", req: "GET /v1/role/token/{C}/server?expire=0", from: "pod-0", tok: "U=scoped", want: 200, saveTok: "servers"},
	{rec: "051", req: putPod, from: "pod-0", tok: "R=servers", want: 201},
	{rec: "052", req: "DELETE /v1/role/{C}/slave?host={addr:pod-0}&cuk=" + own, from: "node", tok: "U=scoped", want: 204},
	{rec: "053", req: membersOf, from: "node", tok: "U=scoped", want: 200, body: members()},
}
