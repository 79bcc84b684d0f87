package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"k2hdkc-slave-agent/render/atomicfile"
	"k2hdkc-slave-agent/watcher/k2hr3"
)

// Instance tells by which CUK this host goes, where none is configured: by the one in CUKFile,
// else by the instance id.
//
// CUKFile may be a leftover. K2HR3's own init script writes it once in the life of an instance, so
// a host made from the image of another one has the original's until that script has run there,
// while cloud-init has written the new instance id already. That is how a copy knows itself: by
// the record which instance id the key in CUKFile belonged to.
type Instance struct {
	CUKFile string // k2hr3-cuk, by K2HR3's own init script
	IDFile  string // the instance id, by cloud-init
	Record  string // the agent's own: a key of CUKFile, and the instance id it belongs to

	// Read returns the text of a file; its error names the file.
	Read func(name string) (string, error)
}

// record is what Record holds, as JSON.
type record struct {
	CUK        string `json:"cuk"`
	InstanceID string `json:"instance-id"`
}

// CUK returns this host's key. It reads the files at each call, as cloud-init may write them late.
// The error names the file.
func (i Instance) CUK() (k2hr3.CUK, error) {
	name := i.File()
	text, err := i.Read(name)
	if err != nil {
		return k2hr3.CUK{}, fmt.Errorf("this host's CUK is not known: %w; set cuk, or instance-id-file if cloud-init writes elsewhere", err)
	}
	cuk, err := k2hr3.ParseCUK(strings.TrimSpace(text))
	if err != nil {
		return k2hr3.CUK{}, fmt.Errorf("%s: %w", name, err)
	}
	if isFallback(cuk.String()) {
		return k2hr3.CUK{}, fmt.Errorf("%s: %q is what cloud-init calls a host whose cloud has not given it an id, so other hosts are called so too; "+
			"set cuk to something that is this host's alone, or give the VM an instance-id in its meta-data", name, cuk)
	}
	return cuk, nil
}

// isFallback reports whether an instance id is one of those that cloud-init makes up where the data
// source has none, or of those in its examples, which are copied (docs/k2hr3.md F.2).
func isFallback(id string) bool {
	id = strings.ToLower(id)
	return strings.HasPrefix(id, "iid-ds") || strings.HasPrefix(id, "iid-datasource") || slices.Contains([]string{
		"nocloud", "iid-azure-node", "455",
		"iid-local01", "i-abcdefg", "iid-abcdefg", "i-87018aed", "someid/somehostname", "cloud-vm",
	}, id)
}

// File returns the file that the CUK is taken from.
func (i Instance) File() string {
	if _, err := i.Read(i.CUKFile); errors.Is(err, fs.ErrNotExist) || i.Leftover() != "" {
		return i.IDFile
	}
	return i.CUKFile
}

// Leftover returns the key in CUKFile if it is that of the host which this one is a copy of. It is
// empty otherwise, and where there is no record.
func (i Instance) Leftover() string {
	now, before := i.now(), i.recorded()
	if now.CUK != "" && now.InstanceID != "" && now.CUK == before.CUK && now.InstanceID != before.InstanceID {
		return now.CUK
	}
	return ""
}

// now is what Record has to say. Where there is no key that could be used, it is empty.
func (i Instance) now() record { return record{i.key(i.CUKFile), i.key(i.IDFile)} }

func (i Instance) key(name string) string {
	text, err := i.Read(name)
	if err != nil {
		return ""
	}
	cuk, _ := k2hr3.ParseCUK(strings.TrimSpace(text))
	return cuk.String()
}

// recorded returns what Record says. One that is broken counts as none, and remember replaces it.
func (i Instance) recorded() record {
	var r record
	text, err := i.Read(i.Record)
	if err != nil || json.Unmarshal([]byte(text), &r) != nil || r.CUK == "" || r.InstanceID == "" {
		return record{}
	}
	return r
}

// remember writes the record, if it has something new to say; a leftover is nothing new. A record
// that is lost is written again, so it is not flushed to the disk.
func (i Instance) remember() error {
	now := i.now()
	if now.CUK == "" || now.InstanceID == "" || now.CUK == i.recorded().CUK {
		return nil
	}
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return atomicfile.Write(i.Record, append(b, '\n'), 0o644)
}

// Recorder keeps the record of an Instance, and logs what that says of this host: each thing once.
// The zero Recorder is ready for use.
type Recorder struct {
	leftover string // the key that was logged as a leftover
	failed   string // why the record could not be written, as it was logged
}

// Update brings the record up to date. A failure is logged; it is no reason to stop.
func (r *Recorder) Update(i Instance, log *slog.Logger) {
	leftover := i.Leftover()
	if leftover != "" && leftover != r.leftover {
		log.Info("k2hr3-cuk is left over from the host this one is a copy of; the instance id counts until that file changes",
			"cuk", leftover, "instance_id_file", i.IDFile)
	}
	r.leftover = leftover
	err := i.remember()
	switch {
	case err == nil:
		r.failed = ""
	case errors.Is(err, fs.ErrNotExist):
		// A verb by hand, on a host where the daemon never ran: it has no state folder.
	case err.Error() != r.failed:
		r.failed = err.Error()
		log.Warn("cannot record which instance this is: a copy of this host takes itself for this one until K2HR3's script has run there", "error", err)
	}
}
