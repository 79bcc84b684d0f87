# The rest of a registration script that does to a host what K2HR3's own does
# when cloud-init runs it as root, and leaves undone what that one leaves undone.
# What it was given stands before this.

# Root needs nothing in front of a command. Quoted, though, nothing is a command
# that does not exist, so what follows it is not run.
as_root=""
if [ "$(id -u)" != 0 ]; then
	as_root="sudo"
fi
place=/etc/antpickax

note() { echo "$*" | "$as_root" tee -a /var/log/k2hr3-init.log >/dev/null; }
stop_here() {
	note "$*"
	exit 1
}

[ -d "$place" ] || "$as_root" mkdir -p -m 0777 "$place" || stop_here "no $place"
command -v curl >/dev/null || apt-get install -y curl || stop_here "no curl"

instance=$(tr -d '\r\n' 2>/dev/null </var/lib/cloud/data/instance-id)
[ -n "$instance" ] || stop_here "no instance id"
domain=$(sed -n 's/^search[[:space:]].*[[:space:]]//p' /etc/resolv.conf)
if [ -n "$domain" ]; then
	name=$(hostname).$domain
else
	name=$(hostname -f)
fi

# Nothing in the address is quoted, no certificate named, nothing tried again.
answer=$(curl -s -S -X PUT -H "x-auth-token: R=$K2HR3_ROLE_TOKEN" \
	"$K2HR3_API_HOST_URI/v1/role/$K2HR3_ROLE_NAME?cuk=$instance&extra=openstack-auto-v1&tag=$name")
echo "$answer" | tr -d '" ' | grep -qi 'result:true,' || stop_here "K2HR3 says: $answer"

# keep writes a file that everybody can read, without an end of line.
keep() {
	[ "$(cat "$place/$1" 2>/dev/null)" = "$2" ] || printf '%s' "$2" >"$place/$1"
	chmod 0644 "$place/$1"
}
keep k2hr3-role-token "$K2HR3_ROLE_TOKEN"
keep k2hr3-role-name "$K2HR3_ROLE_NAME"
keep k2hr3-role-tenant "$K2HR3_ROLE_TENANT"
keep k2hr3-cuk "$instance"
keep k2hr3-cuk-param "cuk=$instance"
keep k2hr3-extra-param "extra=openstack-auto-v1"
keep k2hr3-tag-param "tag=$name"
keep k2hr3-apiarg "cuk=$instance"
keep k2hr3-api-uri "$K2HR3_API_HOST_URI"

# words are those of a key of the RESOURCE, where they stand with commas.
words() {
	curl -s -S -H "x-auth-token: R=$K2HR3_ROLE_TOKEN" \
		"$K2HR3_API_HOST_URI/v1/resource/$(echo "$K2HR3_ROLE_NAME" | sed 's/:role:/:resource:/')?type=keys&keyname=$1" |
		sed -n 's/.*"resource":"\([^"]*\)".*/\1/p' | tr ',' ' '
}
for package in $(words k2hr3-init-packages); do
	DEBIAN_FRONTEND=noninteractive apt-get install -y "$package" </dev/null || stop_here "no package $package"
done
for unit in $(words k2hr3-init-systemd-packages); do
	"$as_root" systemctl enable "$unit"
	"$as_root" systemctl start "$unit"
done
note "registered"
exit 0
