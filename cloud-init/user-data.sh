#!/bin/sh
# Makes a VM a slave node, a member of "yrn:yahoo:::shop:role:orders/slave".
# Printed by k2hdkc-slave-agent user-data. It may contain secrets: do not show it to others.
set -eu
umask 022

# put writes a file whole.
put() {
	mkdir -p "${2%/*}"
	(umask 077 && cat >"$2.part")
	chmod "$1" "$2.part"
	mv -f "$2.part" "$2"
}

put 0755 /etc/k2hdkc/first-boot <<'END_'
#!/bin/sh
# Makes this host a slave node, a member of "yrn:yahoo:::shop:role:orders/slave".
{
set -eu
umask 022
say() { echo "k2hdkc-slave-agent: $*"; }

# The unit is there until its work is done.
take_away() {
	rm -f /etc/systemd/system/multi-user.target.d/50-k2hdkc-slave-first-boot.conf /etc/systemd/system/k2hdkc-slave-first-boot.service /etc/k2hdkc/first-boot
	systemctl daemon-reload
}

put() {
	mkdir -p "${1%/*}"
	cat >"$1.part"
	chmod 0644 "$1.part"
	mv -f "$1.part" "$1"
}

apt=$(command -v apt-get || :)

# same_key SOURCES URI SUITE KEYRING: what the image knows of the same repository
# names the same keyring. Where two entries name two, apt reads no source at all.
same_key() {
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		if [ ! -e "$list" ] || [ "$list" = "$1" ]; then continue; fi
		# It succeeds if it has changed something.
		if awk -v uri="$2" -v suite="$3" -v key="$4" -v kind="${list##*.}" '
			function same(u) { sub(/\/+$/, "", u); return u == uri }
			function finish(    i, n, value, name, field, words, hit) { # a stanza
				for (i = 1; i <= lines; i++) {
					value = line[i]
					if (value ~ /^#/) continue
					if (value ~ /^[^ \t]+:/) {
						name = tolower(value); sub(/:.*/, "", name)
						sub(/^[^:]*:/, "", value)
					}
					of[i] = name
					field[name] = field[name] " " value
				}
				n = split(field["uris"], words)
				for (i = 1; i <= n; i++) if (same(words[i])) hit = 1
				n = split(field["suites"], words)
				for (i = 1; i <= n; i++) if (words[i] == suite) hit++
				value = field["signed-by"]; gsub(/^[ \t]+|[ \t]+$/, "", value)
				hit = hit > 1 && value != key
				for (i = 1; i <= lines; i++) if (!hit || of[i] != "signed-by") print line[i]
				if (hit) { print "Signed-By: " key; changed = 1 }
				for (i in of) delete of[i]
				lines = 0
			}
			kind == "sources" && /^[ \t]*$/ { finish(); print; next }
			kind == "sources" { line[++lines] = $0; next }
			/^[ \t]*deb(-src)?[ \t]/ {
				options = ""; rest = $0
				sub(/^[ \t]*deb(-src)?[ \t]+/, "", rest)
				if (rest ~ /^\[/) {
					options = rest; sub(/\].*/, "", options); sub(/^\[/, "", options)
					sub(/^[^\]]*\][ \t]*/, "", rest)
				}
				split(rest, words)
				if (same(words[1]) && words[2] == suite && index(" " options " ", " signed-by=" key " ") == 0) {
					gsub(/[Ss]igned-[Bb]y=[^ \t]*/, "", options)
					print $1 " [" options " signed-by=" key "] " rest
					changed = 1
					next
				}
			}
			{ print }
			END { finish(); exit !changed }' "$list" >"$list.part"; then
			chmod 0644 "$list.part"
			mv -f "$list.part" "$list"
			say "$list knows the repository $2 too; it goes by the key in $4 now"
		fi
		rm -f "$list.part"
	done
}

if [ -n "$apt" ]; then key=/etc/apt/keyrings/k2hdkc.asc; else key=/etc/pki/rpm-gpg/RPM-GPG-KEY-k2hdkc; fi
put "$key" <<'END'
-----BEGIN PGP PUBLIC KEY BLOCK-----

mQENBGsBVZkBCADfRrf0pyccsFux5Nyr7ouXfuzTvggeI/0nvo4O8XMoO+9vZR4K
pj2Hht+r09ug2+EPI24EvxWceoDaKSie9YxT46gFi2EpE3ew56FqN0wTJSTY/5Kr
ad4lXp1gKgoHdGwPRKk9wC/e301xWwvnwqm7N6tPJnLhonYWp6LcnAc7Pd2tJfb6
pGRSXPGYJjqsyI9mvA5+YEM7oAsXlGRspRdHSSDe95zOChLAhslFR9/ACwulM8uR
mSbxw2sNO0qqAbASmULXMLFFHsQgCC7kPPlwNcmnedH7i14rrCLFIKLwjrHXbK04
C5uKnpQJczLjaNsVIYW0FExQ+H+MW9lzo+cZABEBAAG0ElAgPHBAc2hvcC5leGFt
cGxlPokBTgQTAQoAOBYhBGA18w4qLnqGqVrbwWOZ4ARzcr5mBQJrAVWZAhsDBQsJ
CAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEGOZ4ARzcr5mhfQIAI+4hHv60KUJZTos
oFakJdNvx/OETfnTy8wYzoZA/LmX+MOvmRTBJHJp4fYsndUoNJXQVNw7B45/l75E
l2alxUqcVn3j1UkGAdsRc6qDiP7J1Tsza975YjFa1UpR4W0JNn37T5lusWTyFsmo
59YFL4SfIAZ+MrFyTZwej/apWPXCFtq8/v3p4NwYa3YUchOwVUN45TPsbeoQC/K2
KaD4Qiy5Z4xlQgIPBK0u3N8vNy9bUjLCgG+g1y6YAJ+3iDKUopF9IvbM6x9uExR1
ojK/Po58J0MdGkKVCUj+reemwqd9ELQCmX6DWSK39SPH3UCLUPd/R8rxYL1+v0TQ
gXhs4i0=
=RP/I
-----END PGP PUBLIC KEY BLOCK-----
END
if [ -n "$apt" ]; then
	chmod a+rx /etc/apt/keyrings
	put /etc/apt/sources.list.d/k2hdkc.sources <<'END'
# Packages of k2hdkc
Types: deb
URIs: https://packages.example.com/k2hdkc/apt
Suites: stable
Components: main
Signed-By: /etc/apt/keyrings/k2hdkc.asc
END
	same_key /etc/apt/sources.list.d/k2hdkc.sources https://packages.example.com/k2hdkc/apt "stable" /etc/apt/keyrings/k2hdkc.asc
else
	put /etc/yum.repos.d/k2hdkc.repo <<'END'
[k2hdkc]
name=Packages of k2hdkc
baseurl=https://packages.example.com/k2hdkc/yum
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-k2hdkc
END
fi

# It is tried again here: an apt that tries again by itself may wait for ever where two
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
	for list in /etc/apt/sources.list.d/k2hdkc.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
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
	for package in chmpx k2hdkc-slave-agent; do
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
until installed || { install_packages chmpx k2hdkc-slave-agent && installed; }; do
	say "the packages cannot be installed yet; trying again in $pause s"
	sleep "$pause"
	pause=$((pause * 2))
	[ "$pause" -le 300 ] || pause=300
done
[ -z "$sources" ] || say "apt reads no source while it cannot make sense of$unusable; the packages are installed without that"
[ -z "$trouble" ] || say "apt-get update failed for a source that these packages do not need, see above; apt will go on saying so"

# Do not wait for a start: this may be part of the boot.
systemctl daemon-reload
for unit in k2hdkc-slave-agent.service chmpx.service; do
	systemctl enable "$unit"
	systemctl --no-block start "$unit"
done

# The result goes to the console's log, for people who cannot log in.
end=$(($(date +%s) + 120))
pause=0.5
await() {
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep "$pause"
	done
}

working() { timeout 10 k2hdkc-slave-agent check && systemctl --quiet is-active chmpx.service; }
if ! await working; then
	take_away
	say "check: not OK yet; the agent keeps trying: $(systemctl show --property=StatusText --value k2hdkc-slave-agent.service)"
	exit 0
fi
checked="slave.ini is one that chmpx takes, and chmpx runs"
pause=5 # the agent restarts a chmpx that lacks servers while no program has joined it
if ! command -v k2hdkclinetool >/dev/null; then
	checked="$checked; no key was tried, since k2hdkclinetool is not installed"
elif await timeout 15 k2hdkc-slave-agent doctor --write-test --only write-test; then
	checked="$checked; a key was set, read and deleted through the ring"
else
	take_away
	say "check: not OK yet: no key can be set, read and deleted through the ring; k2hdkc-slave-agent doctor --write-test says why"
	exit 0
fi
take_away
say "check: OK ($checked)"
exit 0
}
END_
put 0644 /etc/systemd/system/k2hdkc-slave-first-boot.service <<'END'
# Written by user data of k2hdkc-slave-agent. It is there until it has made this
# host a slave node, whatever reboots come in between, and takes itself away then.

[Unit]
Description=First boot of a K2HDKC slave node
# Not after any unit of cloud-init's, which waits for this one.
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh /etc/k2hdkc/first-boot
Restart=on-failure
RestartSec=10s
SyslogIdentifier=k2hdkc-slave-first-boot
StandardOutput=journal+console
END
put 0644 /etc/systemd/system/multi-user.target.d/50-k2hdkc-slave-first-boot.conf <<'END'
[Unit]
Wants=k2hdkc-slave-first-boot.service
END
put 0600 /etc/k2hdkc/role-token <<'END'
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
END
put 0644 /etc/k2hdkc/slave-agent.ini <<'END'
[k2hr3]
api-uri = https://k2hr3.example.com
role = yrn:yahoo:::shop:role:orders/slave
END

echo "k2hdkc-slave-agent: k2hdkc-slave-first-boot.service goes on with it: journalctl -u k2hdkc-slave-first-boot.service"
sync
rights() { systemctl show --property=DropInPaths k2hdkc-slave-agent.service; }
had=$(rights)
systemctl daemon-reload
[ "$(rights)" = "$had" ] || systemctl --no-block restart k2hdkc-slave-agent.service
systemctl start --wait k2hdkc-slave-first-boot.service
