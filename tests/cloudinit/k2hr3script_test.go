package cloudinit

import (
	_ "embed"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

//go:embed testdata/init.sh
var initScript string

// prepared is what an operator adds in front of K2HR3's user data: the folder
// without which its script gives up, and the package repository.
const prepared = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="==part=="

--==part==
Content-Type: text/cloud-config

#cloud-config
bootcmd:
  - mkdir -p -m 0777 /etc/antpickax
apt:
  sources:
    k2hdkc.list:
      source: deb [signed-by=$KEY_FILE] ` + packagesURI + `/apt stable main
      key: |
        KEY
package_update: true

--==part==
Content-Type: text/x-include-url

INCLUDE
--==part==--
`

// include is the user data that K2HR3 gives its users.
func (s *site) include(token string) string {
	return "#include\n" + k2hr3URI + "/v1/userdata/" + s.cluster.RegisterPath(token) + "\n"
}

// preparedUserData is K2HR3's two lines of user data, and what goes before them.
func (s *site) preparedUserData(token, key string) string {
	indented := strings.ReplaceAll(strings.TrimSpace(key), "\n", "\n        ")
	return strings.NewReplacer("KEY\n", indented+"\n", "INCLUDE\n", s.include(token)).Replace(prepared)
}

// TestK2HR3sOwnUserData has K2HR3's own user data make a machine a slave node: its
// script registers the host, leaves its files in /etc/antpickax, and installs the
// packages that the slaves' RESOURCE names. The agent has no configuration of its
// own.
func TestK2HR3sOwnUserData(t *testing.T) {
	machine.RequireHost(t)
	s := newSite(t, fakek2hr3.WithInitScript(func(v fakek2hr3.ScriptValues) string {
		return "#!/bin/sh\n" + v.Assignments() + initScript
	}))
	s.cluster.SetSlaveKey("k2hr3-init-packages", "chmpx,k2hdkc-slave-agent")
	s.cluster.SetSlaveKey("k2hr3-init-systemd-packages", "chmpx.service,"+slave.AgentUnit)
	token := s.cluster.RoleToken("slave", 0)
	n := s.boot(s.options("app-1.shop.example", firstInstance, s.preparedUserData(token, s.key())))
	n.step(t, "it is a slave node after the first boot", func(n *node) { k2hr3Boot(s, n, token) })
	n.step(t, "it reboots while K2HR3 is down", func(n *node) { rebooted(s, n) })
}

func k2hr3Boot(s *site, n *node, token string) {
	n.TB.Helper()
	n.confirmed(2)
	s.wantSlaves(n.is())
	// The script's own registration is the only one.
	puts := 0
	for _, r := range s.k2hr3.Requests() {
		if r.Method == "PUT" {
			puts++
		}
	}
	if puts != 1 {
		n.TB.Errorf("the host was registered %d times", puts)
	}
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "UnitFileState=enabled", "NRestarts=0")
	if got := n.Run("grep -v '^#' /etc/k2hdkc/slave-agent.ini | grep = || :"); got != "" {
		n.TB.Errorf("the agent's configuration says\n%s", got)
	}
	const want = "/etc/antpickax 755\n/etc/antpickax/k2hr3-role-token 600"
	if got := n.Run("stat -c '%n %a' /etc/antpickax /etc/antpickax/k2hr3-role-token"); got != want {
		n.TB.Errorf("K2HR3's files are left as\n%s\nwant\n%s", got, want)
	}
	if got := n.Run("cat /etc/antpickax/k2hr3-role-token"); got != token {
		n.TB.Error("the token is not what K2HR3's script has written any more")
	}
	n.wantSecret(token)
	inTime(n)
}
