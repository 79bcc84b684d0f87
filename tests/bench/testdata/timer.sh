#!/bin/sh
# What a host runs each minute today, as docs/k2hr3.md F describes it, not the program itself: the same
# exchange and the same steps, in their order, with a process for each step that a shell needs one
# for and no more. So the real one needs rather more than what is measured here.
#
#   timer.sh FOLDER    with the files of /etc/antpickax, helper.conf, instance-id and out/
set -eu
cd "$1"

setting() { sed -n "s/^$1 *= *//p" helper.conf; }
pidfile=$(setting SCRIPT_PIDFILE)
logfile=$(setting SCRIPT_LOGFILE)
resource=$(setting RESOURCE_PATH)
output=$(setting OUTPUT_DIR)/$(setting OUTPUT_FILE)
daemon=$(setting USE_DAEMON)

if [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; then
	exit 1
fi
echo $$ >"$pidfile"

role=$(cat k2hr3-role-name)
token=$(cat k2hr3-role-token)
api=$(cat k2hr3-api-uri)
[ -n "$resource" ] || resource=$(echo "$role" | sed 's/:role:/:resource:/')

answer=$(curl -s -H "x-auth-token: R=$token" "$api/v1/resource/$resource?type=string")
if ! printf '%s' "$answer" | grep -q '"result": *true,'; then
	echo "no RESOURCE: daemon $daemon, log $logfile" >&2
	exit 1
fi

id=$(cat instance-id)
printf '%s' "$answer" | sed -e 's/.*"resource":"//' -e 's/"}$//' -e 's/\\n/\n/g' |
	sed "s/__SELF_INSTANCE_ID__/$id/g" >next
diff next "$output" >/dev/null 2>&1 || cat next >"$output"
rm -f next "$pidfile"
