say() { echo "k2hdkc-slave-agent: $*"; }

# The unit is there until its work is done.
take_away() {
	rm -f {{mine}}
	systemctl daemon-reload
}

put() {
	mkdir -p "${1%/*}"
	cat >"$1.part"
	chmod 0644 "$1.part"
	mv -f "$1.part" "$1"
}

{{repositories}}# It is tried again here: an apt that tries again by itself may wait for ever where two
# repositories of one server fail.
apt_get() {
	# shellcheck disable=SC2086 # options
	DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=0 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $sources "$@" </dev/null
}

# One source that apt cannot make sense of keeps it from reading any: it goes by
# the others then.
sources=''
usable_sources() {
	sources=''
	apt_get indextargets >/dev/null 2>&1 && return
	parts=/run/k2hdkc-slave-first-boot
	rm -rf "$parts"
	mkdir "$parts"
	sources="-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$parts"
	usable=''
	unusable=''
	for list in {{lists}}/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ -e "$list" ] || continue
		cp "$list" "$parts/"
		if apt_get indextargets >/dev/null 2>&1; then
			usable=yes
		else
			rm "$parts/${list##*/}"
			unusable="$unusable $list"
		fi
	done
	[ -n "$usable" ] || sources=''
}
trouble=''

install_packages() {
	if command -v apt-get >/dev/null; then
		! command -v dpkg >/dev/null ||
			DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a </dev/null || :
		# What one source lacks, the others may have.
		trouble=''
		if ! apt_get update; then
			usable_sources
			if [ -z "$sources" ] || ! apt_get update; then trouble=yes; fi
		fi
		apt_get install "$@" || { apt_get --fix-broken install && apt_get install "$@"; }
	elif command -v dnf >/dev/null; then
		dnf -y --refresh '--setopt=*.skip_if_unavailable=1' install "$@" </dev/null
	else
		yum -y '--setopt=*.skip_if_unavailable=1' install "$@" </dev/null
	fi
}

# A package may be unpacked and not be configured.
installed() {
	for package in {{packages}}; do
		command -v "$package" >/dev/null || return 1
		! command -v dpkg-query >/dev/null ||
			case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
			'' | installed | not-installed | config-files) ;;
			*) return 1 ;;
			esac
	done
}

# Never give up: nobody is here to try again when the network or the repository
# is back.
pause=2
until installed || { install_packages {{packages}} && installed; }; do
	say "the packages cannot be installed yet; trying again in $pause s"
	sleep "$pause"
	pause=$((pause * 2))
	[ "$pause" -le 300 ] || pause=300
done
[ -z "$sources" ] || say "apt reads no source while it cannot make sense of$unusable; the packages are installed without that"
[ -z "$trouble" ] || say "apt-get update failed for a source that these packages do not need, see above; apt will go on saying so"

# Do not wait for a start: this may be part of the boot.
systemctl daemon-reload
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
	take_away
	say "check: not OK yet; the agent keeps trying: $(systemctl show --property=StatusText --value k2hdkc-slave-agent.service)"
	exit 0
fi
checked="slave.ini is one that chmpx takes{{and runs}}"
{{ring}}take_away
say "check: OK ($checked)"
