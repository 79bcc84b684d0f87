package k2hr3

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k2hdkc-slave-agent/tests/fakek2hr3"
)

func pod(rand string) CUK { return must(ParseCUK(fakek2hr3.PodCUK("slvpod-0", vm, "10.0.0.99", rand))) }

func TestPodCUK(t *testing.T) {
	p := Pod{ContainerID: "c", Random: "r", Namespace: "n", NodeIP: "1.2.3.4", NodeName: "n1", ID: "i", IP: "5.6.7.8", Name: "p-0", ServiceAccount: "default"}
	key, err := p.CUK()
	if err != nil {
		t.Fatal(err)
	}
	if back, ok := PodOf(key); !ok || back != p {
		t.Errorf("%+v, %v", back, ok)
	}
	if url := key.ForURL(); strings.ContainsAny(url, "=+/") {
		t.Errorf("in URLs %s", url)
	}
	p.NodeName = "~~~~~~~~~"
	if key, err := p.CUK(); err == nil {
		t.Errorf("%s has a sign that K2HR3's tools write otherwise", key)
	}
	for _, not := range []string{"vm-1", "e30=", "5d0c7a3e-91b4-4f60-8a2d-0e6c1b7f4a01"} {
		if _, ok := PodOf(must(ParseCUK(not))); ok {
			t.Errorf("%s is a pod's", not)
		}
	}
}

func TestTheLifeOfAPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.cluster = s.AddPodCluster("shop", "orders", "")
		c, ctx := s.client, t.Context()
		user := must(NewUserToken(s.UnscopedToken("shop") + "\n"))
		token, err := c.RoleToken(ctx, user, s.role, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		key := pod("1")
		noError(t, c.Register(ctx, s.role, token, Registration{CUK: key, Tag: "slvpod-0", Extra: Kubernetes}))
		for cuk, want := range map[CUK]bool{key: true, pod("2"): false} {
			if is, _, err := c.IsMember(ctx, s.role, cuk); is != want || err != nil {
				t.Errorf("member %v, %v; want %v", is, err, want)
			}
		}
		if got := s.cluster.Slaves(); len(got) != 1 || got[0].CUK != key.String() || got[0].Extra != "k8s-auto-v1" || got[0].Tag != "slvpod-0" {
			t.Errorf("members %+v", got)
		}
		if a, err := c.Resource(ctx, Query{Resource: s.role.Resource(), Role: s.role, CUK: key}); err != nil || !strings.Contains(a.Text, "CUK                 = "+key.String()+"\n") {
			t.Errorf("by address and CUK: %v\n%s", err, a.Text)
		}
		if err := c.Unregister(ctx, s.role, pod("2")); !errors.Is(err, ErrNotMember) {
			t.Errorf("another pod's: %v", err)
		}
		if err := c.Unregister(ctx, s.role, key); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if good, _, err := c.TakesToken(ctx, s.role, token); good || err != nil {
			t.Errorf("after its hour the role token is good: %v, %v", good, err)
		}
	})
}

func TestWhatAPodIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.cluster = s.AddPodCluster("shop", "orders", "")
		token := must(NewToken(s.cluster.RoleToken("slave", 0)))
		c, ctx := s.client, t.Context()
		user := must(NewUserToken(s.UnscopedToken("shop")))
		check := func(what string, err, kind error, words ...string) {
			t.Helper()
			if !errors.Is(err, kind) {
				t.Fatalf("%s: %v, want %v", what, err, kind)
			}
			says(t, what, err, words, nil)
		}
		elsewhere := must(ParseCUK(fakek2hr3.PodCUK("slvpod-0", "10.7.7.7", "10.8.8.8", "1")))
		err := c.Register(ctx, s.role, token, Registration{CUK: elsewhere, Tag: "slvpod-0", Extra: Kubernetes})
		check("another address", err, ErrBadRequest, "10.7.7.7", "10.8.8.8")
		err = c.Register(ctx, s.role, token, Registration{CUK: cuk, Tag: "slvpod-0", Extra: Kubernetes})
		check("a VM's CUK", err, ErrBadRequest, "not one of a pod")
		_, err = c.RoleToken(ctx, user, must(ParseRole("yrn:yahoo:::shop:role:nosuch/slave")), time.Hour)
		check("no role", err, ErrNotFound, "there is no such role")
		_, err = c.RoleToken(ctx, user, must(ParseRole("yrn:yahoo:::other:role:orders/slave")), time.Hour)
		check("another tenant", err, ErrUserToken, "the tenant is not the user's")
		s.ExpireUsers()
		_, err = c.RoleToken(ctx, user, s.role, time.Hour)
		check("an expired user token", err, ErrUserToken, "has expired", "user-token-file")
		if strings.Contains(err.Error()+s.log.String(), user.secret.Value()) {
			t.Errorf("the user token is told: %v\n%s", err, &s.log)
		}
		_, err = c.RoleToken(ctx, UserToken{}, s.role, time.Hour)
		check("no user token", err, ErrBadRequest)
	})
}

func TestUserTokenIsHidden(t *testing.T) {
	const secret = "gAAAAABmZm9vYmFy-_x"
	checkHidden(t, must(NewUserToken(" U="+secret+"\r\n")), secret, "user token (hidden)")
	for text, want := range map[string]string{
		"": "is empty", "R=abc": "role token", "q z": "blank", "a\nb": "more than one line", "grün": "sign", strings.Repeat("x", 9000): "9000 bytes",
	} {
		if _, err := NewUserToken(text); err == nil || !strings.Contains(err.Error(), want) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}
