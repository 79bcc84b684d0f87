package conftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k2hdkc-slave-agent/chmpx/tool"
)

// If there is no verdict, the error of Check wraps one of these, or whatever else
// kept the program from giving one.
var (
	ErrNotInstalled = tool.ErrNotInstalled
	// ErrTimeout most likely means a slow name service: a load waits for it.
	ErrTimeout = tool.ErrTimeout
)

// maxOutput bounds what is read of the program, in bytes. The verdict is the
// first line that it prints.
const maxOutput = 1 << 20

// RefusedError says that chmpx's own loader does not load a file.
type RefusedError struct {
	Program string // base name
	Said    string // its reasons on one line of printable text, a few hundred bytes at most
}

func (e *RefusedError) Error() string { return e.Program + " does not load it: " + e.Said }

// Checker asks chmpxconftest. It may be used from several goroutines.
type Checker struct {
	Command string        // name or path; empty: not installed
	Timeout time.Duration // 0: tool.DefaultTimeout, ten seconds
}

// Check lets chmpxconftest load the file at path, as this process's user. Its name
// must end in .ini, or chmpx takes it for something else.
//
// The error is nil if the file loads, and a *RefusedError if it does not, or if
// the program crashes over it. Any other error means that there is no verdict:
// ErrNotInstalled, ErrTimeout, ctx's, or that of a program that cannot run or had
// to be killed.
func (c Checker) Check(ctx context.Context, path string) error {
	// A relative path could look like an option, or like JSON.
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	var out tool.Output
	err = tool.Run(ctx, tool.Call{
		Command: c.Command, Args: []string{"-conf", path, "-no_check_update", "-d", "err"},
		Timeout: c.Timeout, MaxOutput: maxOutput,
	}, &out)
	if loaded(out.Bytes()) {
		return nil // whatever became of the program afterwards
	}
	var exit *tool.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	said := reasons(path, out.Complaint(), out.Bytes())
	if said == "" {
		said = silent(exit)
	}
	return &RefusedError{Program: filepath.Base(c.Command), Said: said}
}

// loaded reports whether the output has the verdict that the file loads.
func loaded(stdout []byte) bool {
	for line := range bytes.Lines(stdout) {
		if string(bytes.TrimRight(line, " \t\r\n")) == "configuration{" {
			return true
		}
	}
	return false
}

func silent(exit *tool.ExitError) string {
	if exit == nil {
		return "it gave no reason"
	}
	return fmt.Sprintf("it gave no reason (%v)", exit.Err)
}

const (
	maxReasons = 3
	maxSaid    = 300 // bytes
)

// reasons are the first error lines that the program printed; the cause comes
// before its consequences. The path of the file is shortened to its name.
func reasons(path string, texts ...[]byte) string {
	var list []string
	for _, text := range texts {
		for line := range strings.Lines(string(text)) {
			reason, ok := reasonOf(strings.TrimSpace(line))
			if ok && len(list) < maxReasons {
				list = append(list, strings.ReplaceAll(reason, path, filepath.Base(path)))
			}
		}
	}
	return shorten(printable(strings.Join(list, "; ")))
}

// reasonOf cuts the level, function and line number off an error line.
func reasonOf(line string) (string, bool) {
	rest, ours := strings.CutPrefix(line, "[CHMPX-ERR] ")
	if !ours {
		return strings.CutPrefix(line, "[ERR] ")
	}
	if _, text, ok := strings.Cut(rest, " : "); ok {
		return text, true
	}
	return rest, true
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

func shorten(s string) string {
	if len(s) <= maxSaid {
		return s
	}
	return s[:maxSaid-len("...")] + "..."
}
