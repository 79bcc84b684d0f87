package cloudinit

import (
	"os"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// oldFile is where a DBaaS slave has its file.
const oldFile = "/etc/antpickax/k2hdkc.ini"

// today makes a host what a DBaaS slave is without the agent: registered by
// K2HR3's script, whose files are there; a timer that fetches the RESOURCE and
// overwrites the file; chmpx under its helper, as a user of its own. Its
// arguments are the role token, the role, the address of K2HR3, the instance id,
// and that user.
const today = `
	mkdir -p /etc/antpickax /var/lib/cloud/data
	cd /etc/antpickax
	echo "$4" >/var/lib/cloud/data/instance-id
	for pair in "role-token=$1" "role-name=$2" "api-uri=$3" "cuk=$4"; do
		printf %s "${pair#*=}" >"k2hr3-${pair%%=*}"
	done
	curl -sf -X PUT -H "x-auth-token: R=$1" "$3/v1/role/$2?cuk=$4&extra=openstack-auto-v1&tag=$(hostname -f)" >/dev/null
	cat >override.conf <<-'END'
		k2hr3-get-resource-helper.conf:OUTPUT_FILE = k2hdkc.ini
		chmpx-service-helper.conf:CHMPX_INI_CONF_FILE = k2hdkc.ini
		chmpx-service-helper.conf:SUBPROCESS_USER = USER
	END
	id -u "$5" >/dev/null 2>&1 || useradd --system "$5"
	cat >/usr/libexec/chmpx-service-helper <<-'END'
		#!/bin/sh
		trap 'pkill -HUP -x chmpx; exit 0' HUP
		while :; do
			until [ -s /etc/antpickax/k2hdkc.ini ]; do sleep 0.1; done
			runuser -u USER -- /usr/bin/chmpx -conf /etc/antpickax/k2hdkc.ini -d err &
			wait $!
			sleep 0.5
		done
	END
	cat >/usr/libexec/k2hr3-get-resource-helper <<-'END'
		#!/bin/sh
		cd /etc/antpickax
		resource=$(sed 's/:role:/:resource:/' k2hr3-role-name)
		text=$(curl -sf -H "x-auth-token: R=$(cat k2hr3-role-token)" "$(cat k2hr3-api-uri)/v1/resource/$resource?type=string" |
			sed -n 's/.*"resource":"\(.*\)"[^"]*$/\1/p' | sed "s/__SELF_INSTANCE_ID__/$(cat /var/lib/cloud/data/instance-id)/g; s/\\\\n/\n/g")
		[ -n "$text" ] || exit 1
		[ "$text" = "$(cat k2hdkc.ini 2>/dev/null)" ] || printf '%s\n\n' "$text" >k2hdkc.ini
	END
	chmod 755 /usr/libexec/k2hr3-get-resource-helper
	sed -i "s/\<USER$/$5/; s/\<USER --/$5 --/" override.conf /usr/libexec/chmpx-service-helper
	cd /etc/systemd/system
	mkdir chmpx.service.d # a container may not set what the unit sets
	printf '[Service]\nExecStartPre=\n' >chmpx.service.d/10-container.conf
	printf '[Service]\nType=oneshot\nExecStart=/usr/libexec/k2hr3-get-resource-helper\n' >k2hr3-get-resource.service
	printf '[Timer]\nOnActiveSec=0\nOnUnitInactiveSec=1\nAccuracySec=100ms\n[Install]\nWantedBy=timers.target\n' >k2hr3-get-resource.timer
	systemctl daemon-reload
	systemctl --quiet enable --now k2hr3-get-resource.timer chmpx.service`

// packagesOf tells apt of the site's repository, and to ask nobody.
const packagesOf = `
	mkdir -p /etc/apt/keyrings
	cat >/etc/apt/keyrings/k2hdkc.asc
	echo "deb [signed-by=/etc/apt/keyrings/k2hdkc.asc] $1/apt stable main" >/etc/apt/sources.list.d/k2hdkc.list
	echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/90-yes
	apt-get -qq update
	apt-get -qq install chmpx`

// documented is what cloud-init/README.md tells to type under a heading, from a
// line on.
func documented(tb testing.TB, heading, from string) string {
	tb.Helper()
	b, err := os.ReadFile("../../cloud-init/README.md")
	if err != nil {
		tb.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		tb.Fatalf("no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var lines []string
	for line := range strings.Lines(section) {
		line, ok := strings.CutPrefix(line, "    ")
		if ok && (lines != nil || strings.HasPrefix(line, from)) {
			lines = append(lines, line)
		}
	}
	if lines == nil {
		tb.Fatalf("no line %q under %q", from, heading)
	}
	return strings.Join(lines, "")
}

// TestMovingOver does what the manual says on a slave that the timer keeps.
func TestMovingOver(t *testing.T) {
	machine.RequireHost(t)
	s := newSite(t)
	n := s.boot(s.options("app-1.shop.example", firstInstance, ""))
	n.File = oldFile
	n.Run("cat >/root/key <<'END'\n" + s.key() + "\nEND\nset -- " + packagesURI + "; exec </root/key" + packagesOf)
	n.Run(today, s.cluster.RoleToken("slave", 0), s.cluster.SlaveRole(), k2hr3URI, firstInstance, "k2hdkc")
	n.AwaitServers(2) // the timer has fetched the file
	pid := n.Run("pgrep -x chmpx")
	// Nobody may ever find no file.
	n.Run(`systemd-run --quiet --unit=lookout sh -c 'while [ -s "$1" ]; do :; done; touch /run/gap' sh "$1"`, n.File)

	if said := n.Run("{ " + documented(t, "Moving over from k2hr3-get-resource", "# 1.") + "} 2>&1"); !strings.Contains(said, "\naccept") {
		t.Errorf("check does not say accept:\n%s", said)
	}
	n.Wants(slave.AgentUnit, "ActiveState=active", "UnitFileState=enabled")
	n.Wants("k2hr3-get-resource.timer", "ActiveState=inactive", "UnitFileState=disabled")
	s.join(3)
	n.AwaitServers(3)
	if now := n.Run("pgrep -x chmpx"); now != pid {
		t.Errorf("chmpx was %s and is %s", pid, now)
	}
	n.Run(`systemctl is-active lookout; [ ! -e /run/gap ]; [ ! -e "$1" ]`, slave.INI)
	s.wantSlaves(n.is())

	// So it is after a reboot.
	n.Boot()
	s.join(4)
	n.AwaitServers(4)
	n.Wants("k2hr3-get-resource.timer", "ActiveState=inactive", "UnitFileState=disabled")
	n.Wants(slave.ChmpxUnit, "ActiveState=active", "NRestarts=0")
}
