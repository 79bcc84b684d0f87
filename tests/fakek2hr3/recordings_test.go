package fakek2hr3

// row is one line of the conformance table: one request and what K2HR3 answers. The
// rows are in the order in which they were recorded against k2hr3-api 2.0.3;
// each builds on the state the ones before it left.
type row struct {
	rec  string // the recording's number, or the section of the spec it comes from
	req  string // method, space, path with query; see expand for the placeholders
	from string // a name of hosts; empty: app-1
	tok  string // R=name, U=name or a bare name, of a saved token or literally
	hdr  string // further headers, one a line
	send string // the body of a POST; see expand
	want int    // status; 0: no request, do admin

	// What the body is. With none of these: {"result":true,"message":null} for
	// 201, the same refusal of everything unexpected for what is marked
	// unexpected, nothing for HEAD, DELETE, 204 and 304.
	msg        string // of a refusal
	nodes      string // NAMEs of the SVRNODE sections | those of the SLVNODE sections
	value      string // the JSON of "resource"
	body       string // all of it
	saveTok    string // a token and registerpath, the token to be known by this name
	unexpected bool
	kind       string // of body and headers: multipart N, script, gzip FILE, scoped

	saveTag string // remember the ETag by this name
	sameTag string // the ETag is the one remembered so
	newTag  string // the ETag is not the one remembered so

	admin string // something no slave can do; a name of the world's actions
}

const noSuchToken = "is not existed, because it is expired or not set yet."

var (
	putApp1 = "PUT {R}/slave?cuk=i-app-1&extra=openstack-auto-v1&tag=app-1.shop.example"
	putApp2 = "PUT {R}/slave?cuk=i-app-2&extra=openstack-auto-v1&tag=app-2.shop.example"
	getText = "GET {S}/slave"
	byAddr  = "GET {S}/slave?cuk=i-app-1&role={YR}/slave"
	all     = "srv-1 srv-2 srv-3 | app-1"
)

func putSrv(n string) string {
	return "PUT {R}/server?cuk=i-srv-" + n + "&extra=openstack-auto-v1&tag=srv-" + n + ".shop.example"
}

var exchanges = []row{
	// The API itself.
	{rec: "001", req: "GET /", from: "user", want: 200, body: `{"version":["v1"]}`},
	{rec: "002", req: "GET /v1/version", from: "user", want: 404, unexpected: true},
	{rec: "004", req: "GET /v1/nosuch", from: "user", want: 404, unexpected: true},

	// A user looks at the fresh cluster and makes tokens.
	{rec: "020", req: "GET /v1/role/token/{C}/slave", from: "user", tok: "U=user", want: 200, saveTok: "day"},
	{rec: "021", req: "GET /v1/role/token/{YR}/slave?expire=0", from: "user", tok: "U=user", want: 200, saveTok: "shared"},
	{rec: "022", req: "GET /v1/role/token/{C}/slave?expire=3", from: "user", tok: "U=user", want: 200, saveTok: "short"},
	{rec: "023", req: "GET /v1/role/token/{C}/slave?expire=abc", from: "user", tok: "U=user", want: 200, saveTok: "abc"},
	{rec: "024", req: "GET /v1/role/token/{C}/slave?expire=-5", from: "user", tok: "U=user", want: 200, saveTok: "stillborn"},
	{rec: "B.3", req: getText, tok: "R=stillborn", want: 401, msg: "token({tok:stillborn}) " + noSuchToken},
	{rec: "025", req: "GET /v1/role/token/{C}/server?expire=0", from: "user", tok: "U=user", want: 200, saveTok: "servers"},
	{rec: "027", req: "GET /v1/role/token/nosuch/slave?expire=0", from: "user", tok: "U=user", want: 404, msg: `could not get role id(yrn:yahoo:::{T}:role:nosuch/slave/id) value, or it is wrong value("").`},

	// The first slave.
	{rec: "028", req: getText, tok: "R=shared", hdr: "Content-Type: application/json", want: 200, nodes: "| 127.0.0.1", saveTag: "nobody"},
	{rec: "029", req: putApp1, tok: "R=shared", want: 201},
	{rec: "030", req: getText, tok: "R=shared", want: 200, nodes: "| app-1", newTag: "nobody", saveTag: "alone"},
	{rec: "031", req: getText, tok: "R=shared", want: 200, nodes: "| app-1", sameTag: "alone"},
	{rec: "032", req: getText, tok: "R=shared", hdr: "If-None-Match: {tag:alone}", want: 304, sameTag: "alone"},
	{rec: "033", req: getText, tok: "R=shared", hdr: "If-None-Match: {strong:alone}", want: 304, sameTag: "alone"},
	{rec: "034", req: getText, tok: "R=shared", hdr: "If-None-Match: {tag:alone}\nCache-Control: no-cache", want: 200, nodes: "| app-1", sameTag: "alone"},
	{rec: "035", req: getText, tok: "R=shared", hdr: "If-None-Match: *", want: 304, sameTag: "alone"},
	{rec: "036", req: getText, tok: "R=shared", hdr: `If-None-Match: W/"827-wrong"`, want: 200, nodes: "| app-1", sameTag: "alone"},
	{rec: "037", req: "GET {S}/slave?type=string", tok: "R=shared", want: 200, nodes: "| app-1", sameTag: "alone"},
	{rec: "D.1", req: "GET {S}/slave?type=STRING", tok: "R=shared", want: 200, nodes: "| app-1", sameTag: "alone"},
	{rec: "039", req: "GET {S}/slave?type=foo", tok: "R=shared", want: 400, msg: "GET request type(foo) parameter is wrong."},
	{rec: "040", req: "GET {S}/slave?type=keys&keyname=cluster-name", tok: "R=shared", want: 200, value: `"{C}"`},
	{rec: "041", req: "GET {S}/slave?type=keys&keyname=chmpx-slave-ctlport", tok: "R=shared", want: 200, value: `"8031"`},
	{rec: "042", req: "GET {S}/slave?type=keys&keyname=k2hr3-init-packages", tok: "R=shared", want: 200, value: `""`},
	{rec: "043", req: "GET {S}/slave?type=keys&keyname=k2hdkc-dbaas-add-user", tok: "R=shared", want: 200, value: `1`},
	{rec: "044", req: "GET {S}/slave?type=keys&keyname=nosuchkey", tok: "R=shared", want: 404, msg: "resource({YS}/slave) by role({C}/slave) in tenant({T}) does not have value for type(keys[nosuchkey]) data."},
	{rec: "D.1", req: "GET {S}/slave?type=keys&keyname=Cluster-Name", tok: "R=shared", want: 404, msg: "resource({YS}/slave) by role({C}/slave) in tenant({T}) does not have value for type(keys[Cluster-Name]) data."},
	{rec: "D.1", req: "GET {S}/slave?type=keys&keyname={YS}/slave/keys/chmpx-mode", tok: "R=shared", want: 200, value: `"SLAVE"`},
	{rec: "045", req: "GET {S}/slave?type=keys", tok: "R=shared", want: 400, msg: "GET request type=keys, but keyname(undefined) parameter is empty."},
	{rec: "046", req: "GET /v1/resource/{C}/slave", tok: "R=shared", want: 200, nodes: "| app-1", sameTag: "alone"},

	// Servers come, register again, go, and change.
	{rec: "047", req: putSrv("2"), from: "srv-2", tok: "R=servers", want: 201},
	{rec: "048", req: getText, tok: "R=shared", want: 200, nodes: "srv-2 | app-1", newTag: "alone", saveTag: "with-2"},
	{rec: "049", req: getText, tok: "R=shared", hdr: "If-None-Match: {tag:alone}", want: 200, nodes: "srv-2 | app-1", sameTag: "with-2"},
	{rec: "050", req: putSrv("1"), from: "srv-1", tok: "R=servers", want: 201},
	{rec: "051", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-2 | app-1", newTag: "with-2", saveTag: "with-12"},
	{rec: "052", req: putSrv("3"), from: "srv-3", tok: "R=servers", want: 201},
	{rec: "053", req: getText, tok: "R=shared", want: 200, nodes: all, newTag: "with-12", saveTag: "with-123"},
	{rec: "054", req: getText, tok: "R=shared", want: 200, nodes: all, sameTag: "with-123"},
	{rec: "055", req: putSrv("1"), from: "srv-1", tok: "R=servers", want: 201},
	{rec: "056", req: getText, tok: "R=shared", want: 200, nodes: all, sameTag: "with-123"},
	{rec: "057", req: getText, tok: "R=shared", hdr: "If-None-Match: {tag:with-123}", want: 304, sameTag: "with-123"},
	{rec: "060", req: "DELETE {R}/server?cuk=i-srv-2&extra=openstack-auto-v1&tag=srv-2.shop.example", from: "srv-2", want: 204},
	{rec: "061", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-3 | app-1", newTag: "with-123"},
	{rec: "062", req: putSrv("2"), from: "srv-2", tok: "R=servers", want: 201},
	{rec: "063", req: getText, tok: "R=shared", want: 200, nodes: all, sameTag: "with-123"},
	{rec: "064", req: "PUT {R}/server?cuk=i-srv-3&extra=openstack-auto-v1&tag=renamed.shop.example", from: "srv-3", tok: "R=servers", want: 201},
	{rec: "065", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-2 renamed | app-1", newTag: "with-123"},
	{rec: "066", req: "PUT {R}/server?cuk=i-srv-3b&extra=openstack-auto-v1&tag=srv-3.shop.example", from: "srv-3", tok: "R=servers", want: 201},
	{rec: "067", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-2 renamed srv-3 | app-1"},
	{rec: "060", req: "DELETE {R}/server?cuk=i-srv-3", from: "srv-3", want: 204},
	{rec: "069", req: "PUT {R}/server?cuk=zzz&extra=openstack-auto-v1&tag=nine", from: "nine", tok: "R=servers", want: 201},
	{rec: "070", req: "PUT {R}/server?cuk=aaa&extra=openstack-auto-v1&tag=hundred", from: "hundred", tok: "R=servers", want: 201},
	{rec: "072", req: getText, tok: "R=shared", want: 200, nodes: "hundred srv-1 srv-2 srv-3 nine | app-1"},
	{rec: "073", req: "DELETE {R}/server?cuk=zzz", from: "nine", want: 204},
	{rec: "074", req: "DELETE {R}/server?cuk=aaa", from: "hundred", want: 204},

	// Reading without a token.
	{rec: "075", req: byAddr, want: 200, nodes: all, saveTag: "full"},
	{rec: "076", req: "GET {S}/slave?cuk=i-app-1&role=yrn%3Ayahoo%3A%3A%3A{T}%3Arole%3A{C}%2Fslave", want: 200, nodes: all, sameTag: "full"},
	{rec: "077", req: byAddr, hdr: "If-None-Match: {tag:full}", want: 304, sameTag: "full"},
	{rec: "078", req: byAddr + "&type=keys&keyname=cluster-name", want: 200, value: `"{C}"`},
	{rec: "079", req: "GET {S}/slave?role={YR}/slave", want: 200, nodes: all, sameTag: "full"},
	{rec: "080", req: "GET {S}/slave?cuk=wrong&role={YR}/slave", want: 404, msg: `ip:port("{addr:app-1}":0) is not role("{YR}/slave") member.`},
	{rec: "A.3", req: "GET {S}/slave?cuk=wrong&cuk=twice&role={YR}/slave", want: 200, nodes: all, sameTag: "full"},
	{rec: "081", req: byAddr, from: "stranger", want: 404, msg: `ip:port("{addr:stranger}":0) is not role("{YR}/slave") member.`},
	{rec: "082", req: "GET {S}/slave?cuk=i-app-1", want: 400, msg: "GET request does not have role yrn in post data."},
	{rec: "083", req: "GET {S}/slave?cuk=i-app-1&role={C}/slave", want: 404, msg: `role yrn("{C}/slave") is not full yrn, or wrong role yrn.`},
	{rec: "084", req: "GET /v1/resource/{C}/slave?cuk=i-app-1&role={YR}/slave", want: 400, msg: "Request query does not have yrn full path to resource"},
	{rec: "085", req: byAddr, tok: "R=shared", want: 400, msg: `GET resource:port/cuk/role field is specified, but it is not allowed by no token : port=undefined, cuk="i-app-1", role="{YR}/slave"`},
	{rec: "A.2", req: "GET {S}/slave?cuk=i-app-1&role=yrn:yahoo:::{T}:role:{C}/SLAVE", want: 404, msg: `ip:port("{addr:app-1}":0) is not role("yrn:yahoo:::{T}:role:{C}/SLAVE") member.`},
	{rec: "A.2", req: "GET {S}/slave?cuk=I-APP-1&role={YR}/slave", want: 404, msg: `ip:port("{addr:app-1}":0) is not role("{YR}/slave") member.`},

	// What a role token opens.
	{rec: "086", req: getText, from: "stranger", tok: "R=shared", want: 200, nodes: all, sameTag: "full"},
	{rec: "087", req: "GET {S}/server", tok: "R=shared", want: 200, nodes: all, newTag: "full"},
	{rec: "088", req: "GET {S}", tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource({YS})."},
	{rec: "093", req: "HEAD {R}/slave?cuk=i-app-1", want: 204},
	{rec: "C.6", req: "HEAD {R}?cuk=i-app-1", want: 204},
	{rec: "C.6", req: "HEAD {R}/slave?cuk=wrong", want: 403},
	{rec: "094", req: "HEAD {R}/slave?cuk=i-app-1", from: "stranger", want: 403},
	{rec: "095", req: "HEAD {R}/slave", tok: "R=shared", want: 204},
	{rec: "C.6", req: "HEAD {R}/nosuch", tok: "R=shared", want: 204},
	{rec: "C.6", req: "HEAD /v1/role/{C}/slave?cuk=i-app-1", want: 400},

	// Tokens that are no good.
	{admin: "4s pass"},
	{rec: "096", req: getText, tok: "R=short", want: 401, msg: "token({tok:short}) " + noSuchToken},
	{rec: "097", req: getText, tok: "R=short", want: 401, msg: "token({tok:short}) " + noSuchToken},
	{rec: "098", req: getText, tok: "R=0000000000000000000000000000000000000000000000000000000000000000", want: 401, msg: "token(0000000000000000000000000000000000000000000000000000000000000000) " + noSuchToken},
	{rec: "099", req: getText, tok: "R=garbage!!", want: 401, msg: "token(garbage!!) " + noSuchToken},
	{rec: "100", req: getText, tok: "shared", want: 401, msg: "token({tok:shared}) " + noSuchToken},
	{rec: "101", req: getText, hdr: "X-Auth-Token:", want: 400, msg: "GET request does not have role yrn in post data."},
	{rec: "B.1", req: getText, hdr: "X-Auth-Token: R=", want: 401, msg: "token() " + noSuchToken},
	{rec: "B.1", req: getText, hdr: "X-Auth-Token: r={tok:shared}", want: 401, msg: "token(r={tok:shared}) " + noSuchToken},
	{rec: "102", req: getText, tok: "U=shared", want: 401, msg: "token({tok:shared}) " + noSuchToken},

	// Names that are wrong in some way.
	{rec: "103", req: "GET {S}/nosuch", tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource({YS}/nosuch)."},
	{rec: "104", req: "GET {S}/slave?cuk=i-app-1&role=yrn:yahoo:::{T}:role:nosuch/slave", want: 404, msg: `ip:port("{addr:app-1}":0) is not role("yrn:yahoo:::{T}:role:nosuch/slave") member.`},
	{rec: "105", req: "GET /v1/resource/yrn:yahoo:::{T}:{C}", tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource(yrn:yahoo:::{T}:resource:yrn:yahoo:::{T}:{C})."},
	{rec: "106", req: "GET /v1/resource/yrn:yahoo::{T}:resource:{C}/slave", tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource(yrn:yahoo:::{T}:resource:yrn:yahoo::{T}:resource:{C}/slave)."},
	{rec: "107", req: "GET /v1/resource/yrn:yahoo:::elsewhere:resource:{C}/slave", tok: "R=shared", want: 400, msg: "Request query has wrong yrn full path(tenant=elsewhere) to resource(tenant={T})"},
	{rec: "108", req: "GET /v1/resource/{YR}/slave", tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource(yrn:yahoo:::{T}:resource:{YR}/slave)."},
	{rec: "109", req: "GET /v1/resource/yrn%3Ayahoo%3A%3A%3A{T}%3Aresource%3A{C}%2Fslave", tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource(yrn:yahoo:::{T}:resource:yrn%3ayahoo%3a%3a%3a{T}%3aresource%3a{C}%2fslave)."},
	{rec: "110", req: "GET /v1/resource/%ff", tok: "R=shared", want: 500, unexpected: true}, // recorded with %zz, which Go's client and server refuse
	{rec: "111", req: "GET /v1/resource", tok: "R=shared", want: 400, msg: "Default resource name is not specified or wrong value : null"},
	{rec: "112", req: "GET /v1/resource/YRN:YAHOO:::{upper:T}:RESOURCE:{upper:C}/SLAVE", tok: "R=shared", want: 200, nodes: all, sameTag: "full"},
	{rec: "113", req: "GET {S}/slave/", tok: "R=shared", want: 200, nodes: all, sameTag: "full"},
	{rec: "A.3", req: "GET {S}/s%6cave", tok: "R=shared", want: 200, nodes: all, sameTag: "full"},
	{rec: "114", req: getText, want: 400, msg: "GET request does not have role yrn in post data."},
	{rec: "D.1", req: "GET {S}/slave?service=other", tok: "R=shared", want: 400, msg: "Request query has service name(other) and path has service name(), but both are not same service name."},
	{rec: "B.4", req: "GET {R}/slave", tok: "R=shared", want: 400, msg: "GET request without UserToken for getting role({YR}/slave), need User Token."},

	// Registrations, good, odd and refused.
	{rec: "119", req: putApp1, tok: "R=bad", want: 401, msg: "token(bad) " + noSuchToken},
	{rec: "120", req: putApp1, want: 400, msg: "There is no x-auth-token header"},
	{rec: "121", req: "PUT {R}/server?cuk=i-app-1&extra=openstack-auto-v1&tag=app-1.shop.example", tok: "R=shared", want: 201},
	{rec: "122", req: "PUT /v1/role/yrn:yahoo:::{T}:role:nosuch/slave?cuk=c&extra=openstack-auto-v1&tag=t", tok: "R=shared", want: 201},
	{rec: "123", req: "PUT /v1/role/yrn:yahoo:::{T}:{C}/slave?cuk=c&extra=openstack-auto-v1&tag=t", tok: "R=shared", want: 201},
	{rec: "124", req: "PUT /v1/role/yrn:yahoo:::elsewhere:role:{C}/slave?cuk=c&extra=openstack-auto-v1&tag=t", tok: "R=shared", want: 400, msg: "role(yrn:yahoo:::elsewhere:role:{C}/slave) yrn has service() and tenant(elsewhere), but it is not specified service(null) and tenant({T})"},
	{rec: "C.1", req: "PUT {R}/slave?cuk=i-app-1&extra=123&tag=t", tok: "R=shared", want: 400, msg: `PUT request has extra which is not string: "123"`},
	{rec: "C.1", req: "PUT {R}/slave?cuk=i-app-1&extra=openstack-auto-v1&tag=12345", tok: "R=shared", want: 500, unexpected: true},
	{rec: "C.1", req: "PUT {R}/slave?cuk=i-app-1&extra=openstack-auto-v1&tag=true", tok: "R=shared", want: 500, unexpected: true},
	{rec: "C.1", req: "PUT {R}/slave?cuk=i-app-1&extra=openstack-auto-v1&tag=t&inboundip=foo", tok: "R=shared", want: 400, msg: `PUT request has inbound ip address which is not ignore ip address string: "foo"`},
	{rec: "C.1", req: "PUT {R}/slave?cuk=i-app-1&extra=openstack-auto-v1&tag=t&outboundip=010.1.1.1", tok: "R=shared", want: 400, msg: `PUT request has outbound ip address which is not ignore ip address string: "010.1.1.1"`},
	{rec: "125", req: "PUT {R}/slave?extra=openstack-auto-v1&tag=nocuk.shop.example", from: "nocuk", tok: "R=shared", want: 201},
	{rec: "126", req: "PUT {R}/slave?cuk=c32&extra=something&tag=t32", from: "oddextra", tok: "R=shared", want: 201},
	{rec: "127", req: "PUT {R}/slave?cuk=c33&port=8031&extra=openstack-auto-v1&tag=t33&inboundip=10.1.1.33&outboundip=10.2.2.33", from: "inout", tok: "R=shared", want: 201},
	{rec: "128", req: "PUT {R}/slave?cuk=c%2034%22q&extra=openstack-auto-v1&tag=%E6%97%A5%E6%9C%AC%0Ax", from: "ghost", tok: "R=shared", want: 201},
	{rec: "130", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-2 srv-3 app-1 | app-1 nocuk t32 t33"},
	{rec: "131", req: "GET {S}/slave?cuk=c%2034%22q&role={YR}/slave", from: "ghost", want: 404, msg: `ip:port("{addr:ghost}":0) is not role("{YR}/slave") member.`},
	{rec: "C.1", req: "GET {S}/slave?cuk=c&role=yrn:yahoo:::{T}:role:nosuch/slave", want: 404, msg: "could not get role(nosuch/slave) in tenant({T}) policy data."},

	// Leaving.
	{rec: "133", req: "DELETE {R}/server?cuk=i-app-1", want: 204},
	{rec: "134", req: "DELETE {R}/slave?cuk=", from: "nocuk", want: 204},
	{rec: "135", req: "DELETE {R}/slave?cuk=c32", from: "oddextra", want: 403},
	{rec: "136", req: "DELETE {R}/slave?cuk=c%2034%22q", from: "ghost", want: 403},
	{rec: "137", req: "DELETE {R}/slave?cuk=c33", from: "inout", want: 204},
	{rec: "138", req: "DELETE {R}/slave?cuk=c33&port=8031", from: "inout", want: 403},

	// Tokens a host makes for itself.
	{rec: "139", req: "GET /v1/role/token/{YR}/slave", tok: "R=shared", want: 400, msg: "GET request ip address and role token are not same."},
	{rec: "140", req: "GET /v1/role/token/{YR}/slave", want: 200, saveTok: "own-0"},
	{rec: "141", req: "GET /v1/role/token/{YR}/slave?cuk=i-app-1", want: 200, saveTok: "own-1"},
	{rec: "142", req: "GET /v1/role/token/{YR}/slave?cuk=i-app-1&expire=5", want: 200, saveTok: "own-5s"},
	{rec: "143", req: "GET /v1/role/token/{YR}/slave?cuk=i-app-1", from: "stranger", want: 404, msg: `Not found ip({addr:stranger}) with port(0) and cuk("i-app-1") in tenant({T}) + role({C}/slave)`},
	{rec: "144", req: "GET /v1/role/token/{YR}/slave?cuk=wrong", want: 404, msg: `Not found ip({addr:app-1}) with port(0) and cuk("wrong") in tenant({T}) + role({C}/slave)`},
	{rec: "B.4", req: "GET /v1/role/token/{YR}/slave", from: "stranger", want: 404, msg: `Not found ip({addr:stranger}) with port(0) and cuk(null) in tenant({T}) + role({C}/slave)`},
	{rec: "145", req: "GET /v1/role/token/{C}/slave?cuk=i-app-1", want: 400, msg: "GET request role name which is not full yrn, and not token. role name must be full yrn, if token is not specified."},
	{rec: "B.4", req: "GET /v1/role/token/yrn:yahoo:::elsewhere:role:{C}/slave", tok: "R=own-1", want: 400, msg: "GET request query has wrong tenant yrn full path(tenant=elsewhere) or not specify tenant."},
	{rec: "146", req: getText, tok: "R=own-1", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", saveTag: "later"},
	{rec: "147", req: getText, from: "stranger", tok: "R=own-1", want: 401, msg: "token({tok:own-1}) " + noSuchToken},
	{rec: "148", req: "GET /v1/role/token/{YR}/slave", tok: "R=own-1", want: 200, saveTok: "own-2"},
	{rec: "149", req: getText, tok: "R=own-1", want: 401, msg: "token({tok:own-1}) " + noSuchToken},
	{rec: "150", req: getText, tok: "R=own-2", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},
	{rec: "151", req: "GET /v1/role/token/{YR}/slave", from: "stranger", tok: "R=own-2", want: 401, msg: "token({tok:own-2}) " + noSuchToken},
	{rec: "152", req: "GET /v1/role/token/{YR}/slave", tok: "R=short", want: 401, msg: "token({tok:short}) " + noSuchToken},
	{rec: "153", req: "GET /v1/role/token/yrn:yahoo:::{T}:role:nosuch2", tok: "R=own-2", want: 404, msg: `Not found ip({addr:app-1}) with port(0) and cuk("i-app-1") in tenant({T}) + role(nosuch2)`},
	{rec: "154", req: "GET /v1/role/token/{YR}/server", tok: "R=own-2", want: 404, msg: `Not found ip({addr:app-1}) with port(0) and cuk("i-app-1") in tenant({T}) + role({C}/server)`},
	{rec: "B.4", req: "GET /v1/role/token/{YR}?cuk=i-app-1", want: 200, saveTok: "by-parent"},
	{rec: "B.4", req: getText, tok: "R=by-parent", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},
	{admin: "6s pass"},
	{rec: "156", req: getText, tok: "R=own-5s", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},
	{rec: "B.3", req: putApp1, tok: "R=shared", want: 201},
	{rec: "B.3", req: getText, tok: "R=own-2", want: 401, msg: "token({tok:own-2}) " + noSuchToken},
	{rec: "B.3", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},

	// A second slave comes and goes.
	{rec: "161", req: putApp2, from: "app-2", tok: "R=shared", want: 201},
	{rec: "162", req: "DELETE {R}/slave?cuk=i-app-2", from: "stranger", want: 403},
	{rec: "163", req: "DELETE {R}/slave", from: "app-2", want: 204},
	{rec: "C.6", req: "HEAD {R}/slave?cuk=i-app-2", from: "app-2", want: 403},
	{rec: "165", req: putApp2, from: "app-2", tok: "R=shared", want: 201},
	{rec: "166", req: "DELETE {R}/slave?cuk=i-app-2&extra=openstack-auto-v1&tag=app-2.shop.example", from: "app-2", want: 204},
	{rec: "167", req: "DELETE {R}/slave?cuk=i-app-2&extra=openstack-auto-v1&tag=app-2.shop.example", from: "app-2", want: 403},
	{rec: "168", req: "DELETE /v1/role/yrn:yahoo:::{T}:role:nosuch9?cuk=i-app-2", from: "app-2", want: 403},
	{rec: "169", req: "DELETE /v1/role/{C}/slave?cuk=i-app-2", from: "app-2", want: 400},
	{rec: "170", req: "DELETE {R}/slave?cuk=i-app-2", from: "app-2", tok: "R=bad", want: 401},
	{rec: "171", req: "GET /", from: "user", want: 200, body: `{"version":["v1"]}`},
	{rec: "172", req: putApp2, from: "app-2", tok: "R=shared", want: 201},
	{rec: "173", req: "GET /v1/role/token/{C}/slave?expire=0", from: "user", tok: "U=user", want: 200, saveTok: "second"},
	{rec: "C.7", req: "DELETE {R}/server?cuk=i-app-2", from: "app-2", tok: "R=second", want: 400},
	{rec: "C.7", req: "DELETE {R}/slave?cuk=i-app-2", from: "stranger", tok: "R=second", want: 403},
	{rec: "174", req: "DELETE {R}/slave?cuk=i-app-2", from: "app-2", tok: "R=second", want: 204},
	{rec: "175", req: getText, from: "app-2", tok: "R=second", want: 401, msg: "token({tok:second}) " + noSuchToken},
	{rec: "176", req: "GET /v1/role/token/{YR}/slave?cuk=i-app-2", from: "app-2", want: 200, saveTok: "own-3"},
	{rec: "177", req: "DELETE {R}/slave?cuk=i-app-2", from: "app-2", tok: "R=own-3", want: 204},
	{rec: "178", req: getText, from: "app-2", tok: "R=own-3", want: 401, msg: "token({tok:own-3}) " + noSuchToken},
	{rec: "180", req: "GET /v1/role/token/{YR}/slave?cuk=i-app-2", from: "app-2", want: 200, saveTok: "own-4"},
	{rec: "181", req: "DELETE {R}/slave?cuk=i-app-2", from: "app-2", want: 204},
	{rec: "182", req: getText, from: "app-2", tok: "R=own-4", want: 401, msg: "token({tok:own-4}) " + noSuchToken},
	{rec: "183", req: getText, from: "app-2", tok: "R=shared", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},
	{rec: "184", req: "GET {S}/slave?cuk=i-app-2&role={YR}/slave", from: "app-2", want: 404, msg: `ip:port("{addr:app-2}":0) is not role("{YR}/slave") member.`},

	// What a VM is started with.
	{rec: "185", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent: Cloud-Init/0.7.5", want: 200, kind: "multipart 2"},
	{rec: "186", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent: Cloud-Init/22.4.2", want: 200, kind: "gzip k2hr3-userdata.gz"},
	{rec: "187", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent: Cloud-Init/0.7.5\nAccept-Encoding: gzip", want: 200, kind: "gzip k2hr3-userdata.gz"},
	{rec: "188", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent: Cloud-Init/22.4.2\nAccept-Encoding: deflate, gzip, br, zstd", want: 200, kind: "gzip k2hr3-userdata.gz"},
	{rec: "E.2", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent: Cloud-Init/24.1", want: 200, kind: "multipart 2"},
	{rec: "189", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent: curl/7.88.1", want: 400, msg: "GET request is not allowed from your client"},
	{rec: "190", req: "GET /v1/userdata/{path:shared}", hdr: "User-Agent:", want: 400, msg: "GET request does not have User-Agent header"},
	{rec: "191", req: "GET /v1/userdata/AAAA", hdr: "User-Agent: Cloud-Init/0.7.5", want: 200, kind: "multipart 1"},
	{rec: "192", req: "GET /v1/userdata/", hdr: "User-Agent: Cloud-Init/0.7.5", want: 400, msg: "GET request url does not have userdata path parameter"},
	{rec: "193", req: "GET /v1/userdata/{plain:shared}", hdr: "User-Agent: Cloud-Init/0.7.5", want: 200, kind: "multipart 2"},
	{rec: "194", req: "HEAD /v1/userdata/{path:shared}", hdr: "User-Agent: Cloud-Init/0.7.5", want: 404, kind: "head"},
	{rec: "195", req: "GET /v1/extdata/{ext}/{path:shared}", hdr: "User-Agent: {extagent}", want: 200, kind: "script"},
	{rec: "196", req: "GET /v1/extdata/{ext}/{path:shared}", hdr: "User-Agent: {extagent}\nAccept-Encoding: gzip", want: 200, kind: "gzip k2hr3-extdata.gz"},
	{rec: "197", req: "GET /v1/extdata/{ext}/{path:shared}", hdr: "User-Agent: curl/7.88.1", want: 400, msg: "GET request is not allowed from your client"},
	{rec: "198", req: "GET /v1/extdata/nosuch/{path:shared}", hdr: "User-Agent: curl/7.88.1", want: 400, msg: "GET request URL path(nosuch) does not exist"},
	{rec: "199", req: "GET /v1/extdata/{ext}/AAAA", hdr: "User-Agent: {extagent}", want: 400, msg: "GET /extdata/{ext}/<path> is invalid"},
	{rec: "200", req: "GET /v1/extdata", hdr: "User-Agent: curl/7.88.1", want: 400, msg: "GET request url does not have extdata path parameter"},

	// HTTP.
	{rec: "201", req: getText, tok: "R=shared", hdr: "Accept-Encoding: gzip, deflate, br", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},
	{rec: "202", req: byAddr, hdr: "X-Forwarded-For: {addr:app-1}, 127.0.0.5", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},
	{rec: "B.2", req: byAddr, hdr: "X-Forwarded-For: {addr:app-1}, {addr:stranger}", want: 404, msg: `ip:port("{addr:stranger}":0) is not role("{YR}/slave") member.`},
	{rec: "203", req: "GET /", from: "user", hdr: "Connection: close", want: 200, body: `{"version":["v1"]}`},
	{rec: "226", req: getText, tok: "R=shared", hdr: "If-None-Match: \"x\", W/\"y-z\", {tag:later}", want: 304, sameTag: "later"},
	{rec: "227", req: getText, tok: "R=shared", hdr: "If-Modified-Since: Fri, 20 Nov 2099 23:48:04 GMT", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},

	// The operator edits the resource.
	{admin: "set text"},
	{rec: "209", req: getText, tok: "R=shared", want: 200, value: `"# \"q\" \\ \t \u0001 日本 </>&\n"`},
	{rec: "223", req: getText, tok: "R=shared", hdr: "If-None-Match: {tag:later}", want: 200, value: `"# \"q\" \\ \t \u0001 日本 </>&\n"`, newTag: "later"},
	{admin: "clear text"},
	{rec: "225", req: getText, tok: "R=shared", hdr: "If-None-Match: {tag:later}", want: 304, sameTag: "later"},

	// The store behind the API goes away and comes back.
	{admin: "backend down"},
	{rec: "228", req: getText, tok: "R=shared", want: 401, msg: "token({tok:shared}) " + noSuchToken},
	{rec: "229", req: byAddr, want: 404, msg: `ip:port("{addr:app-1}":0) is not role("{YR}/slave") member.`},
	{rec: "230", req: putApp1, tok: "R=shared", want: 401, msg: "token({tok:shared}) " + noSuchToken},
	{rec: "231", req: "GET /", want: 200, body: `{"version":["v1"]}`},
	{rec: "0.6", req: "HEAD {R}/slave?cuk=i-app-1", want: 403},
	{rec: "0.6", req: "DELETE {R}/slave?cuk=i-app-1", want: 403},
	{admin: "backend up"},
	{admin: "internal error"},
	{rec: "236", req: getText, tok: "R=shared", want: 500, unexpected: true},
	{admin: "no internal error"},
	{rec: "239", req: getText, tok: "R=shared", want: 200, nodes: "srv-1 srv-2 srv-3 | app-1 t32", sameTag: "later"},

	// The servers leave.
	{rec: "060", req: "DELETE {R}/server?cuk=i-srv-1", from: "srv-1", want: 204},
	{rec: "060", req: "DELETE {R}/server?cuk=i-srv-2", from: "srv-2", want: 204},
	{rec: "246", req: "DELETE {R}/server?cuk=i-srv-3b", from: "srv-3", want: 204},
	{rec: "247", req: getText, tok: "R=shared", want: 200, nodes: "| app-1 t32", newTag: "later", saveTag: "empty"},

	// The operator deletes one thing after the other.
	{admin: "delete policy"},
	{rec: "249", req: getText, tok: "R=shared", want: 404, msg: "role({C}/slave) in tenant({T}) does not allow to read access to resource({YS}/slave)."},
	{admin: "restore policy"},
	{rec: "250", req: getText, tok: "R=shared", want: 200, nodes: "| app-1 t32", sameTag: "empty"},
	{admin: "delete resource"},
	{rec: "D.1", req: getText, tok: "R=shared", want: 404, msg: "Could not get resource data for resource yrn: {YS}/slave"},
	{admin: "restore resource"},
	{rec: "253", req: "GET {S}/slave?type=keys&keyname=chmpx-mode", tok: "R=shared", want: 200, value: `"SLAVE"`},
	{rec: "254", req: getText, tok: "R=shared", want: 200, nodes: "| app-1 t32", sameTag: "empty"},
	{admin: "delete role"},
	{rec: "258", req: getText, tok: "R=shared", want: 401, msg: "token({tok:shared}) " + noSuchToken},
	{rec: "259", req: byAddr, want: 404, msg: `ip:port("{addr:app-1}":0) is not role("{YR}/slave") member.`},
	{rec: "260", req: putApp1, tok: "R=shared", want: 401, msg: "token({tok:shared}) " + noSuchToken},
}
