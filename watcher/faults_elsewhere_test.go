package watcher

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// elsewhere are faults that do not show in the loop, and the tests that prove what the agent does
// about them.
var elsewhere = []struct{ fault, does, file, test string }{
	{"a log that nobody reads (a full pipe, one whose reader is gone)", "goes on; keeps 1,000 records or 256 KiB, drops the rest, and says how many as soon as it is read again", "tests/e2e/stop_test.go", "TestNobodyListensToTheAgent"},
	{"a journald that hangs", "the same; the journal gets what there was room for when it goes on", "tests/e2e/stop_test.go", "TestAJournaldThatHangs"},
	{"a systemd that hangs", "goes on; systemd finds the latest message of each kind", "cmd/service/manager_test.go", "TestAServiceManagerThatHangs"},
	{"a program of chmpx's that ignores signals, leaves a child, stops itself or floods its output", "ends within a second of SIGTERM", "tests/e2e/stop_test.go", "TestAProgramThatDoesNotEndDoesNotKeepTheAgentFromEnding"},
	{"a program of chmpx's that leaves processes behind, where the agent is a container's first process", "leaves none of those that have ended as a zombie", "chmpx/tool/orphans_test.go", "TestTheFirstProcessReapsOrphans"},
	{"a program of chmpx's that the kernel keeps", "leaves it behind, once, and starts no other until it has ended", "chmpx/tool/run_test.go", "TestAProgramThatCannotBeKilled"},
	{"anything else that hangs when a signal ends the agent", "ends within a second, with status 0, and names what it was busy with", "cmd/k2hdkc-slave-agent/end_test.go", "TestAProgramThatHangsIsEndedWithinASecond"},
	{"SIGQUIT, or ^\\ on a terminal", "ends as on SIGTERM, without a dump of its stacks", "tests/e2e/stop_test.go", "TestSIGQUITPrintsNoStacks"},
	{"a verb whose reader goes before its end (doctor | head)", "ends at once and in order, with 141, and leaves nothing in TMPDIR", "tests/e2e/reader_test.go", "TestAVerbWhoseReaderGoesLeavesNothing"},
	{"a terminal that closes while a verb runs", "ends at once and in order, with 129, and leaves nothing in TMPDIR", "tests/e2e/reader_test.go", "TestAVerbWhoseTerminalClosesLeavesNothing"},
	{"an output that cannot be written, as on a full disk, of any verb and of `--help`", "says so, and exits with 1, however good the result", "cmd/k2hdkc-slave-agent/main_test.go", "TestAResultThatCannotBeWrittenIsNone"},
	{"SIGHUP while the agent starts and reads its configuration", "goes on, and asks K2HR3 as at every start", "tests/e2e/stop_test.go", "TestSIGHUPDuringTheStartDoesNotEndTheAgent"},
	{"a working directory that was deleted", "does everything from there", "tests/e2e/files_test.go", "TestVerbsWithoutAWorkingDirectory"},
	{"a pod beside a service called k2hdkc-slave, whose variables look like options", "takes them for none", "tests/e2e/files_test.go", "TestVariablesOfAKubernetesService"},
	{"a reload of chmpx's unit that hangs", "applies the next text all the same", "watcher/unitjobs_test.go", "TestANewerTextSupersedesAJobThatHangs"},
	{"five thousand SIGHUPs in nine seconds", "asks no more than ever, and once after the last", "watcher/ceiling_test.go", "TestFiveThousandSignals"},
	{"any answers, signals and clocks, in any order", "makes 36 requests in 10 s at most, and a replacement a second", "watcher/ceiling_test.go", "TestTheCeiling"},
	{"a CUK that would be part of K2HR3's path or query, as ../ or ?", "refuses it", "watcher/k2hr3/cuk_test.go", "TestKeysThatCannotBeUsed"},
	{"a time of a million hours in the configuration", "refuses it, and tells the bounds", "cmd/options/values_test.go", "TestEveryDurationHasBoundsThatItsHelpTells"},
	{"a token file that others can read", "closes it where it may, and warns", "watcher/member/token_test.go", "TestATokenFileThatOthersCanReadIsClosedWithAWarning"},
	{"a token to be forgotten that is a link, is on a read-only file system, or has other names", "deletes the file that the link leads to; else says where the token still is", "watcher/member/member_test.go", "TestATokenIsDeletedWhereItIs"},
	{"a proxy in the environment that is no address", "does not start, and names the variable", "watcher/k2hr3/hint_test.go", "TestAProxyThatIsNoAddressIsRefused"},
	{"http where https is, https where http is, TLS that is too old, a certificate signed by SHA-1, HTTP with a fault in it", "says that, and what to change", "watcher/k2hr3/hint_test.go", "TestHintsSayWhatIsWrongAndWhatHelps"},
	{"a client's key that is encrypted", "does not start, and says how to write it without a passphrase", "watcher/k2hr3/tls_test.go", "TestCertificateFilesThatCannotBeUsedAreNamed"},
	{"a role that is misspelt", "names role, from which resource follows", "watcher/k2hr3/hint_test.go", "TestAMisspeltRoleIsNotCalledAResource"},
	{"a chmpx that is restarted between two looks", "says so, once", "watcher/look_test.go", "TestARestartIsNoEnd"},
	{"a chmpx that is restarted, with smaller tables, right before a replacement", "judges the text for that one", "watcher/look_test.go", "TestAChmpxThatWasRestartedJustBeforeTheReplacementIsJudgedAsItIs"},
	{"a text that comes right after a chmpx has started on the one before", "judges it by all that this chmpx runs, also by what chmpxstatus does not show", "watcher/parking_test.go", "TestATextThatFollowsAtTheStartOfChmpxIsJudgedByWhatThatRuns"},
	{"a chmpx that a signal, a debugger or its cgroup's freezer has stopped, when a new text comes", "says so, and waits for it to go on; neither replaces the file again nor restarts it", "watcher/confirmation_test.go", "TestAChmpxThatIsStoppedIsWaitedFor"},
	{"a text that waits for a restart of a chmpx that is not seen, as in a pod from nothing", "puts it in place when chmpx's process ends, or nobody listens on its control port any more; without either sign says what helps", "watcher/unseen_test.go", "TestWhatWaitsForAChmpxThatIsNotSeenIsPutInPlaceBySigns"},
	{"a chmpx that somebody stops just when it gets a new text, without systemd", "restores the one before; tries the text once more when chmpx runs", "watcher/confirmation_test.go", "TestAChmpxThatMayHaveBeenStoppedGetsTheTextOnceMore"},
	{"a look-up of a name that hangs in open(2)", "ends within a second of SIGTERM", "tests/e2e/stop_test.go", "TestALookUpThatHangsDoesNotKeepTheAgentFromEnding"},
	{"the file of the time zone (/etc/localtime, or what TZ names) is a FIFO, or its file system hangs", "shows all times in UTC, and warns; waits 2 s at most", "tests/e2e/stop_test.go", "TestATimeZoneThatCannotBeReadKeepsNobodyWaiting"},
	{"a log that hangs when a signal ends the agent", "ends within a second, with status 0", "cmd/k2hdkc-slave-agent/end_test.go", "TestAProgramThatCannotSayWhyIsEndedWithinASecond"},
	{"a chmpxconftest that cannot run, says nothing, fails or is killed", "takes that for no verdict, which is no refusal, and says so once", "chmpx/conftest/conftest_test.go", "TestNoVerdictIsNoRefusal"},
	{"a chmpxconftest that crashes over one file", "refuses that file", "chmpx/conftest/conftest_test.go", "TestACrashOverThisFileAloneIsARefusal"},
	{"a chmpxconftest, or anybody else, that writes to the file it is shown", "does not put that in place; keeps the last good one, names the file, and tries again", "watcher/refuse_test.go", "TestAFileThatTheSecondOpinionAltersDoesNotGoLive"},
	{"a host that is called localhost, or by a name that is only the loopback", "registers it under its address", "tests/e2e/names_test.go", "TestWhatAHostIsRegisteredAs"},
	{"a host that is renamed", "registers it under its new name within half a minute", "tests/e2e/names_test.go", "TestAHostThatIsRenamedIsRegisteredAnew"},
	{"an instance id that cloud-init makes up, as nocloud", "does not register, and says what to set", "tests/e2e/names_test.go", "TestAnIDThatOtherHostsHaveTooIsNotUsed"},
	{"a RESOURCE of another kind of deployment, or with a placeholder left in any value, another node's too", "refuses it, and names the placeholder, where it is, the likely flavour and what to do", "watcher/refuse_test.go", "TestARefusedTextLeavesTheFileAndALaterGoodOneIsApplied"},
	{"a RESOURCE with a byte order mark, a NUL, CR alone at the ends of lines, INCLUDE, or a section's header that is misspelt or not closed", "names that first, and what follows from it after that, in the log, by `check` and by `doctor`", "chmpx/judge_test.go", "TestACauseComesBeforeWhatFollowsFromIt"},
	{"user data whose address has a decoded registerpath, also one that begins or ends with a slash", "asks K2HR3 for it in the form that K2HR3 gives out", "watcher/k2hr3/userdata_test.go", "TestARegisterpathMayBeginWithAnyLetter"},
	{"/etc/passwd or /etc/group becomes a FIFO, a device or a terabyte while an owner or a group is looked up", "waits for nobody, and says what is wrong", "render/account_test.go", "TestListsOfAccountsThatChangeTheirKind"},
	{"a file of the resolver's (/etc/hosts, resolv.conf, nsswitch.conf) that never ends, as a FIFO or /proc/kmsg", "looks up no name until it is a file again, and says why", "render/regularfile/regularfile_test.go", "TestCheckNamesFindsWhatTheResolverWouldHangOn"},
	{"a configuration, or a file it names, that changes while the agent starts or takes up another change", "takes it up at once", "cmd/lifecycle/lifecycle_test.go", "TestAChangeBetweenLoadingAndWatchingIsTakenUp"},
	{"a configuration, or a file it names, that is touched over and over", "takes up each change within two seconds, also while it waits for a configuration, and gives its sign of life meanwhile", "cmd/lifecycle/lull_test.go", "TestAnInputThatIsTouchedAllTheTimeKeepsNobodyWaiting"},
	{"hundreds of thousands of files in a folder that the agent writes in", "needs no more memory or time for a write than ever", "render/atomicfile/atomicfile_test.go", "TestWriteInAFolderWithManyNames"},
	{"somebody who asks for metrics and never ends, or reads nothing", "gives the connection up after 5 s; serves eight at once; nothing else waits", "cmd/metrics/exposer_test.go", "TestSlowReadersAreGivenUp"},
	{"an address for metrics that is in use", "does not start, and names the line; with another configuration goes on with the address before", "tests/e2e/metrics_test.go", "TestMetricsThatCannotBe"},
	{"a folder of metrics-textfile that is gone", "says so once, and writes the file when the folder is back", "cmd/metrics/exposer_test.go", "TestTextfile"},
	{"a chmpx of another user, such as root's, that was killed and has left its memory and queues", "`prepare-chmpx` removes them before chmpx's unit starts the next one", "packaging/preparechmpx/prepare_test.go", "TestWhatIsInTheWayIsRemoved"},
	{"a slave.ini that only root may read, where chmpx runs as another user", "`prepare-chmpx` gives it to chmpx's group, and a replacement has the same", "tests/service/joining_test.go", "TestMembersOfItsGroupJoinChmpxAndNobodyElse"},
	{"a reboot, or a power cut, while user data waits for the packages of a new VM", "a unit goes on with it, until its work is done", "tests/cloudinit/firstboot_test.go", "TestARebootWhileItWaits"},
	{"a repository of somebody else's that is gone, or a file that apt can make no sense of, on a new VM", "the packages are installed with what apt can read; it is said once", "tests/packages/firstday_test.go", "TestUserDataPassesWhatGoesWrong"},
	{"two repositories of one server that fail for now, over which apt's own retries may wait for ever", "apt does not retry, the unit does", "tests/packages/firstday_test.go", "TestUserDataPassesWhatGoesWrong"},
	{"a repository of somebody else's that is gone, by dnf, also where it may not be left out, with a reboot, and our repository late", "the packages are installed with what dnf can read", "tests/cloudinit/firstboot_test.go", "TestBadFirstDayByDnf"},
	{"an entry of our repository in the image that names another keyring than user data", "both go by user data's", "cloud-init/samekey_test.go", "TestTheImageKnowsTheRepository"},
	{"a dpkg that was interrupted on a new VM", "its work is ended first, with the configuration files that are there", "tests/packages/firstday_test.go", "TestUserDataPassesWhatGoesWrong"},
	{"all of that at once, on a new VM", "the VM becomes a slave node", "tests/cloudinit/firstboot_test.go", "TestBadFirstDay"},
	{"a slave-agent.ini that is there before the package, which is installed without a terminal", "the way that packaging/README.md tells keeps it", "tests/packages/firstday_test.go", "TestInstallingByHandWithoutATerminal"},
	{"a repository's key that hosts refuse: by SHA-1, expired, short, not for signing", "`user-data`, `packaging/repo` and `packaging/sign` refuse it, with the reason", "cloud-init/keypackets_test.go", "TestKeysThatNoVMWouldTake"},
	{"user.max_user_namespaces = 0 in sysctl.d", "both units go without PrivateUsers=", "packaging/generator/again_test.go", "TestGeneratedAgainOnlyWhereItHelps"},
	{"an option of systemd's own environment, chattr +i, or a hidden folder, that keeps the agent from writing", "the error says which, and what helps", "cmd/service/hint_test.go", "TestHintsHelp"},
	{"a file system that the host has mounted read-only, where the unit could be granted anything", "the error says that the mount is what to change", "cmd/service/hint_test.go", "TestAReadOnlyFileSystemIsNoMatterOfTheUnit"},
	{"an application that is to start at boot, while servers refuse chmpx", "k2hdkc-slave-online.target keeps it waiting until chmpx is healed", "tests/service/heal_test.go", "TestHalfConnectedUnderSystemd"},
	{"a cluster that grows, shrinks, changes its servers, is deleted and built again under an application at work", "nothing has to be done on the slave; the application's operations go on while there is a server", "tests/usage/guide_test.go", "TestUsageGuide"},
	{"a package installed over one that ran chmpx as root", "chmpx runs on as it is; its next start, which takes no longer than any, is that of its own user", "tests/service/joining_test.go", "TestMembersOfItsGroupJoinChmpxAndNobodyElse"},
	{"a host that may not raise fs.mqueue.msg_max, where chmpx runs as another user than root", "`prepare-chmpx` says so, and what to do", "packaging/preparechmpx/prepare_test.go", "TestQueuesAreDeepEnough"},
	{"a pod whose K2HR3, or whose certificates, are not there yet when it starts", "`once --register` waits for both, and ends only with the first good slave.ini in place", "tests/e2e/pod_test.go", "TestAPod"},
	{"a pod's sidecar that ends or starts again, also while K2HR3 is away, or its tokens have expired", "neither takes the pod out of the role nor registers it anew; reads by address and CUK", "tests/e2e/pod_test.go", "TestAPod"},
	{"a pod that was killed, and the next one of its name and address", "takes the one that ended out of the role, by the CUK that the RESOURCE shows; each next one starts", "tests/e2e/pod_test.go", "TestPodsReplacedAtOneAddress"},
	{"a sidecar that Kubernetes ends long after its preStop hook has taken the pod out", "does not register the pod again", "tests/e2e/pod_test.go", "TestAPodThatHasLeftStaysOut"},
	{"an entry at a pod's address that K2HR3 does not remove, or that comes back", "says so once, though each text has it", "watcher/member/stale_test.go", "TestAStaleEntryThatStaysIsToldOnce"},
	{"members of other addresses, or behind the address of this node", "leaves them alone", "tests/e2e/pod_test.go", "TestAPodRemovesNoOther"},
	{"a K2HR3 that is away at a pod's end", "tries to leave for 25 s, and says that the pod may still be listed", "tests/e2e/pod_test.go", "TestAPodThatCannotLeave"},
	{"an expired user token, a role that is not there, another address than that of the pod's CUK, the text of a VM in a pod", "says which, and what to do", "tests/e2e/pod_test.go", "TestPodsThatCannotStart"},
	{"a pod that gets another address, as when its node restarts", "makes a new CUK", "watcher/host/pod_test.go", "TestAnotherPodMakesAnotherCUK"},
	{"certificates of chmpx's that are renewed", "says that chmpx has to be restarted, until it was", "watcher/certs_test.go", "TestCertificatesThatChange"},
	{"certificates that are renewed right before or after a start of chmpx", "says that it has to be restarted, or restarts it, where they came after the start alone, also by a rename or a link", "watcher/certs_test.go", "TestCertificatesThatChangeAroundAStart"},
	{"certificates with a time that is still to come, or a clock that is set back after they were renewed", "no start of chmpx counts as one before them for longer than it is", "watcher/certs_test.go", "TestCertificatesOfAClockThatWasAhead"},
	{"certificates that are away for a while and come back as others under the time of the old ones", "says that chmpx has to be restarted", "watcher/certs_test.go", "TestACertificateThatIsAwayForAWhile"},
	{"certificates of chmpx's that vanish", "says which are missing, and that chmpx ends at its next load", "watcher/certs_test.go", "TestCertificatesThatAreMissing"},
	{"a new RESOURCE while one of the certificates is missing", "refuses it, and names key and file", "chmpx/pod_test.go", "TestAPodsFile"},
	{"a server that chmpx lists twice", "counts it once, with the connections of both", "chmpx/daemon/parse_test.go", "TestAServerThatIsListedTwiceIsOne"},
	{"twenty pods that start at the same time; a node with all of them that is drained", "all start, and none stays a member", "tests/pod/pod_test.go", "TestPods"},
	{"a server that registers long after the ring has it, while K2HR3 answers slowly", "a slave of a small cluster asks for it at the interval", "watcher/schedule/asking_test.go", "TestAHostThatIsBehindItsRingAsksABusyK2HR3"},
	{"another setting in the RESOURCE of a K2HR3 that does not hold requests", "a slave of a small cluster has it within the interval", "watcher/poll_test.go", "TestSlavesOfAClusterSeeAChangeOfASettingByTheInterval"},
	{"many replacements while the state cannot be saved", "says so at once, then at growing intervals", "watcher/state_test.go", "TestAStateThatCannotBeSavedIsToldAtGrowingIntervals"},
	{"a folder in the place of .slave.previous.ini", "says so at the first replacement, then at growing intervals", "watcher/state_test.go", "TestAPreviousFileThatStaysIsToldAtGrowingIntervals"},
	{"a text that is not applied on a host without slave.ini", "says that there is none yet", "watcher/refuse_test.go", "TestARefusedTextIsNoFirstFile"},
	{"a right to read that is asked for again", "tells of it once", "watcher/member/member_test.go", "TestTheRightThatIsGoodIsToldOnce"},
	{"extended attributes of slave.ini", "the next file has them", "render/looks_test.go", "TestReplaceKeepsExtendedAttributes"},
	{"an error of several lines", "each line begins with the program's name", "cmd/k2hdkc-slave-agent/end_test.go", "TestEachLineOfAnErrorNamesTheProgram"},
	{"a run-dir that is full, read-only or without an inode, or something else in the place of status.json", "goes on; `status` and `doctor` say that the status cannot be written, why and what to do, and `status` shows the file and chmpx as it sees them itself", "cmd/lifecycle/publish_test.go", "TestARunDirWhereNothingCanBeWritten"},
	{"a status.json, or a run-dir, that somebody deletes", "makes it anew at the next sign of life", "cmd/lifecycle/publish_test.go", "TestAStatusThatSomebodyDeletes"},
	{"a file system that hangs (NFS, FUSE) with run-dir, antpickax-dir, the token or the instance id on it", "`status`, `status --ready` and `doctor` end within ten seconds, with status 1, and name the file; `status` and `doctor` show what they can see without it", "tests/e2e/hanging_test.go", "TestAFileSystemThatHangs"},
	{"a piece of `bugreport` that hangs", "leaves it out after 30 s, and says so in the manifest", "cmd/bugreport/bugreport_test.go", "TestAPieceThatHangsIsLeftOut"},
	{"a signal that ends the agent", "the log says which, and that slave.ini and chmpx stay as they are", "tests/e2e/stop_test.go", "TestTheLogTellsOfTheEnd"},
	{"unregister, while K2HR3's store is down or a gateway says no in its place", "says that the host may still be listed, exits with 1, and forgets nothing; in a pod tries again for 25 s", "watcher/member/keep_test.go", "TestALeaveThatFailsSaysWhatIsLeftAndHowToCleanUp"},
	{"once on a host without a running chmpx", "says at once what it waits for, and exits with 1; without chmpxstatus with 0 at once", "watcher/once_test.go", "TestOnce"},
	{"once that a signal ends in the midst of its work", "says that it was interrupted, and exits with 1", "watcher/once_test.go", "TestOnceThatIsInterruptedSaysSo"},
}

// writeElsewhere writes them as the last table of tests/FAULTS.md.
func writeElsewhere(b *bytes.Buffer) {
	b.WriteString("\n## What the loop does not see\n\n| fault | what the agent does | test |\n|---|---|---|\n")
	for _, f := range elsewhere {
		fmt.Fprintf(b, "| %s | %s | `%s` in %s |\n", f.fault, f.does, f.test, f.file)
	}
}

func TestFaultsElsewhereHaveTheirTests(t *testing.T) {
	for _, f := range elsewhere {
		text, err := os.ReadFile("../" + f.file)
		if err != nil || !strings.Contains(string(text), "\nfunc "+f.test+"(t *testing.T) {") {
			t.Errorf("%s: no %s in %s (%v)", f.fault, f.test, f.file, err)
		}
	}
}
