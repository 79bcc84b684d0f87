package machine

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestVirtualMachine(t *testing.T) {
	RequireVM(t)
	start := time.Now()
	v := VMForTest(t, Options{Name: "app-1.shop.example", InstanceID: "first", UserData: "#cloud-config\nruncmd:\n  - touch /srv/from-user-data\n"})
	t.Logf("up after %v", time.Since(start).Round(time.Millisecond))
	ctx := Deadline(t)
	sh := func(v *VM, script string) string {
		t.Helper()
		r, err := v.Exec(ctx, "sh", "-euc", script)
		if err != nil || r.Status != 0 {
			t.Fatalf("%s: %v, %v", script, err, r)
		}
		return strings.TrimSpace(r.Stdout)
	}
	const facts = "hostname -f; cat /var/lib/cloud/data/instance-id; ls /srv; systemd-detect-virt --container || :; cat /etc/shop/kept 2>/dev/null || :"
	if got, want := sh(v, facts), "app-1.shop.example\nfirst\nfrom-user-data\nnone"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := v.CopyIn(ctx, "/etc/shop/kept", 0o640, strings.NewReader("kept\n")); err != nil {
		t.Fatal(err)
	}
	sh(v, "rm /srv/from-user-data")
	before := sh(v, "cat /proc/sys/kernel/random/boot_id")
	start = time.Now()
	if err := v.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("up again after %v", time.Since(start).Round(time.Millisecond))
	if after := sh(v, "cat /proc/sys/kernel/random/boot_id"); after == before {
		t.Error("it has not rebooted")
	}
	if got, want := sh(v, facts), "app-1.shop.example\nfirst\nnone\nkept"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	snapshot := filepath.Join(t.TempDir(), "disk")
	if err := v.Snapshot(ctx, snapshot); err != nil {
		t.Fatal(err)
	}
	clone := VMForTest(t, Options{Name: "app-2.shop.example", InstanceID: "second", Disk: snapshot, UserData: "#cloud-config\n{}\n"})
	if got, want := sh(clone, facts), "app-2.shop.example\nsecond\nnone\nkept"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if v.Addr() == clone.Addr() {
		t.Errorf("both are %s", v.Addr())
	}
}

func TestCloneOfAMachine(t *testing.T) {
	m := ForTest(t, Options{Name: "app-1.shop.example", InstanceID: "first", UserData: "#cloud-config\n{}\n"})
	run(t, m, "mkdir /srv/shop; echo kept >/srv/shop/file; rm -r /etc/kernel")
	snapshot := filepath.Join(t.TempDir(), "disk")
	if err := m.Snapshot(Deadline(t), snapshot); err != nil {
		t.Fatal(err)
	}
	clone := ForTest(t, Options{Name: "app-2.shop.example", InstanceID: "second", Disk: snapshot, UserData: "#cloud-config\n{}\n"})
	const facts = "hostname -f; cat /var/lib/cloud/data/instance-id; cat /srv/shop/file; ls -d /etc/kernel 2>&1 || :"
	const gone = "\nkept\nls: cannot access '/etc/kernel': No such file or directory"
	if got, want := run(t, clone, facts), "app-2.shop.example\nsecond"+gone; got != want {
		t.Errorf("the clone: got\n%s\nwant\n%s", got, want)
	}
	if got, want := run(t, m, facts), "app-1.shop.example\nfirst"+gone; got != want {
		t.Errorf("the first: got\n%s\nwant\n%s", got, want)
	}
}
