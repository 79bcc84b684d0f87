package render

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/turning"
)

func TestAccountsByNameAndNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "group")
	many := strings.Repeat("somebody,", 10_000)
	text := "# a comment: x:7:\n\nroot:x:0:\n  indented:x:4:\nwheel:x:10:" + many + "chmpx:x:11:\nbroken:x:many:\nnobody:x:4294967295:\n" +
		"short:x:5\nchmpx:x:996:a,b\nchmpx:x:997:\n+:::\nlast:x:4294967294:"
	fatal.If(t, os.WriteFile(path, []byte(text), 0o600))
	for account, want := range map[string]int{"root": 0, "indented": 4, "wheel": 10, "chmpx": 996, "last": 4294967294, "0": 0, "12": 12, "4294967294": 4294967294} {
		if got, err := accountID("group", account, path, MaxAccounts); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", account, got, err, want)
		}
	}
	for _, account := range []string{"nosuch", "broken", "nobody", "short", "somebody", "+", "-1"} {
		_, err := accountID("group", account, path, MaxAccounts)
		if !errors.Is(err, ErrNoAccount) || !strings.Contains(err.Error(), "the group "+account+" does not exist") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", account, err)
		}
	}
	for _, account := range []string{"4294967295", "99999999999999999999"} {
		if _, err := accountID("user", account, path, MaxAccounts); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%s: %v", account, err)
		}
	}
	if _, err := accountID("group", "chmpx", path, 10); !errors.Is(err, regularfile.ErrTooLarge) {
		t.Errorf("a list that is too long: %v", err)
	}
	if _, err := accountID("group", "chmpx", path+".none", MaxAccounts); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "its number") {
		t.Errorf("no list: %v", err)
	}
}

func TestAccountsOfThisHost(t *testing.T) {
	if id, err := UserID("root"); err != nil || id != 0 {
		t.Errorf("%d, %v", id, err)
	}
	if id, err := GroupID("root"); err != nil || id != 0 {
		t.Errorf("%d, %v", id, err)
	}
}

// The lists may become anything between any two system calls.
func TestListsOfAccountsThatChangeTheirKind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	defer turning.Begin(path,
		func(path string) { os.WriteFile(path, []byte("chmpx:x:996:996::/:/bin/false\n"), 0o600) },
		func(path string) { unix.Mkfifo(path, 0o600) },
		func(path string) { os.Symlink("/dev/zero", path) },
		func(path string) {
			os.WriteFile(path, nil, 0o600)
			os.Truncate(path, 1<<40)
		})()
	looked := make(chan int)
	go func() {
		found := 0
		for range 5000 {
			id, err := accountID("user", "chmpx", path, regularfile.Small)
			if err == nil && id != 996 {
				t.Errorf("found %d", id)
			}
			if err == nil {
				found++
			}
		}
		looked <- found
	}()
	select {
	case n := <-looked:
		t.Logf("found %d times of 5000", n)
	case <-time.After(time.Minute):
		t.Error("it waits")
	}
}
