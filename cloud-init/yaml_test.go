package cloudinit

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Texts that one reader of YAML or another takes for something else.
var hostile = []string{
	"plain", "", " ", " leading", "trailing ", "\n", "\n\n", "a\n", "a\n\n", "\na\nb\n", " a\nb\n", "a\n  b\n\n c\n", "\ta\nb\n", "a\n\tb\n", "a\n \nb\n", "a\nb",
	"a: b", "- a\n- b\n", "# no comment\n# neither\n", "a #b", "a\n#b\n", "%TAG", "%TAG\n---\n", "---\na\n", "a\n...\nb\n", "...", "? a", "!tag", "&a", "*a", "@a", "`a`",
	"[a", "{a", "]", "}", ",", "|", ">", "|\na\n", "'", `"`, `\`, `\n`, `a\nb`, `"a"`, "'a'", `a\` + "\nb\n",
	"yes", "No", "null", "~", "1", "0600", "1e3", "0x10", "1:30", "2026-11-21", "=", "<<", "true",
	"{{ v1.name }}", "${HOME}", "$(id)", "## template: jinja\na\n",
	"grün", "日本\n語\n", "😀", "a\u00a0b", "a\u2028b", "a\u2029b\nc\n", "a\u0085b", "\ufeffa", "a\ufeffb\nc\n", "\ufffd", "a\rb", "a\r\nb\r\n", "\x01\x1f\x7f", "\u200b",
	strings.Repeat("long ", 1000), strings.Repeat("long ", 1000) + "\n" + strings.Repeat("x", 5000) + "\n",
}

// readYAML reads YAML with the library cloud-init uses, as JSON.
const readYAML = `import sys, json, yaml
json.dump(yaml.safe_load(sys.stdin.buffer.read().decode("utf-8")), sys.stdout)`

// readBack reads a document with a python3 that has yaml.
func readBack(t *testing.T, python *exec.Cmd, text string, to any) {
	t.Helper()
	var stderr bytes.Buffer
	python.Stdin, python.Stderr = strings.NewReader(text), &stderr
	out, err := python.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s\nof\n%.2000s", err, stderr.Bytes(), text)
	}
	d := json.NewDecoder(bytes.NewReader(out))
	if err := d.Decode(to); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one document: %v", err)
	}
}

func python(t *testing.T) *exec.Cmd {
	t.Helper()
	if out, err := exec.Command("python3", "-c", "import yaml").CombinedOutput(); err != nil {
		t.Skipf("no python3 with yaml here, the machine tests have one: %v\n%s", err, out)
	}
	return exec.Command("python3", "-c", readYAML)
}

func TestHostileTextsAreReadBack(t *testing.T) {
	readsBack(t, python(t))
}

func readsBack(t *testing.T, python *exec.Cmd) {
	t.Helper()
	u := example(t)
	u.Files = nil
	for _, text := range hostile {
		u.Files = append(u.Files, File{Path: "/etc/k2hdkc/x", Mode: Private, Text: text})
	}
	var got struct {
		Files []struct{ Path, Owner, Permissions, Content string } `json:"write_files"`
		Run   [][]string                                           `json:"runcmd"`
	}
	readBack(t, python, render(t, u.CloudConfig), &got)
	want, err := u.files()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Files) != len(want) {
		t.Fatalf("%d files were read back, want %d", len(got.Files), len(want))
	}
	for i, f := range got.Files {
		if f.Content != want[i].Text || f.Path != want[i].Path || f.Owner != "root:root" || f.Permissions != octal(want[i].Mode) {
			t.Errorf("%q was read back as %+q", want[i].Text, f)
		}
	}
	if diff := cmp.Diff([][]string{{"sh", "-c", begin}}, got.Run); diff != "" {
		t.Errorf("the commands (-want +got):\n%s", diff)
	}
}

// The head is comments, whatever a role may be.
func TestHeadIsAllComments(t *testing.T) {
	u := example(t)
	u.Role = "yrn:yahoo:::t:role:a\u2028runcmd: [ id ]\u0085b"
	for _, text := range []string{render(t, u.CloudConfig), render(t, u.Script)} {
		head, _, _ := strings.Cut(text, "write_files")
		head, _, _ = strings.Cut(head, "set -eu")
		for _, line := range strings.FieldsFunc(head, func(r rune) bool { return strings.ContainsRune("\n\r\u0085\u2028\u2029", r) }) {
			if !strings.HasPrefix(line, "#") {
				t.Errorf("%q is no comment", line)
			}
		}
	}
}
