package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	name = "k2hdkc-slave-agent"
	// user is nobody's on the node. It is a number, as runAsNonRoot wants it.
	user = "65532:65532"
)

// Platform is what is particular to the image of one architecture.
type Platform struct {
	Arch    string // Go's name of it
	Program []byte // static
	SBOM    []byte // CycloneDX, JSON
}

// Write writes an archive of an OCI layout with the image for all platforms, which is called by
// the version, and of which everything carries the time.
func Write(w io.Writer, version string, created time.Time, platforms []Platform) error {
	var index v1.ImageIndex = empty.Index
	for _, p := range platforms {
		image, err := p.image(version, created)
		if err != nil {
			return fmt.Errorf("the image for %s: %w", p.Arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.Arch}},
		})
	}
	index = mutate.IndexMediaType(index, types.OCIImageIndex)
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	tag := strings.ReplaceAll(version, "~", "-") // which no tag may have
	if err := l.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag,
		"io.containerd.image.name":          "localhost/" + name + ":" + tag,
	})); err != nil {
		return err
	}
	return archive(w, dir, created)
}

// image is the image for one architecture: from nothing, with nothing to run in it but the agent.
func (p Platform) image(version string, created time.Time) (v1.Image, error) {
	files, err := p.files(created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "packaging/image"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", p.Arch, v1.Time{Time: created}
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{"/usr/bin/" + name},
		Cmd:        []string{"run"},
		// The root is read-only, and has no /tmp.
		Env:        []string{"PATH=/usr/bin", "TMPDIR=/run/" + name},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":       name,
			"org.opencontainers.image.description": "keeps the chmpx of a K2HDKC slave node right",
			"org.opencontainers.image.version":     version,
			"org.opencontainers.image.licenses":    "MIT",
		},
	}
	return mutate.ConfigFile(image, config)
}

// files is the layer.
func (p Platform) files(created time.Time) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, f := range []struct {
		path    string
		mode    int64
		content []byte
	}{
		{"etc/", 0o755, nil},
		{"etc/ssl/", 0o755, nil},
		{"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
		{"usr/", 0o755, nil},
		{"usr/bin/", 0o755, nil},
		{"usr/bin/" + name, 0o755, p.Program},
		{"usr/share/", 0o755, nil},
		{"usr/share/doc/", 0o755, nil},
		{"usr/share/doc/" + name + "/", 0o755, nil},
		{"usr/share/doc/" + name + "/sbom.cdx.json", 0o644, p.SBOM},
	} {
		if err := add(t, f.path, f.mode, f.content, created); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return b.Bytes(), err
}

// add writes a file, or a folder if its name ends in /.
func add(t *tar.Writer, path string, mode int64, content []byte, created time.Time) error {
	h := tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(content)), ModTime: created, Format: tar.FormatPAX}
	if strings.HasSuffix(path, "/") {
		h.Typeflag = tar.TypeDir
	}
	if err := t.WriteHeader(&h); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

// roots are the authorities of the web, for a K2HR3 whose certificate is of one of them. They are
// those of the version in go.mod.
func roots() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return b.Bytes()
}

// archive writes what is in a folder, in the order of the names.
func archive(w io.Writer, dir string, created time.Time) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return add(t, rel+"/", 0o755, nil, created)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return add(t, rel, 0o644, content, created)
	})
	if err != nil {
		return err
	}
	return t.Close()
}
