package lifecycle

import (
	"os/exec"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/machine"
	"k2hdkc-slave-agent/tests/machine/slave"
	"k2hdkc-slave-agent/tests/packages"
)

// image runs a shell script as process 1 where $root is a Debian that was never
// booted, $deb the agent's package, and $1 and on are args.
const image = `set -eu
dir=$1 base=$2 deb=$3
shift 3
mount -t tmpfs image "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
root=$dir/root
mount -t overlay -o "lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work" image "$root"
mount -t proc proc "$root/proc"
mount --bind /dev/null "$root/dev/null" 2>/dev/null || { : >"$root/dev/null"; mount --bind /dev/null "$root/dev/null"; }
cp "$deb" "$root/agent.deb"
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
`

func inImage(t *testing.T, script string, args ...string) machine.Result {
	t.Helper()
	machine.Require(t)
	base, err := machine.Rootfs(t.Context(), machine.Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	deb := packages.One(t, packages.Build(t, older), "deb")
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{
		"--mount", "--propagation=private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", image + script, "sh", t.TempDir(), base, deb,
	}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return machine.Result{Status: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

func TestDebInAnImageWithoutSystemd(t *testing.T) {
	for _, c := range []struct{ name, dpkg, deb string }{
		{"dpkg in a chroot", `chroot "$root" dpkg`, "/agent.deb"},
		{"dpkg from outside", `dpkg --root="$root"`, `"$root/agent.deb"`},
	} {
		for _, configured := range []string{"", slave.Config} {
			name := c.name
			if configured != "" {
				name += " with a configuration"
			}
			t.Run(name, func(t *testing.T) {
				r := inImage(t, `
					if [ -n "$1" ]; then
						mkdir -p "$root/etc/k2hdkc"
						printf %s "$1" >"$root/etc/k2hdkc/slave-agent.ini"
					fi
					`+c.dpkg+` --force-confold --install `+c.deb+` >/dev/null
					echo "enabled: $(readlink "$root/etc/systemd/system/multi-user.target.wants/k2hdkc-slave-agent.service")"
					echo "running: $(pgrep k2hdkc-slave-ag || :)"
					echo "made:" $(cd "$root" && ls -d var/lib/k2hdkc-slave-agent etc/k2hdkc/slave.ini run/k2hdkc-slave-agent 2>/dev/null)
					begin=$(date +%s)
					`+c.dpkg+` --purge k2hdkc-slave-agent >/dev/null
					[ $(($(date +%s) - begin)) -lt 5 ] || echo "the purge took too long"
					echo "left:" $(cd "$root" && find etc var/lib -name '*k2hdkc*' ! -path 'var/lib/dpkg/*')
				`, configured)
				want := "enabled: /lib/systemd/system/k2hdkc-slave-agent.service\nrunning: \nmade:\nleft:\n"
				if got := strings.ReplaceAll(r.Stdout, "/usr/lib/systemd", "/lib/systemd"); r.Status != 0 || got != want {
					t.Errorf("got %v\nwant\n%s", r, want)
				}
				if said := unusual(r.Stderr); said != "" {
					t.Errorf("the package says: %s", said)
				}
			})
		}
	}
}
