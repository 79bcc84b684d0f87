package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// unifiedDiff returns the difference of two texts as diff -u prints it; nothing
// if there is none.
func unifiedDiff(oldName, newName, oldText, newText string) string {
	all := string(diff.Diff(oldName, []byte(oldText), newName, []byte(newText)))
	_, unified, _ := strings.Cut(all, "\n") // without the line "diff OLD NEW"
	return unified
}
