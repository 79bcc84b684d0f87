say() { echo "k2hdkc-slave-agent: $*"; }

apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

install_packages() {
	if command -v apt-get >/dev/null; then
		apt_get update && apt_get install "$@"
	elif command -v dnf >/dev/null; then
		dnf -y --refresh install "$@" </dev/null
	else
		yum -y install "$@" </dev/null
	fi
}

installed() { command -v chmpx >/dev/null && command -v k2hdkc-slave-agent >/dev/null; }

# Never give up: nobody is here to try again when the network or the repository
# is back.
pause=2
until installed || install_packages {{packages}}; do
	say "the packages cannot be installed yet; trying again in $pause s"
	sleep "$pause"
	pause=$((pause * 2))
	[ "$pause" -le 300 ] || pause=300
done

# An agent that was already in the image may need other rights for this
# configuration, which its unit gets at a reload. Do not wait for a start: this is
# part of the boot.
rights() { systemctl show --property=DropInPaths k2hdkc-slave-agent.service; }
had=$(rights)
systemctl daemon-reload
[ "$(rights)" = "$had" ] || systemctl --no-block restart k2hdkc-slave-agent.service
for unit in k2hdkc-slave-agent.service{{unit}}; do
	systemctl enable "$unit"
	systemctl --no-block start "$unit"
done

{{more}}# The result goes to the console's log, for people who cannot log in.
end=$(($(date +%s) + 120))
pause=0.5
await() {
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep "$pause"
	done
}

working() { timeout 10 k2hdkc-slave-agent check{{and unit active}}; }
if ! await working; then
	say "check: not OK yet; the agent keeps trying: $(systemctl show --property=StatusText --value k2hdkc-slave-agent.service)"
	exit 0
fi
checked="slave.ini is one that chmpx takes{{and runs}}"
{{ring}}say "check: OK ($checked)"
