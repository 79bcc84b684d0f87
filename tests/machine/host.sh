# Runs a machine: as process 1 of namespaces of its own, so that whatever it
# mounts and starts ends with it. Arguments: the root file system, the snapshot of
# another machine's disk to begin with or nothing, the machine's host name, then
# the control groups it shall live in. Standard input is a tar
# of the machine's own files; what follows on it is waited for before the start.
set -eu
base=$1 snapshot=$2 name=$3
shift 3
for group; do
	echo 0 >"$group/cgroup.procs"
done

# nspawn leaves traces there.
mount -t tmpfs -o mode=755 machine /run
mkdir /run/disk /run/disk/upper /run/disk/work /run/disk/root
[ -z "$snapshot" ] || tar --extract --file="$snapshot" --directory=/run/disk/upper \
	--numeric-owner --preserve-permissions --xattrs --xattrs-include='*'
mount -t overlay -o "lowerdir=$base,upperdir=/run/disk/upper,workdir=/run/disk/work" machine /run/disk/root
echo READY
tar --extract --directory=/run/disk/root --keep-directory-symlink

# A reboot ends nspawn with a status of its own.
while :; do
	status=0
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot \
		--directory=/run/disk/root --machine=machine --hostname="$name" \
		--register=no --keep-unit --link-journal=no --settings=no \
		--network-namespace-path=/proc/self/ns/net --resolv-conf=off --timezone=off \
		--notify-ready=yes </dev/null || status=$?
	[ "$status" = 133 ] || exit "$status"
done
