package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// tools are the programs of the host that machines are made with, and the
// Debian packages that have them.
var tools = []struct{ program, pkg string }{
	{"systemd-nspawn", "systemd-container"},
	{"mmdebstrap", "mmdebstrap"},
	{"ip", "iproute2"},
	{"unshare", "util-linux"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
	{"tar", "tar"},
	{"apt-get", "apt"},
}

// Available returns why there can be no machines here, or nil.
func Available() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("machines need Linux")
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("machines need root")
	}
	var missing []string
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err != nil {
			missing = append(missing, fmt.Sprintf("%s (package %s)", t.program, t.pkg))
		}
	}
	if missing != nil {
		return fmt.Errorf("machines need %s", strings.Join(missing, ", "))
	}
	return nil
}
