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

put 0644 /etc/k2hdkc/k2hdkc-packages.asc <<'END'
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
put 0600 /etc/k2hdkc/role-token <<'END'
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
END
put 0644 /etc/k2hdkc/slave-agent.ini <<'END'
[k2hr3]
api-uri = https://k2hr3.example.com
role = yrn:yahoo:::shop:role:orders/slave
END

if command -v apt-get >/dev/null; then
	put 0644 /etc/apt/sources.list.d/k2hdkc.list <<'END'
deb [signed-by=/etc/k2hdkc/k2hdkc-packages.asc] https://packages.example.com/k2hdkc/apt stable main
END
else
	put 0644 /etc/yum.repos.d/k2hdkc.repo <<'END'
[k2hdkc]
name=Packages of k2hdkc
baseurl=https://packages.example.com/k2hdkc/yum
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/k2hdkc/k2hdkc-packages.asc
END
fi

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
until installed || install_packages chmpx k2hdkc-slave-agent; do
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
	say "check: not OK yet: no key can be set, read and deleted through the ring; k2hdkc-slave-agent doctor --write-test says why"
	exit 0
fi
say "check: OK ($checked)"
