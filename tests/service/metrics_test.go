package service

import (
	"strings"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
)

// metricsInTheSandbox: what the options ask for is granted at the next daemon-reload, also a folder
// of node_exporter's own user, and a socket of systemd's needs no option.
func metricsInTheSandbox(s *installed) {
	s.Run(`install -d -o daemon -g daemon -m 755 /var/lib/exporter
		printf '%s[agent]\nmetrics-listen = 127.0.0.1:9765\nmetrics-textfile = /var/lib/exporter/k2hdkc-slave-agent.prom\n' "$1" >/etc/k2hdkc/slave-agent.ini
		printf '[Socket]\nListenStream=127.0.0.1:9766\nFileDescriptorName=metrics\n' >/etc/systemd/system/k2hdkc-slave-agent.socket
		systemctl daemon-reload
		systemctl start k2hdkc-slave-agent.socket`, slave.Config)
	s.running()
	ask := func(port string) string {
		s.TB.Helper()
		return s.Run(`bash -ec 'exec 3<>/dev/tcp/127.0.0.1/` + port + `; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; cat <&3'`)
	}
	for _, port := range []string{"9765", "9766"} {
		if text := ask(port); !strings.HasPrefix(text, "HTTP/1.1 200 OK\r\n") || !strings.Contains(text, "\nk2hdkc_slave_applied_revision 1\n") {
			s.TB.Errorf("port %s: %s", port, text)
		}
	}
	machine.Until(s.TB, "a healthy agent in the textfile", func() bool {
		r := s.Try("cat /var/lib/exporter/k2hdkc-slave-agent.prom")
		return strings.Contains(r.Stdout, "\nk2hdkc_slave_healthy 1\n") && strings.Contains(r.Stdout, "\nk2hdkc_slave_confirmed_revision 1\n")
	})
	if mode := s.Run("stat -c '%a' /var/lib/exporter/k2hdkc-slave-agent.prom"); strings.TrimSpace(mode) != "644" {
		s.TB.Errorf("mode %s", mode)
	}
	s.Run("systemctl stop k2hdkc-slave-agent.socket k2hdkc-slave-agent; rm /etc/systemd/system/k2hdkc-slave-agent.socket; systemctl daemon-reload")
	if left := s.Run("ls /var/lib/exporter"); left != "" {
		s.TB.Errorf("left behind: %s", left)
	}
}

// bugReportOfAHost: root gets everything, and no token with it.
func bugReportOfAHost(s *installed) {
	s.running()
	s.Run("cd /tmp; rm -rf report report.tar.gz; k2hdkc-slave-agent bugreport report.tar.gz; mkdir report; tar -C report -xzf report.tar.gz")
	manifest := s.Run("cat /tmp/report/*/MANIFEST")
	for _, piece := range []string{"versions", "status.json", "doctor.json", "options", "environment", "slave.ini", "slave.ini.diff", "journal", "unit", "chmpx-unit", "chmpxstatus"} {
		if !strings.Contains(manifest, "\n"+piece+" (") {
			s.TB.Errorf("no %s", piece)
		}
	}
	if strings.Contains(manifest, "not here") || strings.Contains(manifest, "in part") {
		s.TB.Error(manifest)
	}
	for piece, want := range map[string]string{"journal": "K2HDKC slave node agent", "unit": "ActiveState=active", "slave.ini.diff": "+[GLOBAL]", "versions": "k2hdkc-slave-agent"} {
		if text := s.Run("cat /tmp/report/*/" + piece); !strings.Contains(text, want) {
			s.TB.Errorf("%s has no %q:\n%s", piece, want, text)
		}
	}
	if r := s.Try(`grep -rF "$(cat /etc/k2hdkc/role-token)" /tmp/report`); r.Status != 1 {
		s.TB.Errorf("the role token: %v", r)
	}
	if mode := s.Run("stat -c '%a %U' /tmp/report.tar.gz"); strings.TrimSpace(mode) != "600 root" {
		s.TB.Errorf("mode %s", mode)
	}
}
