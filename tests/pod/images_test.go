package pod

import (
	"archive/tar"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"k2hdkc-slave-agent/tests/fakechmpx"
	"k2hdkc-slave-agent/tests/need"
	"k2hdkc-slave-agent/tests/realagent"
)

// The images, by the names that the manifests have before an overlay gives them others.
const (
	imageAgent       = "k2hdkc-slave-agent"
	imageAgentChmpx  = "k2hdkc-slave-agent-chmpx"
	imageChmpx       = "antpickax/chmpx"
	imageApplication = "application"
	// Of the upstream chart; both are busybox here.
	imageChartInit        = "alpine"
	imageChartApplication = "antpickax/k2hdkc"
)

func local(image string) string { return "localhost/" + strings.ReplaceAll(image, "/", "-") + ":test" }

// loadImages makes the images: the agent's as packaging/image does; chmpx's of the programs that
// are installed, or stood in for, with busybox for the rest of a distribution; and the one with
// both by packaging/kubernetes/Containerfile. The application's is busybox.
func (m *machine) loadImages(chmpx fakechmpx.Programs) {
	m.tb.Helper()
	need.Programs(m.tb, "busybox")
	m.chmpx = chmpx
	m.loadAgent()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		m.tb.Fatal(err)
	}
	files := map[string]string{"bin/busybox": busybox}
	for path, name := range map[string]string{chmpx.Chmpx: "chmpx", chmpx.Status: "chmpxstatus", chmpx.Conftest: "chmpxconftest"} {
		files["usr/bin/"+name] = path
	}
	if chmpx.Real {
		m.addLibraries(files, chmpx)
	}
	m.importImage(imageChmpx, files, "ENV "+fakechmpx.EnvState+"=/var/lib/antpickax")
	m.importImage(imageApplication, map[string]string{"bin/busybox": busybox}, `CMD ["/bin/sh","-c","trap exit TERM; while :; do sleep 1 & wait $!; done"]`)
	m.run("tag", local(imageApplication), local(imageChartInit), local(imageChartApplication))
	m.run("build", "--quiet", "--pull-never", "--tag", local(imageAgentChmpx),
		"--build-arg", "AGENT="+local(imageAgent), "--build-arg", "CHMPX="+local(imageChmpx),
		"--file", filepath.Join(realagent.Root(), "packaging/kubernetes/Containerfile"), m.dir)
}

// loadAgent makes the agent's image as it is released.
func (m *machine) loadAgent() {
	m.tb.Helper()
	program, err := realagent.Build(m.dir, realagent.Release()...)
	if err != nil {
		m.tb.Fatal(err)
	}
	sbom := filepath.Join(m.dir, "sbom.json")
	m.write(sbom, "{}\n")
	archive := filepath.Join(m.dir, "agent.tar")
	cmd := exec.Command("go", "run", "-C", filepath.Join(realagent.Root(), "packaging/image"), ".",
		"-version", "0.0.0", "-out", archive, runtime.GOARCH+"="+program+","+sbom)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1800000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		m.tb.Fatalf("making the agent's image: %v\n%s", err, out)
	}
	loaded := m.run("load", "--quiet", "--input", archive)
	_, name, ok := strings.Cut(strings.TrimSpace(loaded), ": ")
	if !ok {
		m.tb.Fatalf("podman has loaded %q", loaded)
	}
	m.run("tag", name, local(imageAgent))
}

// addLibraries adds what the programs are linked to.
func (m *machine) addLibraries(files map[string]string, chmpx fakechmpx.Programs) {
	m.tb.Helper()
	libraries, err := chmpx.Libraries("/nonexistent")
	if err != nil {
		m.tb.Fatal(err)
	}
	for _, path := range libraries {
		files[strings.TrimPrefix(path, "/")] = path
	}
	for _, loader := range []string{"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"} {
		if _, err := os.Stat(loader); err == nil {
			files[strings.TrimPrefix(loader, "/")] = loader
		}
	}
}

// importImage makes an image of files of this machine, and links to busybox.
func (m *machine) importImage(name string, files map[string]string, change string) {
	m.tb.Helper()
	archive := filepath.Join(m.dir, "image.tar")
	if err := archiveOf(archive, files); err != nil {
		m.tb.Fatal(err)
	}
	m.run("import", "--quiet", "--change", "ENV PATH=/usr/bin:/bin", "--change", change, archive, local(name))
	os.Remove(archive)
}

// tools are those of busybox that images have.
var tools = []string{"sh", "ln", "sleep", "kill", "cat", "ls", "id", "pidof", "cp", "chmod"}

func archiveOf(path string, files map[string]string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	t := tar.NewWriter(f)
	for name, from := range files {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(fs.FileMode(0o755)), Size: int64(len(b))}); err != nil {
			return err
		}
		if _, err := t.Write(b); err != nil {
			return err
		}
	}
	for _, name := range tools {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, dir := range []string{"tmp/", "var/lib/", "run/", "etc/"} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	return t.Close()
}
