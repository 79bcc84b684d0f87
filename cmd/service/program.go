package service

import (
	"io"
	"log/slog"
	"os"
	"path"
	"strings"

	"k2hdkc-slave-agent/render/regularfile"
)

// ProgramLog returns the log of a program that another unit than the agent's runs: the journal,
// where its entries have the agent's identifier and that unit, if stderr leads there, else stderr.
func ProgramLog(name string, stderr *os.File) *slog.Logger {
	if !IsJournal(stderr) {
		return textLog(name, stderr)
	}
	cgroup, _ := regularfile.Read("/proc/self/cgroup", maxCgroup)
	// The program has ended when the journal looks which unit it is of.
	return slog.New(&journalHandler{
		to: NewJournal(), level: slog.LevelInfo, common: []slog.Attr{slog.String("program", name)}, unit: unitOf(string(cgroup)),
	})
}

func textLog(name string, stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, nil)).With("program", name)
}

// maxCgroup bounds what is read of the groups that a process is in.
const maxCgroup = 64 << 10

// unitOf returns the service that a process belongs to, by its groups (cgroups(7)); empty if there
// is none.
func unitOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		_, group, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, dir, _ := strings.Cut(group, ":")
		if controllers != "" && controllers != "name=systemd" {
			continue
		}
		for ; dir != "/" && dir != "." && dir != ""; dir = path.Dir(dir) {
			if strings.HasSuffix(dir, ".service") {
				return path.Base(dir)
			}
		}
	}
	return ""
}
