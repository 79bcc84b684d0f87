package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var released = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func platforms() []Platform {
	return []Platform{
		{Arch: "amd64", Program: []byte("program of amd64"), SBOM: []byte(`{"bomFormat":"CycloneDX"}`)},
		{Arch: "arm64", Program: []byte("program of arm64"), SBOM: []byte(`{"bomFormat":"CycloneDX"}`)},
	}
}

func write(t *testing.T, version string, created time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, version, created, platforms()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheSameProgramsGiveTheSameBytes(t *testing.T) {
	one := write(t, "1.2.3", released)
	if !bytes.Equal(one, write(t, "1.2.3", released)) {
		t.Error("two builds differ")
	}
	if bytes.Equal(one, write(t, "1.2.3", released.Add(time.Second))) {
		t.Error("the time of the release is not in it")
	}
}

// unpack extracts the archive and returns the images in it by their architectures, and the name.
func unpack(t *testing.T, archive []byte) (images map[string]v1.Image, name string) {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(released) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: of %v, %d %q", h.Name, h.ModTime, h.Uid, h.Uname)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(path, 0o755)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(outer); err != nil {
		t.Error(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%v: %+v", err, manifest)
	}
	inner, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	list, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images = map[string]v1.Image{}
	for _, m := range list.Manifests {
		image, err := inner.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		images[m.Platform.OS+"/"+m.Platform.Architecture] = image
	}
	return images, manifest.Manifests[0].Annotations["io.containerd.image.name"]
}

func TestImageHasTheAgentAndNothingToRunItBy(t *testing.T) {
	images, name := unpack(t, write(t, "1.2.3~rc1", released))
	if name != "localhost/k2hdkc-slave-agent:1.2.3-rc1" || len(images) != 2 {
		t.Fatalf("%s: %v", name, images)
	}
	for _, p := range platforms() {
		image := images["linux/"+p.Arch]
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := config.Config
		if c.User != "65532:65532" || fmt.Sprint(c.Entrypoint, c.Cmd) != "[/usr/bin/k2hdkc-slave-agent] [run]" || config.Architecture != p.Arch {
			t.Errorf("%s: %+v", p.Arch, config)
		}
		layers, err := image.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%s: %d layers: %v", p.Arch, len(layers), err)
		}
		files := contents(t, layers[0])
		if string(files["usr/bin/k2hdkc-slave-agent"]) != string(p.Program) {
			t.Errorf("%s: the program is %q", p.Arch, files["usr/bin/k2hdkc-slave-agent"])
		}
		var bill struct{ BomFormat string }
		if err := json.Unmarshal(files["usr/share/doc/k2hdkc-slave-agent/sbom.cdx.json"], &bill); err != nil || bill.BomFormat != "CycloneDX" {
			t.Errorf("%s: the SBOM: %v", p.Arch, err)
		}
		if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
			t.Errorf("%s: no authorities", p.Arch)
		}
		if len(files) != 3 {
			t.Errorf("%s: %d files", p.Arch, len(files))
		}
	}
}

// contents are the files of a layer.
func contents(t *testing.T, layer v1.Layer) map[string][]byte {
	t.Helper()
	r, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode&0o022 != 0 {
			t.Errorf("%s: others may write to it: %o", h.Name, h.Mode)
		}
		if h.Typeflag == tar.TypeReg {
			b, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			files[h.Name] = b
		}
	}
}

func TestWhatItNeedsToBeTold(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1764158400")
	out := filepath.Join(t.TempDir(), "agent.tar")
	for _, tt := range []struct {
		version string
		args    []string
	}{
		{"", []string{"amd64=a,b"}},
		{"1.2.3", nil},
		{"1.2.3", []string{"amd64"}},
		{"1.2.3", []string{"amd64=/nonexistent,/nonexistent"}},
	} {
		if err := run(tt.version, out, tt.args); err == nil {
			t.Errorf("%q %q: no error", tt.version, tt.args)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q %q: it wrote the archive", tt.version, tt.args)
		}
	}
}
