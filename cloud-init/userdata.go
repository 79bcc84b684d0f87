package cloudinit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Where a new VM keeps its files. The token is where the agent looks for it without
// being configured.
const (
	ConfigPath = "/etc/k2hdkc/slave-agent.ini"
	TokenPath  = "/etc/k2hdkc/role-token"
	CAPath     = "/etc/k2hdkc/k2hr3-ca.pem"
	CertPath   = "/etc/k2hdkc/k2hr3-cert.pem"
	KeyPath    = "/etc/k2hdkc/k2hr3-key.pem"
)

// Modes of files: others may read Public ones and run a Program, only root reads Private ones.
const (
	Public  fs.FileMode = 0o644
	Private fs.FileMode = 0o600
	Program fs.FileMode = 0o755
)

// MaxBase64 is what Nova takes of user data, in bytes after base64.
const MaxBase64 = 65535

// UserData is what makes a VM a slave node.
type UserData struct {
	Role string // for whoever reads the text

	// Files are written in this order, before anything is installed. They are UTF-8
	// text. An agent that is already in the image reads its configuration as soon as
	// it is there, so that has to be the last.
	Files []File

	// Repos are added to those that the image knows: the agent's, and chmpx's if that
	// is another one.
	Repos []Repository

	// Unit is chmpx's systemd unit, to be enabled and started; empty: leave it alone.
	Unit string

	// Packages are installed besides the agent and chmpx, if they can be.
	Packages []string

	// Users become members of Group, whose programs may join chmpx, if they are there.
	Users []string
	Group string
}

// File is a file of the new VM, owned by root.
type File struct {
	Path string
	Mode fs.FileMode
	Text string
}

var packages = []string{"chmpx", "k2hdkc-slave-agent"}

// families reports which families of distributions the repositories serve.
func (u UserData) families() (apt, yum bool, err error) {
	apt, yum = true, true
	for _, r := range u.Repos {
		apt, yum = apt && r.apt != "", yum && r.yum != ""
	}
	if !apt && !yum {
		return false, false, errors.New("one repository is only for apt and the other only for dnf and yum: no VM can use both")
	}
	return apt, yum, nil
}

// files are all files to write, those of the first boot first: they do no harm alone.
func (u UserData) files() ([]File, error) {
	files, err := u.firstBoot()
	if err != nil {
		return nil, err
	}
	files = append(files, u.Files...)
	for i, f := range files {
		// A here-document in a shell script always ends in a line feed.
		files[i].Text = strings.TrimSuffix(f.Text, "\n") + "\n"
	}
	return files, nil
}

// fits returns the text if it is small enough for Nova.
func fits(text string) (string, error) {
	if n := base64.StdEncoding.EncodedLen(len(text)); n > MaxBase64 {
		return "", fmt.Errorf("the user data has %d bytes, %d after base64, and Nova takes %d of these: leave out what you can put into the image, such as the certificates in ca-file", len(text), n, MaxBase64)
	}
	return text, nil
}
