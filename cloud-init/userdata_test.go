package cloudinit

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the examples the tests compare with")

const (
	token   = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	roleYRN = "yrn:yahoo:::shop:role:orders/slave"
	config  = "[k2hr3]\napi-uri = https://k2hr3.example.com\nrole = " + roleYRN + "\n"
)

// key is an armoured public key; its private one is lost.
func key(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/packages.asc")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func repository(t *testing.T, name, spec string) Repository {
	t.Helper()
	r, err := ParseRepository(name, spec, key(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func example(t *testing.T) UserData {
	return UserData{
		Role: roleYRN,
		Files: []File{
			{Path: TokenPath, Mode: Private, Text: token + "\n"},
			{Path: ConfigPath, Mode: Public, Text: config},
		},
		Repos: []Repository{repository(t, "k2hdkc", "https://packages.example.com/k2hdkc")},
		Unit:  "chmpx.service",
	}
}

func render(t *testing.T, write func() (string, error)) string {
	t.Helper()
	text, err := write()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The examples for readers are what is printed.
func TestExamplesAreCurrent(t *testing.T) {
	u := example(t)
	for file, got := range map[string]string{
		"user-data.yaml": render(t, u.CloudConfig),
		"user-data.sh":   render(t, u.Script),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got), write it with -update if it is meant:\n%s", file, diff)
		}
	}
}

func TestTooMuchForNovaIsRefused(t *testing.T) {
	u := example(t)
	room := MaxBase64/4*3 - len(render(t, u.CloudConfig))
	long := func(n int) UserData {
		v := example(t)
		v.Files[0].Text = strings.Repeat("x", n) + v.Files[0].Text
		return v
	}
	if text := render(t, long(room).CloudConfig); len(text) != MaxBase64/4*3 {
		t.Errorf("%d bytes are not the most that fits", len(text))
	}
	for name, write := range map[string]func() (string, error){"cloud-config": long(room + 1).CloudConfig, "script": long(room + 5000).Script} {
		if text, err := write(); err == nil || !strings.Contains(err.Error(), "Nova takes 65535") {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}

func TestRepositoriesForTwoFamiliesAreRefused(t *testing.T) {
	u := example(t)
	u.Repos = []Repository{
		repository(t, "k2hdkc", "deb https://packages.example.com/k2hdkc/apt stable main"),
		repository(t, "chmpx", "rpm https://packages.example.com/chmpx"),
	}
	for _, write := range []func() (string, error){u.CloudConfig, u.Script} {
		if _, err := write(); err == nil || !strings.Contains(err.Error(), "no VM can use both") {
			t.Errorf("got %v", err)
		}
	}
}

func TestWithoutRepositoryTheImageHasOne(t *testing.T) {
	u := example(t)
	u.Repos = nil
	for _, text := range []string{render(t, u.CloudConfig), render(t, u.Script)} {
		for _, absent := range []string{".sources\n", "yum.repos.d", ".asc"} {
			if strings.Contains(text, absent) {
				t.Errorf("there is a %s:\n%s", absent, text)
			}
		}
	}
}

// TestAKeyIsInTheTextOnce: it is the largest part of it, and Nova takes no more than so much.
func TestAKeyIsInTheTextOnce(t *testing.T) {
	for _, spec := range []string{
		"https://packages.example.com/k2hdkc", "deb https://packages.example.com/k2hdkc/apt stable main", "rpm https://packages.example.com/k2hdkc/yum",
	} {
		u := example(t)
		u.Repos = []Repository{repository(t, "k2hdkc", spec)}
		for format, write := range map[string]func() (string, error){"cloud-config": u.CloudConfig, "script": u.Script} {
			if n := strings.Count(render(t, write), armourHead); n != 1 {
				t.Errorf("%s, %s: the key is there %d times", spec, format, n)
			}
		}
	}
}
