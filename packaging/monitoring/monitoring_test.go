// Package monitoring has what a Prometheus needs to watch the agents of many hosts: alert rules,
// and a dashboard for Grafana.
package monitoring

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k2hdkc-slave-agent/cmd/metrics"
	"k2hdkc-slave-agent/tests/fatal"
	"k2hdkc-slave-agent/tests/need"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	fatal.If(t, err)
	return string(b)
}

func TestPromtoolTakesTheAlerts(t *testing.T) {
	need.Programs(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// The good day of alerts_test.yml proves something: it lets an alert fire that does not wait.
func TestTheGoodDayIsNoQuietOne(t *testing.T) {
	need.Programs(t, "promtool")
	dir := t.TempDir()
	hasty := regexp.MustCompile(`for: \d+m`).ReplaceAllString(read(t, "alerts.yml"), "for: 1m")
	day, _, _ := strings.Cut(read(t, "alerts_test.yml"), "  - name: chmpx is down")
	for name, text := range map[string]string{"alerts.yml": hasty, "alerts_test.yml": day} {
		fatal.If(t, os.WriteFile(path.Join(dir, name), []byte(text), 0o600))
	}
	out, err := exec.Command("promtool", "test", "rules", path.Join(dir, "alerts_test.yml")).CombinedOutput()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || strings.Count(string(out), "alertname=") < 4 {
		t.Errorf("%v\n%s", err, out)
	}
}

var (
	alertExpr = regexp.MustCompile(`(?m)^        expr: (>-\n(?:          .*\n)+|.*\n)`)
	metric    = regexp.MustCompile(`k2hdkc_slave_[a-z0-9_]+`)
	codes     = regexp.MustCompile(`code=~?"([a-z0-9_|]+)"`)
	runbook   = regexp.MustCompile(`runbook_url: "file:///usr/share/doc/k2hdkc-slave-agent/(\S+)#(\S+|\{\{ \$labels\.code \}\})"`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// exprs are the queries of the alerts and of the dashboard.
func exprs(t *testing.T) (list []string) {
	t.Helper()
	for _, m := range alertExpr.FindAllStringSubmatch(read(t, "alerts.yml"), -1) {
		list = append(list, m[1])
	}
	var dashboard any
	fatal.If(t, json.Unmarshal([]byte(read(t, "dashboard.json")), &dashboard))
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, v := range v {
				walk(k, v)
			}
		case []any:
			for _, v := range v {
				walk(key, v)
			}
		case string:
			if key == "expr" || key == "query" && strings.Contains(v, "(") {
				list = append(list, v)
			}
		}
	}
	walk("", dashboard)
	return list
}

func TestQueriesNameMetricsThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, f := range metrics.Families() {
		name := "k2hdkc_slave_" + f.Name
		if f.Type == "histogram" {
			known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = true, true, true
			continue
		}
		known[name] = true
	}
	list := exprs(t)
	if len(list) < 20 {
		t.Errorf("only %d queries were found", len(list))
	}
	used := map[string]bool{}
	for _, e := range list {
		names := metric.FindAllString(e, -1)
		if len(names) == 0 && !strings.Contains(e, "up{job=") { // an agent that is gone shows none
			t.Errorf("a query without a metric of the agent's: %s", e)
		}
		for _, name := range names {
			used[name] = true
			if !known[name] {
				t.Errorf("there is no %s: %s", name, e)
			}
		}
	}
	// The dashboard is to show all there is.
	for name := range known {
		if !used[name] && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			t.Errorf("no query has %s", name)
		}
	}
}

// anchors are the headings of a document as links lead to them.
func anchors(t *testing.T, doc string) (list []string) {
	t.Helper()
	for _, m := range heading.FindAllStringSubmatch(read(t, doc), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		list = append(list, anchor)
	}
	return list
}

func TestRunbooksLeadToHeadings(t *testing.T) {
	alerts := strings.Split(read(t, "alerts.yml"), "- alert: ")[1:]
	if len(alerts) < 3 || len(alerts) > 5 {
		t.Errorf("there are %d alerts", len(alerts))
	}
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		m := runbook.FindStringSubmatch(alert)
		if m == nil {
			t.Errorf("%s has no runbook", name)
			continue
		}
		targets := []string{m[2]}
		if strings.HasPrefix(m[2], "{{") {
			targets = strings.Split(codes.FindStringSubmatch(alert)[1], "|")
		}
		headings := anchors(t, "../../docs/"+m[1])
		for _, target := range targets {
			if !slices.Contains(headings, target) {
				t.Errorf("%s: docs/%s has no heading %s", name, m[1], target)
			}
		}
	}
}

// Whatever is wrong for long, somebody is told.
func TestEachConditionHasAnAlert(t *testing.T) {
	text := read(t, "alerts.yml")
	_, table, _ := strings.Cut(read(t, "../../docs/status.md"), "\n## Conditions")
	list := regexp.MustCompile("(?m)^\\| \\[`([a-z0-9_]+)`\\]").FindAllStringSubmatch(table, -1)
	if len(list) < 20 {
		t.Fatalf("only %d conditions were found", len(list))
	}
	for _, m := range list {
		code := m[1]
		if strings.HasPrefix(code, "agent_") || code == "status_unwritable" { // it shows no metrics then, or right ones
			continue
		}
		if !slices.ContainsFunc(codes.FindAllStringSubmatch(text, -1), func(in []string) bool {
			return slices.Contains(strings.Split(in[1], "|"), code)
		}) {
			t.Errorf("no alert has %s", code)
		}
	}
}
