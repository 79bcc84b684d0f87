package watcher

import (
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// flipWithin is how recently a text must have been replaced for its return to
	// count, and flipsWrong how many returns show that K2HR3 contradicts itself.
	flipWithin = 2 * time.Minute
	flipsWrong = 3

	// maxFormer bounds how many texts are remembered.
	maxFormer = 8
)

// errFlips says what is wrong, and where to look.
var errFlips = errors.New("two texts of the RESOURCE come in turn: replicas behind api-uri may disagree, or two programs change the RESOURCE")

// flips notices a K2HR3 that answers in turn with one text and another: two
// replicas behind one address disagree, say. Each answer is a change then, for as
// long as that lasts.
type flips struct {
	former []former // the texts that were replaced lately
	count  int      // returns in a row
	wrong  trouble  // K2HR3 contradicts itself
}

// former is a text that was replaced.
type former struct {
	digest string
	at     time.Time
}

// replaced takes note that the text of one digest takes the place of another's,
// and reports whether K2HR3 contradicts itself.
func (f *flips) replaced(now time.Time, old, next string) bool {
	f.former = slices.DeleteFunc(f.former, func(t former) bool { return now.Sub(t.at) > flipWithin })
	if slices.ContainsFunc(f.former, func(t former) bool { return t.digest == next }) {
		f.count++
	} else {
		f.count = 0
	}
	f.former = append(f.former, former{old, now})
	if len(f.former) > maxFormer {
		f.former = f.former[1:]
	}
	if f.count < flipsWrong {
		return false
	}
	f.wrong.report(now, slog.LevelWarn, "K2HR3 contradicts itself; asking it less often", errFlips)
	return true
}

// calm ends the trouble: the latest text has stayed for long enough.
func (f *flips) calm(now time.Time) {
	if n := len(f.former); n > 0 && now.Sub(f.former[n-1].at) <= flipWithin {
		return
	}
	f.former, f.count = nil, 0
	f.wrong.end("K2HR3 does not contradict itself any more")
}
