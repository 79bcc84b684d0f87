package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// tools are the programs of the host that machines are made with. Their
// packages are in .ci/packages or essential to Debian.
var tools = []string{"systemd-nspawn", "mmdebstrap", "ip", "unshare", "nsenter", "mount", "tar", "apt-get"}

// Available returns why there can be no machines here, or nil.
func Available() error {
	if runtime.GOOS != "linux" {
		return errors.New("machines need Linux")
	}
	if os.Geteuid() != 0 {
		return errors.New("machines need root")
	}
	var missing []string
	for _, name := range tools {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("machines need %s, which are not installed; the packages are in .ci/packages", strings.Join(missing, ", "))
	}
	out, err := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("machines need namespaces, which may not be made here: %s", tail(out))
	}
	return nil
}
