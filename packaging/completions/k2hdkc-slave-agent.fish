# fish completion for k2hdkc-slave-agent, written by packaging/manual.

# Is the verb still to be typed?
function __k2hdkc_slave_agent_no_verb
    set -l words (commandline -opc)
    test (count $words) -eq 1
end

# Is the verb one of these?
function __k2hdkc_slave_agent_verb
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __k2hdkc_slave_agent_units
    systemctl list-unit-files --type=service --no-legend --no-pager 2>/dev/null | string replace -r ' .*' ''
end

complete -c k2hdkc-slave-agent -f
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -s h -l help -d 'print the help'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -s V -l version -d 'print the version'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a run -d 'be the daemon: keep slave.ini and chmpx right until SIGTERM'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a once -d 'do one pass of the same, then exit'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a check -d 'tell what chmpx would do with FILE as a slave on this host'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a register -d 'make this host a member of the role'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a unregister -d 'take this host out of the role'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a version -d 'print the version'
complete -c k2hdkc-slave-agent -n __k2hdkc_slave_agent_no_verb -a help -d 'print this, or the help of VERB'

complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb check' -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a run -d 'be the daemon: keep slave.ini and chmpx right until SIGTERM'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a once -d 'do one pass of the same, then exit'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a check -d 'tell what chmpx would do with FILE as a slave on this host'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a register -d 'make this host a member of the role'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a unregister -d 'take this host out of the role'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a version -d 'print the version'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help' -a help -d 'print this, or the help of VERB'

complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister version help' -l help -d 'print the help of this verb'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l config -d 'configuration file' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l api-uri -d 'K2HR3'\''s address, as http://HOST:PORT or https://HOST:PORT' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l role -d 'role this host belongs to, a full YRN' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l resource -d 'resource that holds chmpx'\''s configuration, a full YRN' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l role-token-file -d 'file with the role token' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l forget-bootstrap-token -d 'delete the role token once the host reads without it' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l ca-file -d 'PEM certificates that K2HR3'\''s certificate is checked against' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l cert-file -d 'PEM client certificate, together with key-file' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l key-file -d 'PEM private key of the client certificate' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l interval -d 'pause between answers of a K2HR3 that does not hold requests' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l wait -d 'how long a K2HR3 that can hold a request may hold it; 0: never ask' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once register unregister' -l timeout -d 'limit for an answer that is not being held' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l output -d 'the file to keep right: chmpx'\''s configuration' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l mode -d 'permissions of the output file, in octal' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l owner -d 'owner of the output file' -x -a '(__fish_complete_users)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l group -d 'group of the output file' -x -a '(__fish_complete_groups)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l cuk -d 'the key K2HR3 and chmpx know this host by' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l tag -d 'the name chmpx knows this host by' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l min-servers -d 'an answer with fewer server nodes is not applied' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l stamp -d 'put the agent'\''s own revision number into FILEVERSION' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l unit -d 'chmpx'\''s systemd unit; empty: there is no systemd here' -x -a '(__k2hdkc_slave_agent_units)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l reload -d 'how chmpx is told of a new file' -x -a 'auto restart none'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l start -d 'start an enabled unit that is down once its first good file is in place' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l status-command -d 'chmpx'\''s status program; empty: none' -x -a '(__fish_complete_command)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l check-command -d 'chmpx'\''s test program, a second opinion on each new file; empty: none' -x -a '(__fish_complete_command)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l confirm -d 'how long chmpx may take to show a new revision; 0: don'\''t ask' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l restart-unconfirmed -d 'restart the unit when chmpx does not show a new revision in time' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check' -l peek -d 'pause between looks at chmpx'\''s own view of its servers; 0: don'\''t look' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l state-dir -d 'what has to survive a reboot' -x -a '(__fish_complete_directories)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l run-dir -d 'status of the running agent' -x -a '(__fish_complete_directories)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l antpickax-dir -d 'where K2HR3'\''s own init script left its files' -x -a '(__fish_complete_directories)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l instance-id-file -d 'where cloud-init wrote the instance'\''s id' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l log-level -d 'least severe messages to log: debug, info, warn or error' -x -a 'debug info warn error'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l log-format -d 'how to write them; auto: journal fields under systemd, else text' -x -a 'auto text json'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check register unregister' -l metrics-listen -d 'where to offer metrics: HOST:PORT or unix:PATH' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb once' -l dry-run -d 'print a unified diff of the output file and change nothing, not even the registration'
