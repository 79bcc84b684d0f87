package watcher

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/render/regularfile"
	"k2hdkc-slave-agent/watcher/member"
)

// stateVersion is raised when a field changes its meaning; a state of another
// version is as good as none.
const stateVersion = 1

// state is what is worth knowing after a restart. None of it is needed to be
// right: without it the agent asks K2HR3 for the whole text once.
type state struct {
	Version int `json:"version"`
	// Origin the text came from, and the host it was for.
	Origin string `json:"origin"`
	// ETag of the text that was applied last.
	ETag string `json:"etag"`
	// Revision that was put in place last.
	Revision int `json:"revision"`
	// Known is what K2HR3 knows the host by.
	Known member.Identity `json:"known"`
	// Unstarted: the first file is in place, and chmpx not started on it yet.
	Unstarted bool `json:"unstarted,omitempty"`
	// Changes are the latest replacements of the file.
	Changes []Change `json:"changes,omitempty"`
	// Sum is the SHA-256 of the file that ETag and Revision belong to.
	Sum string `json:"sum"`
}

// loadState returns a zero state, and why, when there is none that can be used.
func loadState(path string) (state, error) {
	b, err := regularfile.Read(path, regularfile.Small)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return state{}, fmt.Errorf("%s: %w", path, err)
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("%s: version %d is not known here", path, s.Version)
	}
	return s, nil
}

// save replaces the state file. It is not flushed: losing it costs a request,
// and a half-written one is not taken for a whole one.
func (s state) save(path string) error {
	s.Version = stateVersion
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(b, '\n'), 0o600)
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Known returns what the state file at path remembers of what K2HR3 knows this host by: the zero
// Identity where nothing is remembered, or the file is missing or cannot be read.
func Known(path string) member.Identity {
	s, _ := loadState(path)
	return s.Known
}

// Forget forgets what K2HR3 knows this host by, after it has left for good: the
// next start then registers it without a doubt. Nothing is lost if it fails.
func Forget(path string) {
	if s, err := loadState(path); err == nil && s.Known != (member.Identity{}) {
		s.Known = member.Identity{}
		_ = s.save(path)
	}
}
