package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"k2hdkc-slave-agent/render/regularfile"
)

// hanging names the files and folders that threads of this program are in system calls about, as
// the kernel shows these: of a program that hangs, those that do not answer. What a call writes or
// reads is not looked at.
func hanging() (paths []string) {
	calls, _ := filepath.Glob("/proc/self/task/*/syscall")
	for _, call := range calls {
		path := calledWith(call)
		if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/proc/") && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// calledWith is what the system call of a thread is about; empty: nothing that has a name.
func calledWith(call string) string {
	line, _ := regularfile.Read(call, regularfile.Small)
	words := append(strings.Fields(string(line)), "", "", "")
	number, err := strconv.Atoi(words[0])
	if err != nil { // it is in none
		return ""
	}
	first, _ := strconv.ParseUint(words[1], 0, 64)
	second, _ := strconv.ParseUint(words[2], 0, 64)
	var path string
	switch number {
	case unix.SYS_OPENAT, unix.SYS_NEWFSTATAT, unix.SYS_READLINKAT, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2:
		path = textAt(second)
		if !filepath.IsAbs(path) && int32(first) != unix.AT_FDCWD {
			path = filepath.Join(opened(first), path)
		}
	case unix.SYS_INOTIFY_ADD_WATCH:
		path = textAt(second)
	case unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_WRITE, unix.SYS_FSTAT, unix.SYS_GETDENTS64, unix.SYS_FCNTL, unix.SYS_FSYNC:
		path = opened(first)
	}
	if now, _ := regularfile.Read(call, regularfile.Small); !bytes.Equal(now, line) {
		return "" // it goes on
	}
	return path
}

// opened is the path of an open file.
func opened(descriptor uint64) string {
	b := make([]byte, unix.PathMax)
	n, _ := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", int32(descriptor)), b)
	return string(b[:max(n, 0)])
}

// textAt is the text at an address of this process's.
func textAt(address uint64) string {
	f, err := regularfile.Open("/proc/self/mem")
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, unix.PathMax)
	n, _ := f.ReadAt(b, int64(address)) // it ends where the memory does
	text, _, whole := bytes.Cut(b[:n], []byte{0})
	if !whole {
		return ""
	}
	return string(text)
}
