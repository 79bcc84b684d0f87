package main

import (
	"fmt"
	"strings"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

// guide says what there is and what to type. Each thing to type is one line.
func guide(addr string, o choices, c *fakek2hr3.Cluster) string {
	holds := fmt.Sprintf("up to %v, for a client that asks for it", o.hold)
	if o.hold == 0 {
		holds = "no request"
	}
	next := server(o.servers + 1)
	return strings.NewReplacer(
		"API", "http://"+addr, "SLAVES", c.SlaveRole(), "SERVERS", c.ServerRole(), "RESOURCE", c.SlaveResource(),
		"TOKEN-S", c.RoleToken("slave", 0), "TOKEN-V", c.RoleToken("server", 0), "HOLDS", holds,
		"NEXT-ADDRESS", next.Addr, "NEXT-CUK", next.CUK, "NEXT-TAG", next.Tag,
	).Replace(text)
}

const text = `A K2HR3 to play with. It forgets everything at its end, which is Ctrl-C.

address     API
role        SLAVES
resource    RESOURCE
role token  TOKEN-S
it holds    HOLDS

What a slave may read, by the role token:
  curl -s -H 'x-auth-token: R=TOKEN-S' 'API/v1/resource/RESOURCE?type=string'; echo
Make this host a member of the role, and look whether it is one (204):
  curl -i -X PUT -H 'x-auth-token: R=TOKEN-S' 'API/v1/role/SLAVES?extra=openstack-auto-v1&cuk=my-vm&tag=127.0.0.1'; echo
  curl -I 'API/v1/role/SLAVES?cuk=my-vm'
From then on it reads without a token, by its address and CUK:
  curl -i 'API/v1/resource/RESOURCE?type=string&cuk=my-vm&role=SLAVES'; echo
The same, held until the text is another one; put the ETag of the answer before in place of the dots:
  curl -i -H 'If-None-Match: ...' -H 'Prefer: wait=55' 'API/v1/resource/RESOURCE?type=string&cuk=my-vm&role=SLAVES'; echo
A server node joins, and leaves:
  curl -i -X PUT -H 'x-auth-token: R=TOKEN-V' -H 'x-forwarded-for: NEXT-ADDRESS' 'API/v1/role/SERVERS?extra=openstack-auto-v1&cuk=NEXT-CUK&tag=NEXT-TAG'; echo
  curl -i -X DELETE -H 'x-forwarded-for: NEXT-ADDRESS' 'API/v1/role/SERVERS?cuk=NEXT-CUK'; echo
What the agent would write; this changes nothing:
  echo TOKEN-S | install -m 0600 /dev/stdin /tmp/role-token
  go run ./cmd/k2hdkc-slave-agent once --dry-run --api-uri API --role SLAVES --role-token-file /tmp/role-token --cuk my-vm --tag 127.0.0.1 --output /tmp/slave.ini

Requests, as they are answered:
`
