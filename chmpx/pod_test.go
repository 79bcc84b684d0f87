package chmpx

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/fakek2hr3"
	"k2hdkc-slave-agent/tests/fatal"
)

// TestAPodsFile judges what K2HR3 renders for a pod of Kubernetes, with TLS (docs/flavours.md 6.1).
// The stand-in's loader, which was written without this one, says the same.
func TestAPodsFile(t *testing.T) {
	const addr, node = "10.244.1.21", "10.0.0.11"
	// Of two pods of one address the CUK that sorts later is the one that counts.
	var keys []string
	for rand := range 26 {
		keys = append(keys, fakek2hr3.PodCUK("slvpod-orders-0", addr, node, string(rune('a'+rand))))
	}
	slices.Sort(keys)
	earlier, own, later := keys[0], keys[13], keys[25]
	for _, tt := range []struct {
		name    string
		slaves  []string // CUKs at addr
		tag     string
		missing string
		left    string // a placeholder that nobody replaces
		want    Verdict
		says    []string
	}{
		{"as it is", []string{own}, "slvpod-orders-0", "", "", Accept, []string{"sets SSL too; the last one wins"}},
		{"a stale pod that sorts before", []string{earlier, own}, "slvpod-orders-0", "", "", Accept, []string{"merges the two into one node"}},
		{"a stale pod that sorts after", []string{own, later}, "slvpod-orders-0", "", "", Reject, []string{"merges the two into one node"}},
		{"nobody is registered", nil, "", "", "", Reject, []string{"dummy_cuk", "register this host"}},
		{"registered without a tag", []string{own}, "", "", "", Reject, []string{"has no CUSTOM_ID_SEED"}},
		{"no CA", []string{own}, "slvpod-orders-0", "ca.crt", "", Reject, []string{"CAPATH", "ca.crt", "is not a directory or a file on this host"}},
		{"no certificate of a server", []string{own}, "slvpod-orders-0", "server.crt", "", Reject, []string{"SERVER_CERT", "server.crt", "is not a file on this host"}},
		{"no key of a server", []string{own}, "slvpod-orders-0", "server.key", "", Reject, []string{"SERVER_PRIKEY", "server.key", "is not a file on this host"}},
		{"no certificate of its own", []string{own}, "slvpod-orders-0", "client.crt", "", Reject, []string{"SLAVE_CERT", "client.crt", "is not a file on this host"}},
		{"no key of its own", []string{own}, "slvpod-orders-0", "client.key", "", Reject, []string{"SLAVE_PRIKEY", "client.key", "is not a file on this host"}},
		{"the CUK's placeholder is left", []string{own}, "slvpod-orders-0", "", "%%SELF_CONTAINER_CUK%%", Reject, []string{"SELFCUK is still the placeholder", "flavour = k8s"}},
		{"that of another flavour", []string{own}, "slvpod-orders-0", "", "__SELF_INSTANCE_ID__", Reject, []string{"SELFCUK is still the placeholder", "flavour = openstack"}},
		{"the date's placeholder is left", []string{own}, "slvpod-orders-0", "", "%%FILE_DOWNLOAD_DATE%%", Accept, []string{"does chmpx no harm", "flavour = k8s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"ca.crt", "server.crt", "server.key", "client.crt", "client.key"} {
				if name == tt.missing {
					continue
				}
				fatal.If(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
			}
			c := fakek2hr3.New().AddPodCluster("shop", "orders", dir)
			c.Join("10.244.1.17", fakek2hr3.PodCUK("svrpod-orders-0", "10.244.1.17", node, "s"), "svrpod-orders-0")
			for _, cuk := range tt.slaves {
				c.AddSlave(addr, cuk, tt.tag)
			}
			text := c.Text()
			if strings.HasPrefix(tt.left, "__") {
				text = strings.Replace(text, "%%SELF_CONTAINER_CUK%%", tt.left, 1)
			}
			for name, value := range map[string]string{"%%SELF_CONTAINER_CUK%%": own, "%%FILE_DOWNLOAD_DATE%%": "Thu, 26 Nov 2026 11:00:00 +0000"} {
				if name != tt.left {
					text = strings.Replace(text, name, value, 1)
				}
			}
			r := Judge(context.Background(), []byte(text), Host{Addrs: []string{"127.0.0.1", addr}}, nil)
			if r.Verdict != tt.want {
				t.Errorf("%v, want %v: %v", r.Verdict, tt.want, r.Findings)
			}
			var all strings.Builder
			for _, f := range r.Findings {
				all.WriteString(f.String() + "\n")
			}
			for _, want := range tt.says {
				if !strings.Contains(all.String(), want) {
					t.Errorf("does not say %q:\n%s", want, &all)
				}
			}
			file := filepath.Join(dir, "slave.ini")
			fatal.If(t, os.WriteFile(file, []byte(text), 0o600))
			h := fakechmpx.Host{Names: []string{"localhost", "127.0.0.1", addr}}
			loaded, err := fakechmpx.ReadConfig(file, h)
			if err == nil {
				err = loaded.CanStart(h)
			}
			if (err == nil) != (tt.want == Accept) {
				t.Errorf("the stand-in's loader: %v", err)
			}
		})
	}
}
