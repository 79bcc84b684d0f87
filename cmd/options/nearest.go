package options

import (
	"fmt"
	"strings"
)

// didYouMean returns a question to append to a message about an unknown name, or nothing if no
// known name is near. written adds what a name has where it is used, such as the dashes of a flag.
func didYouMean(name string, known []string, written func(string) string) string {
	if best, ok := nearest(name, known); ok {
		return fmt.Sprintf(": did you mean %s?", written(best))
	}
	return ""
}

// nearest finds the known name that a typing error could have turned into name.
// A third of the letters may be wrong, three at most.
func nearest(name string, known []string) (string, bool) {
	plain := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	best, bestDistance := "", min(3, max(1, len(plain)/3))+1
	for _, k := range known {
		if d := distance(plain, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best, best != ""
}

// distance counts the letters to insert, remove, replace or swap with their neighbour (optimal
// string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
