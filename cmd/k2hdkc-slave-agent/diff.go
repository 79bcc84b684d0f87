package main

import (
	"fmt"
	"strings"
)

// context lines around a change, as diff -u has them.
const contextLines = 3

// edit is one line of a diff: ' ' in both texts, '-' in the old one alone, '+'
// in the new one alone.
type edit struct {
	op   byte
	line string
}

// unifiedDiff returns the difference of two texts as diff -u prints it; nothing
// if there is none.
func unifiedDiff(oldName, newName, oldText, newText string) string {
	if oldText == newText {
		return ""
	}
	edits := diffLines(lines(oldText), lines(newText))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", oldName, newName)
	oldAt, newAt := 0, 0
	for i := 0; i < len(edits); {
		if edits[i].op == ' ' {
			oldAt, newAt, i = oldAt+1, newAt+1, i+1
			continue
		}
		start := max(i-contextLines, 0)
		end := hunkEnd(edits, i)
		oldAt, newAt = oldAt-(i-start), newAt-(i-start)
		oldLen, newLen := writeHunk(&b, edits[start:end], oldAt, newAt)
		oldAt, newAt, i = oldAt+oldLen, newAt+newLen, end
	}
	return b.String()
}

// hunkEnd returns where the hunk of the change at i ends: context behind the
// last change that is not further than two contexts from the one before.
func hunkEnd(edits []edit, i int) int {
	last := i
	for j := i; j < len(edits) && j <= last+2*contextLines; j++ {
		if edits[j].op != ' ' {
			last = j
		}
	}
	return min(last+1+contextLines, len(edits))
}

func writeHunk(b *strings.Builder, edits []edit, oldAt, newAt int) (oldLen, newLen int) {
	for _, e := range edits {
		if e.op != '+' {
			oldLen++
		}
		if e.op != '-' {
			newLen++
		}
	}
	fmt.Fprintf(b, "@@ -%s +%s @@\n", span(oldAt, oldLen), span(newAt, newLen))
	for _, e := range edits {
		b.WriteByte(e.op)
		b.WriteString(e.line)
		if !strings.HasSuffix(e.line, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
	return oldLen, newLen
}

// span is a range of lines as a hunk's header has it; an empty one names the
// line before it.
func span(at, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", at)
	}
	if n == 1 {
		return fmt.Sprint(at + 1)
	}
	return fmt.Sprintf("%d,%d", at+1, n)
}

// lines splits a text into its lines, line ends included.
func lines(s string) []string {
	l := strings.SplitAfter(s, "\n")
	if l[len(l)-1] == "" {
		l = l[:len(l)-1]
	}
	return l
}

// diffLines returns a shortest edit from a to b, by the longest common
// subsequence of what lies between the common beginning and end.
func diffLines(a, b []string) []edit {
	var edits []edit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		edits = append(edits, edit{' ', a[0]})
		a, b = a[1:], b[1:]
	}
	var tail []string
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, a[len(a)-1])
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	edits = append(edits, middle(a, b)...)
	for i := len(tail) - 1; i >= 0; i-- {
		edits = append(edits, edit{' ', tail[i]})
	}
	return edits
}

// maxCells bounds the table of the subsequence; beyond it everything is shown
// as changed.
const maxCells = 32 << 20

func middle(a, b []string) []edit {
	var edits []edit
	i, j := 0, 0
	if (len(a)+1)*(len(b)+1) <= maxCells {
		width := len(b) + 1
		common := commonLengths(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				edits = append(edits, edit{' ', a[i]})
				i, j = i+1, j+1
			case common[(i+1)*width+j] >= common[i*width+j+1]:
				edits = append(edits, edit{'-', a[i]})
				i++
			default:
				edits = append(edits, edit{'+', b[j]})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		edits = append(edits, edit{'-', a[i]})
	}
	for ; j < len(b); j++ {
		edits = append(edits, edit{'+', b[j]})
	}
	return edits
}

// commonLengths returns, row by row, the length of the longest common
// subsequence of a[i:] and b[j:].
func commonLengths(a, b []string) []int32 {
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	return common
}
