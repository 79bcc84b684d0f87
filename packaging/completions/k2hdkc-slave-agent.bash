# bash completion for k2hdkc-slave-agent, written by packaging/manual.

# _k2hdkc_slave_agent_reply offers those words of a list that begin as typed.
_k2hdkc_slave_agent_reply() {
	mapfile -t COMPREPLY < <(compgen -P "$glue" -W "$1" -- "$cur")
}

# _k2hdkc_slave_agent_files offers files, or what else compgen's option $1 lists.
# A word of its own is left to readline, which knows how to quote a name: $2.
_k2hdkc_slave_agent_files() {
	if [[ -z $glue ]]; then
		compopt -o "$2"
	else
		mapfile -t COMPREPLY < <(compgen -P "$glue" "$1" -- "$cur")
	fi
}

# _k2hdkc_slave_agent_value completes the value of a flag.
_k2hdkc_slave_agent_value() {
	case $flag in
	--ca-file | --cert-file | --chmpx-repo-key-file | --config | --instance-id-file | --key-file | --metrics-textfile | --output | --repo-key-file | --role-token-file | --user-token-file) _k2hdkc_slave_agent_files -f default ;;
	--antpickax-dir | --run-dir | --state-dir) _k2hdkc_slave_agent_files -d dirnames ;;
	--check-command | --status-command) mapfile -t COMPREPLY < <(compgen -P "$glue" -c -- "$cur") ;;
	--unit)
		_k2hdkc_slave_agent_reply "$(systemctl list-unit-files --type=service --no-legend --no-pager 2>/dev/null | cut -d ' ' -f 1)"
		;;
	--app-user | --chmpx-user | --owner) mapfile -t COMPREPLY < <(compgen -P "$glue" -u -- "$cur") ;;
	--app-group | --group) mapfile -t COMPREPLY < <(compgen -P "$glue" -g -- "$cur") ;;
	--flavour) _k2hdkc_slave_agent_reply "auto openstack k8s" ;;
	--forget-bootstrap-token) _k2hdkc_slave_agent_reply "yes no" ;;
	--stamp) _k2hdkc_slave_agent_reply "yes no" ;;
	--reload) _k2hdkc_slave_agent_reply "auto restart none" ;;
	--start) _k2hdkc_slave_agent_reply "yes no" ;;
	--restart-unconfirmed) _k2hdkc_slave_agent_reply "yes no" ;;
	--heal) _k2hdkc_slave_agent_reply "idle servers never" ;;
	--log-level) _k2hdkc_slave_agent_reply "debug info warn error" ;;
	--log-format) _k2hdkc_slave_agent_reply "auto text json" ;;
	--format) _k2hdkc_slave_agent_reply "cloud-config script" ;;
	esac
}

# _k2hdkc_slave_agent_arguments counts the words before the cursor that are
# neither a flag nor the value of one.
_k2hdkc_slave_agent_arguments() {
	local i word
	arguments=0
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == = ]]; then
			((i++))
		elif [[ $word == -- ]]; then
			((arguments += COMP_CWORD - i - 1))
			ended=1
			return
		elif [[ $valued == *" $word "* ]]; then
			[[ ${COMP_WORDS[i + 1]} == = ]] || ((i++))
		elif [[ $word != -?* ]]; then
			((arguments++))
		fi
	done
}

_k2hdkc_slave_agent() {
	local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} glue=""
	local verbs="run once check status doctor bugreport register unregister user-data version help"
	local flags="" valued="" argument="" arguments ended=""
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		[[ $cur != -* ]] || verbs="--help --version"
		_k2hdkc_slave_agent_reply "$verbs"
		return
	fi
	case ${COMP_WORDS[1]} in
	run)
		flags="--help --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	once)
		flags="--help --register --dry-run --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	check)
		flags="--help --config --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		argument="file"
		;;
	status)
		flags="--help --json --brief --ready --watch --config --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	doctor)
		flags="--help --json --write-test --only --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--only --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	bugreport)
		flags="--help --anonymize --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		argument="file"
		;;
	register)
		flags="--help --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	unregister)
		flags="--help --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	user-data)
		flags="--help --format --repo --repo-key-file --chmpx-repo --chmpx-repo-key-file --packages --app-user --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		valued="--format --repo --repo-key-file --chmpx-repo --chmpx-repo-key-file --packages --app-user --config --api-uri --role --resource --role-token-file --flavour --user-token-file --forget-bootstrap-token --ca-file --cert-file --key-file --interval --wait --timeout --output --mode --owner --group --cuk --tag --min-servers --stamp --unit --reload --start --status-command --check-command --confirm --restart-unconfirmed --peek --heal --chmpx-user --app-group --state-dir --run-dir --antpickax-dir --instance-id-file --log-level --log-format --metrics-listen --metrics-textfile"
		;;
	version)
		flags="--help"
		valued=""
		;;
	help)
		flags="--help"
		valued=""
		argument="verb"
		;;
	esac
	valued=" $valued "

	_k2hdkc_slave_agent_arguments
	# --flag=value is three words, or one where = does not part words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $flag == = ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == --*=* ]]; then
		flag=${cur%%=*}
		glue=$flag=
		cur=${cur#*=}
	fi
	if [[ -z $ended && $valued == *" $flag "* ]]; then
		_k2hdkc_slave_agent_value
	elif [[ -z $ended && $cur == -* ]]; then
		_k2hdkc_slave_agent_reply "$flags"
	elif ((arguments > 0)); then
		:
	elif [[ $argument == file ]]; then
		_k2hdkc_slave_agent_files -f default
	elif [[ $argument == verb ]]; then
		_k2hdkc_slave_agent_reply "$verbs"
	else
		[[ -n $ended ]] || _k2hdkc_slave_agent_reply "$flags"
	fi
}

complete -F _k2hdkc_slave_agent k2hdkc-slave-agent
