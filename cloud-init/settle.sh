say() { echo "k2hdkc-slave-agent: $*"; }

# again runs a command until it succeeds, at growing intervals: nobody is there
# to try it by hand once the network or the repository is back.
again() {
	pause=2
	until "$@"; do
		say "$1 has failed; trying again in $pause s"
		sleep "$pause"
		pause=$((pause * 2))
		[ "$pause" -le 300 ] || pause=300
	done
}

apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

install_packages() {
	if command -v apt-get >/dev/null; then
		apt_get update && apt_get install {{.Packages}}
	elif command -v dnf >/dev/null; then
		dnf -y --refresh install {{.Packages}}
	else
		yum -y install {{.Packages}}
	fi
}

installed() { command -v chmpx >/dev/null && command -v k2hdkc-slave-agent >/dev/null; }

installed || again install_packages

# A unit that is on the image already has to be given the rights that its
# configuration asks for. Nothing is waited for here: this is a part of the boot.
rights() { systemctl show --property=DropInPaths k2hdkc-slave-agent.service; }
had=$(rights)
systemctl enable {{.Unit}} k2hdkc-slave-agent.service
systemctl daemon-reload
[ "$(rights)" = "$had" ] || systemctl --no-block restart k2hdkc-slave-agent.service
systemctl --no-block start {{.Unit}} k2hdkc-slave-agent.service

# The result goes to the console's log, for who cannot log in.
working() { timeout 10 k2hdkc-slave-agent check >/dev/null 2>&1{{if .Unit}} && systemctl --quiet is-active {{.Unit}}{{end}}; }
end=$(($(date +%s) + 60))
until working; do
	[ "$(date +%s)" -lt "$end" ] || break
	sleep 0.5
done
if working; then
	say "check: OK"
else
	say "check: not OK yet; the agent goes on trying: $(systemctl show --property=StatusText --value k2hdkc-slave-agent.service)"
fi
