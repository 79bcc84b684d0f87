package fakek2hr3

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// podCUKs are the keys of the table's pods.
var podCUKs = map[string]string{
	"pod-0":      PodCUK("slvpod-0", "10.20.0.41", "10.20.0.49", "a0"),
	"pod-0-new":  PodCUK("slvpod-0", "10.20.0.41", "10.20.0.49", "b1"),
	"pod-0-rand": PodCUK("slvpod-0", "10.20.0.41", "10.20.0.49", "a9"),
	"pod-1":      PodCUK("slvpod-1", "10.20.0.42", "10.20.0.49", "c2"),
	"foreign":    PodCUK("slvpod-0", "10.20.0.98", "10.20.0.97", "d3"),
	"lacking":    PodCUK("", "10.20.0.41", "10.20.0.49", "e4"),
	"pod-1-lines": func() string {
		b, _ := base64.StdEncoding.DecodeString(PodCUK("slvpod-1", "10.20.0.42", "10.20.0.49", "f5"))
		return base64.StdEncoding.EncodeToString([]byte(strings.NewReplacer("{", "{\n", ",", ",\n", "}", "\n}").Replace(string(b))))
	}(),
}

// TestPodsExchangesAsRecorded holds the stand-in to what the real one answered pods.
func TestPodsExchangesAsRecorded(t *testing.T) {
	s := New()
	c := s.AddPodCluster("shop", "orders", "")
	for i, addr := range []string{"10.20.0.42", "10.20.0.49"} {
		name := fmt.Sprintf("svrpod-orders-%d", i)
		c.Join(addr, PodCUK(name, addr, "10.20.0.49", fmt.Sprint(i)), name)
	}
	tab := &table{
		world:  world{base: serve(t, s), tenant: "shop", cluster: "orders"},
		client: &http.Client{Transport: &http.Transport{}},
		tokens: map[string]string{"unscoped": s.UnscopedToken("shop"), "nobodys": strings.Repeat("7", 64)},
		paths:  map[string]string{}, tags: map[string]string{},
	}
	defer tab.client.CloseIdleConnections()
	var recorded []string
	for i, r := range podExchanges {
		if !slices.Contains(recorded, r.rec) {
			recorded = append(recorded, r.rec)
		}
		t.Run(fmt.Sprintf("%03d_%s_%s", i, r.rec, strings.Fields(r.req)[0]), func(t *testing.T) { tab.check(t, r) })
	}
	if len(recorded) != 53 {
		t.Errorf("%d recordings are held, want 53", len(recorded))
	}
}

var scopedBody = regexp.MustCompile(`^\{"result":true,"message":"succeed","scoped":true,"token":"([0-9a-f]{64})"\}$`)

// saveScoped keeps the user's token that an answer has.
func (tab *table) saveScoped(t *testing.T, body []byte) {
	t.Helper()
	m := scopedBody.FindSubmatch(body)
	if m == nil {
		t.Fatalf("no user token in %s", body)
	}
	tab.tokens["scoped"] = string(m[1])
}

// The text of a cluster of pods has what the chart's has, and its certificates.
func TestTextOfPods(t *testing.T) {
	s := New()
	c := s.AddPodCluster("shop", "orders", "/c")
	c.Join("10.20.0.42", PodCUK("svrpod-orders-0", "10.20.0.42", "10.20.0.49", "1"), "svrpod-orders-0")
	text := c.Text()
	for _, want := range []string{
		"= %%FILE_DOWNLOAD_DATE%%\n", "= %%SELF_CONTAINER_CUK%%\n", "= /c/ca.crt\n", "= /c/server.crt\n", "= /c/server.key\n", "= /c/client.crt\n", "= /c/client.key\n",
		"CONTIMEOUT          = 10000\n", "CTLPORT             = 8022\n", "NAME                = 10.20.0.42\n", "CUSTOM_ID_SEED      = svrpod-orders-0\n", "= dummy_host\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if off, on := strings.Index(text, "SSL                 = no\n"), strings.Index(text, "SSL                 = on\n"); off < 0 || on < off {
		t.Errorf("SSL is not off and then on (docs/flavours.md 0.9):\n%s", text)
	}
}
