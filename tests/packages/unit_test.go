package packages

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/need"
)

const (
	unitFile   = "../../packaging/k2hdkc-slave-agent.service"
	waitFile   = "../../packaging/k2hdkc-slave-wait-online.service"
	onlineFile = "../../packaging/k2hdkc-slave-online.target"
	dropInFile = "../../packaging/chmpx.service.d/50-k2hdkc-slave-agent.conf"
)

// TestUnitsAreHardened holds the units to an exposure, of 10, as systemd itself rates it.
// packaging/README.md says what the rest is for.
func TestUnitsAreHardened(t *testing.T) {
	help, err := exec.Command("systemd-analyze", "--help").Output()
	if err != nil || !strings.Contains(string(help), "--offline") {
		need.Missing(t, errors.New("needs the systemd-analyze of systemd 250 or newer"))
	}
	// Offline it looks at one file: chmpx's unit, as its package has it, with our drop-in.
	chmpx := filepath.Join(t.TempDir(), "chmpx.service")
	write(t, chmpx, read(t, "chmpx/chmpx.service")+"\n"+read(t, dropInFile))
	for file, most := range map[string]string{unitFile: "17", waitFile: "20", chmpx: "15"} {
		out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+most, file).CombinedOutput()
		if err != nil {
			t.Errorf("%s is more exposed than %s tenths: %v\n%s", file, most, err, out)
		}
	}
}

// since239 are the directives that systemd has learnt after 239, the oldest that
// is to run the units, with the version. An older one says once that it does not
// know them, and goes on: so each of them may only take something away from the
// agent that it does not need.
var since239 = map[string]string{
	"RestrictSUIDSGID": "242", "ProtectKernelLogs": "244", "ProtectClock": "245",
}

// known239 are those of the units that 239 knows.
var known239 = strings.Fields(`
	Description Documentation Wants Requires RemainAfterExit PrivateNetwork ProtectHostname After StartLimitIntervalSec ConditionFileNotEmpty
	Type User Group PIDFile ExecStartPre ExecStart ExecReload ExecStop KillSignal SendSIGHUP SuccessExitStatus Restart RestartSec
	WatchdogSec TimeoutStartSec TimeoutStopSec SyslogIdentifier SupplementaryGroups StateDirectory RuntimeDirectory
	RuntimeDirectoryPreserve UMask LimitMSGQUEUE
	CapabilityBoundingSet NoNewPrivileges PrivateUsers ProtectSystem ReadWritePaths ProtectHome PrivateTmp
	PrivateMounts PrivateDevices DevicePolicy RestrictAddressFamilies ProtectControlGroups ProtectKernelModules
	ProtectKernelTunables RestrictNamespaces RestrictRealtime LockPersonality MemoryDenyWriteExecute RemoveIPC
	KeyringMode SystemCallArchitectures SystemCallFilter SystemCallErrorNumber WantedBy`)

// values239 are values that only a newer systemd knows, of directives that are
// older: these it would refuse, and with them the unit.
var values239 = map[string][]string{
	"Type": {"notify-reload", "exec"},
}

func TestUnitsAreForOldSystemdsToo(t *testing.T) {
	used := map[string]bool{}
	for _, file := range []string{unitFile, waitFile, onlineFile, dropInFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			key, value, ok := strings.Cut(line, "=")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			used[key] = true
			if !slices.Contains(known239, key) && since239[key] == "" {
				t.Errorf("%s: when has systemd learnt %s=?", file, key)
			}
			if slices.Contains(values239[key], value) {
				t.Errorf("%s: systemd 239 does not know %s=%s", file, key, value)
			}
			if key == "After" && strings.Contains(value, "cloud") {
				t.Errorf("%s: %s: user data that starts it would wait for itself", file, line)
			}
		}
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	for key, version := range since239 {
		if !used[key] || !strings.Contains(string(text), key+" ("+version+")") {
			t.Errorf("the unit's head does not tell of %s (%s), or the unit does not use it", key, version)
		}
	}
}
