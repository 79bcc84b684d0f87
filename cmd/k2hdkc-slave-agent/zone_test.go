package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/tests/fatal"
)

// zoneChild names the variable that has a process of this test say which zone it is in: Go's own
// choice, then useZone's, and what useZone says.
const zoneChild = "K2HDKC_TEST_ZONE"

// The zone is the one that Go takes, but that it is UTC, with a reason, where Go says nothing or
// waits for ever.
func TestTheZoneIsTheOneThatGoTakes(t *testing.T) {
	if who := os.Getenv(zoneChild); who != "" {
		sayZone(who == "both")
		return
	}
	dir := t.TempDir()
	fifo, text, tokyo := filepath.Join(dir, "fifo"), filepath.Join(dir, "text"), filepath.Join(dir, "tokyo")
	fatal.If(t, unix.Mkfifo(fifo, 0o600))
	fatal.If(t, os.WriteFile(text, []byte("no zone"), 0o600))
	fatal.If(t, os.WriteFile(tokyo, []byte(tzif), 0o600))
	const unset = "unset"
	for tz, says := range map[string]string{
		unset: "", "": "", ":": "", "UTC": "", ":UTC": "", ":/etc/localtime": "",
		tokyo: "", ":" + tokyo: "",
		"Asia/Tokyo": "?", ":America/New_York": "?", // as this host has zones or not
		"JST-9": "there is no /usr/share/zoneinfo/JST-9", "::UTC": "there is no",
		"/no/such/zone": "there is no /no/such/zone", "../zoneinfo/no": "there is no",
		text: text + ": malformed", dir: "but a directory", "/dev/zero": "but a device", fifo: fifo + ": it is not a regular file but a FIFO",
	} {
		t.Run(tz, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheZoneIsTheOneThatGoTakes$")
			cmd.Env = []string{zoneChild + "=both", "GOROOT=/nowhere"} // Go's own zones are not asked
			if tz == fifo || tz == "/dev/zero" {
				cmd.Env[0] = zoneChild + "=own"
			}
			if tz != unset {
				cmd.Env = append(cmd.Env, "TZ="+tz)
			}
			out, err := cmd.Output()
			fatal.If(t, err)
			lines := strings.Split(string(out), "\n")
			if lines[0] != lines[1] {
				t.Errorf("it is %q, and Go's is %q", lines[1], lines[0])
			}
			if got := lines[2]; says != "?" && (says == "" && got != "nothing" || !strings.Contains(got, says)) {
				t.Errorf("it says %s, want %q", got, says)
			}
			if strings.Contains(tz, "tokyo") && !strings.Contains(lines[1], "JST") {
				t.Errorf("it is %q", lines[1])
			}
		})
	}
}

// tzif is a file of a zone (RFC 9636): one time, nine hours ahead.
const tzif = "TZif" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x04" +
	"\x00\x00\x7e\x90\x00\x00JST\x00"

func sayZone(both bool) {
	moments := func() (all []string) {
		for _, second := range []int64{0, 1_700_000_000, 1_720_000_000, 4_000_000_000} {
			all = append(all, time.Unix(second, 0).Format(time.RFC3339+" MST"))
		}
		return append(all, time.Local.String())
	}
	gos := []string{"1970-01-01T00:00:00Z UTC", "2023-11-14T22:13:20Z UTC", "2024-07-03T09:46:40Z UTC", "2096-10-02T07:06:40Z UTC", "UTC"}
	if both {
		gos = moments()
	}
	tz, set := os.LookupEnv("TZ")
	err := useZone(context.Background(), tz, set)
	says := "nothing"
	if err != nil {
		says = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	fmt.Printf("%s\n%s\n%s\n", gos, moments(), says)
}

func TestAZoneThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	for name, signal := range map[string]bool{"a file system that hangs": false, "a signal meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				release := make(chan struct{})
				defer close(release)
				want := zoneLimit
				if signal {
					want = time.Millisecond
					time.AfterFunc(want, cancel)
				}
				start := time.Now()
				_, err := awaitZone(ctx, func() (*time.Location, error) { <-release; return time.UTC, nil })
				if took := time.Since(start); took != want || err == nil {
					t.Errorf("%v after %v, want an error after %v", err, took, want)
				}
			})
		})
	}
}
