# fish completion for k2hdkc-slave-agent, written by packaging/manual.

# Are there so many words before the cursor?
function __k2hdkc_slave_agent_words
    set -l words (commandline -opc)
    test (count $words) -eq $argv[1]
end

# Is the verb one of these?
function __k2hdkc_slave_agent_verb
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __k2hdkc_slave_agent_units
    command -q systemctl; and systemctl list-unit-files --type=service --no-legend --no-pager 2>/dev/null | string replace -r ' .*' ''
end

complete -c k2hdkc-slave-agent -f
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -s h -l help -d 'print the help'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -s V -l version -d 'print the version'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a run -d 'run the daemon: keep slave.ini and chmpx right until SIGTERM'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a once -d 'do what run does once, then exit'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a check -d 'tell what chmpx would do with FILE as a slave on this host'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a status -d 'tell how the agent, slave.ini and chmpx are'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a doctor -d 'look for the cause of a trouble: configuration, K2HR3, slave.ini, chmpx'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a bugreport -d 'pack what a support case needs into an archive without secrets'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a register -d 'make this host a member of the role'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a unregister -d 'take this host out of the role'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a user-data -d 'print cloud-init user data for a new slave VM'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a version -d 'print the version'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_words 1' -a help -d 'print this, or the help of VERB'

complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb check' -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb bugreport' -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a run -d 'run the daemon: keep slave.ini and chmpx right until SIGTERM'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a once -d 'do what run does once, then exit'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a check -d 'tell what chmpx would do with FILE as a slave on this host'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a status -d 'tell how the agent, slave.ini and chmpx are'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a doctor -d 'look for the cause of a trouble: configuration, K2HR3, slave.ini, chmpx'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a bugreport -d 'pack what a support case needs into an archive without secrets'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a register -d 'make this host a member of the role'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a unregister -d 'take this host out of the role'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a user-data -d 'print cloud-init user data for a new slave VM'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a version -d 'print the version'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb help; and __k2hdkc_slave_agent_words 2' -a help -d 'print this, or the help of VERB'

complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data version help' -l help -d 'print the help of this verb'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l config -d 'configuration file' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l api-uri -d 'K2HR3'\''s address, as http://HOST:PORT or https://HOST:PORT' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l role -d 'role this host belongs to, a full YRN' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l resource -d 'resource that holds chmpx'\''s configuration, a full YRN' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l role-token-file -d 'file with the role token' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l flavour -d 'kind of deployment: which files, variables and placeholders K2HR3'\''s tools use' -x -a 'auto openstack k8s'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l user-token-file -d 'file with a user'\''s unscoped token to get a role token with, in a pod' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l forget-bootstrap-token -d 'delete the role token once the host reads without it' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l ca-file -d 'PEM certificates that K2HR3'\''s certificate is checked against' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l cert-file -d 'PEM client certificate, together with key-file' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l key-file -d 'PEM private key of the client certificate' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l interval -d 'pause between answers of a K2HR3 that does not hold requests' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l wait -d 'how long a K2HR3 that can hold a request may hold it; 0: the agent asks for no holding' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once doctor bugreport register unregister user-data' -l timeout -d 'limit for an answer that is not being held' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l output -d 'the file to keep right: chmpx'\''s configuration' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l mode -d 'permissions of the output file, in octal' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l owner -d 'owner of the output file' -x -a '(__fish_complete_users)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l group -d 'group of the output file' -x -a '(__fish_complete_groups)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l cuk -d 'the key K2HR3 and chmpx know this host by' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l tag -d 'the name chmpx knows this host by' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l min-servers -d 'the agent applies only answers with at least this many server nodes' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l stamp -d 'put the agent'\''s own revision number into FILEVERSION' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l unit -d 'chmpx'\''s systemd unit; empty: there is no systemd here' -x -a '(__k2hdkc_slave_agent_units)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l reload -d 'how to make chmpx read a new file' -x -a 'auto restart none'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l start -d 'when the first good file is in place, start chmpx'\''s unit if it is enabled and down' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l status-command -d 'chmpx'\''s status program; empty: none' -x -a '(__fish_complete_command)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l check-command -d 'chmpx'\''s test program, a second opinion on each new file; empty: none' -x -a '(__fish_complete_command)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l confirm -d 'how long chmpx may take to show a new revision; 0: the agent does not look' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l restart-unconfirmed -d 'restart chmpx when it does not load a new revision, or must be restarted for it or for new certificates' -x -a 'yes no'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l peek -d 'pause between looks at chmpx'\''s own view of its servers; 0: don'\''t look' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l heal -d 'what the agent does about a chmpx that servers have refused and that does not try them again' -x -a 'idle servers never'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l chmpx-user -d 'whom chmpx'\''s unit runs chmpx as' -x -a '(__fish_complete_users)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport user-data' -l app-group -d 'group whose members'\'' programs may join chmpx' -x -a '(__fish_complete_groups)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l state-dir -d 'what has to survive a reboot' -x -a '(__fish_complete_directories)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l run-dir -d 'what the running agent needs for itself' -x -a '(__fish_complete_directories)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l antpickax-dir -d 'where K2HR3'\''s own init script left its files' -x -a '(__fish_complete_directories)'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l instance-id-file -d 'where cloud-init wrote the instance'\''s id' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l log-level -d 'least severe messages to log: debug, info, warn or error' -x -a 'debug info warn error'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l log-format -d 'how the agent writes log messages; auto: journal fields under systemd, else text' -x -a 'auto text json'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l metrics-listen -d 'where Prometheus can ask for metrics: HOST:PORT or unix:PATH' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb run once check status doctor bugreport register unregister user-data' -l metrics-textfile -d 'file for node_exporter'\''s textfile collector, ending in .prom' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb once' -l register -d 'try again until this host is a member and the first good file is in place, whether chmpx runs or not'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb once' -l dry-run -d 'print a unified diff of the output file and change nothing, not even the registration'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb status' -l json -d 'print one JSON object, as docs/status.schema.json describes it'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb status' -l brief -d 'print one line'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb status' -l ready -d 'print nothing; the exit status tells whether a good file is in place and, where that can be seen, chmpx runs it and is connected to every server that is up'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb status' -l watch -d 'go on, and show each change, until Ctrl-C or SIGTERM'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb doctor' -l json -d 'print one JSON object'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb doctor' -l write-test -d 'besides, set, read and delete one key of its own in the cluster, by k2hdkclinetool'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb doctor' -l only -d 'the checks to make, besides those that they need' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb bugreport' -l anonymize -d 'replace addresses, host names and CUKs, the same by the same'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l format -d 'what to print: YAML for cloud-init'\''s modules, or a shell script' -x -a 'cloud-config script'
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l repo -d 'signed package repository: URL, "deb URL SUITE COMPONENT..." or "rpm URL"' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l repo-key-file -d 'the repository'\''s public key, armoured' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l chmpx-repo -d 'signed repository of chmpx, if that is another one; written like repo' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l chmpx-repo-key-file -d 'the public key of chmpx'\''s repository, armoured' -r -F
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l packages -d 'packages to install besides, separated by blanks; empty: none' -x
complete -c k2hdkc-slave-agent -n '__k2hdkc_slave_agent_verb user-data' -l app-user -d 'user whose programs may join chmpx; may be repeated' -x -a '(__fish_complete_users)'
