package bugreport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k2hdkc-slave-agent/cmd/service"
	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
)

// keep is how many texts are kept: the one in place, and five before it.
const keep = 6

// KeptDir is the folder of the kept texts, below the agent's state-dir.
const KeptDir = "replaced"

// Kept keeps the latest texts of slave.ini in a folder, for reports; only its owner may read them.
// It waits for nobody: the disk is written beside.
type Kept struct {
	Dir string
	Log *slog.Logger

	out service.Outbox[text]
}

type text struct {
	at       time.Time
	revision int
	b        []byte
}

// Add keeps a text that was put in place.
func (k *Kept) Add(revision int, b []byte) {
	k.out.Send = k.write
	k.out.Update(func(waiting []text) []text {
		if len(waiting) >= keep {
			waiting = waiting[1:]
		}
		return append(waiting, text{time.Now(), revision, b})
	})
}

func (k *Kept) write(t text) {
	err := os.Mkdir(k.Dir, 0o700)
	if err == nil || errors.Is(err, fs.ErrExist) {
		name := fmt.Sprintf("%s.%d.ini", t.at.UTC().Format("20060102T150405.000"), t.revision)
		err = atomicfile.Write(filepath.Join(k.Dir, name), t.b, 0o600)
	}
	if err != nil {
		k.Log.Debug("cannot keep the text of slave.ini for bug reports", "error", err)
	}
	_, _ = keptNames(k.Dir, func(name string) { os.Remove(filepath.Join(k.Dir, name)) })
}

// keptNames lists the latest kept texts, the oldest first. It calls drop for those before them, and
// for what an agent that was killed was about to write: no text is written under the same name
// again, whose writing would remove it.
func keptNames(dir string, drop func(name string)) (names []string, err error) {
	err = regularfile.EachName(regularfile.Dir(dir), ".", func(name string) bool {
		switch {
		case strings.HasPrefix(name, "."):
			drop(name)
		case strings.HasSuffix(name, ".ini"):
			names = append(names, name)
			if len(names) > keep {
				slices.Sort(names)
				drop(names[0])
				names = names[1:]
			}
		}
		return true
	})
	slices.Sort(names)
	return names, err
}

// Diffs returns how each kept text differs from the one before, as unified diffs, the oldest first.
// limit bounds a text, in bytes, and unified compares two.
func Diffs(dir string, limit int64, unified func(oldName, newName, oldText, newText string) string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		names, err := keptNames(dir, func(string) {})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("the agent has replaced no slave.ini since it keeps them")
		}
		if err != nil {
			return nil, err
		}
		var all strings.Builder
		before, beforeName := "", "/dev/null"
		for i, name := range names {
			b, err := regularfile.Read(filepath.Join(dir, name), limit)
			if err != nil {
				return []byte(all.String()), err
			}
			if i > 0 || len(names) < keep {
				all.WriteString(unified(beforeName, name, before, string(b)))
			}
			before, beforeName = string(b), name
		}
		return []byte(all.String()), nil
	}
}
