package cloudinit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Where a new VM keeps what it is given. The token is in the place the agent
// looks at by itself.
const (
	ConfigPath = "/etc/k2hdkc/slave-agent.ini"
	TokenPath  = "/etc/k2hdkc/role-token"
	CAPath     = "/etc/k2hdkc/k2hr3-ca.pem"
	CertPath   = "/etc/k2hdkc/k2hr3-cert.pem"
	KeyPath    = "/etc/k2hdkc/k2hr3-key.pem"
)

// Modes of files: Public is read by other programs too, Private by the agent.
const (
	Public  fs.FileMode = 0o644
	Private fs.FileMode = 0o600
)

// MaxBase64 is what Nova takes of user data, in bytes after base64.
const MaxBase64 = 65535

// UserData is what makes a VM a slave node.
type UserData struct {
	Role string // for whoever reads the text

	// Files are written in this order, before anything is installed. They are
	// UTF-8 text. An agent that the image has already takes a configuration up
	// as it comes, so that has to be the last.
	Files []File

	// Repos are added to those the image knows: the agent's, and chmpx's if that
	// is another one.
	Repos []Repository

	// Unit is chmpx's systemd unit, enabled and started; empty: it is left alone.
	Unit string
}

// File is a file of the new VM, owned by root.
type File struct {
	Path string
	Mode fs.FileMode
	Text string
}

var packages = []string{"chmpx", "k2hdkc-slave-agent"}

// families tells which families of distributions the repositories serve.
func (u UserData) families() (apt, yum bool, err error) {
	apt, yum = true, true
	for _, r := range u.Repos {
		apt, yum = apt && r.apt != "", yum && r.yum != ""
	}
	if !apt && !yum {
		return false, false, errors.New("one repository is for apt alone and the other for dnf and yum alone: no VM has use for both")
	}
	return apt, yum, nil
}

// files are all files to write: keys first, as they are of use to nobody alone.
func (u UserData) files() []File {
	var files []File
	for _, r := range u.Repos {
		files = append(files, File{Path: r.keyPath(), Mode: Public, Text: r.key})
	}
	files = append(files, u.Files...)
	for i, f := range files {
		// A shell script cannot leave the last line open.
		files[i].Text = strings.TrimSuffix(f.Text, "\n") + "\n"
	}
	return files
}

// fits returns the text if a VM can be given it.
func fits(text string) (string, error) {
	if n := base64.StdEncoding.EncodedLen(len(text)); n > MaxBase64 {
		return "", fmt.Errorf("the user data has %d bytes, %d after base64, and Nova takes %d of these: leave away what the image can hold, such as certificates in ca-file", len(text), n, MaxBase64)
	}
	return text, nil
}
