package main

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A bom is CycloneDX's bill of materials, as far as it is used here.
type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp  string      `json:"timestamp"`
	Lifecycles []lifecycle `json:"lifecycles"`
	Component  component   `json:"component"`
}

type lifecycle struct {
	Phase string `json:"phase"`
}

type component struct {
	Type       string          `json:"type"`
	Ref        string          `json:"bom-ref"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Hashes     []hash          `json:"hashes,omitempty"`
	Licenses   []licenseChoice `json:"licenses"`
	PURL       string          `json:"purl,omitempty"`
	Properties []property      `json:"properties,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type licenseChoice struct {
	License license `json:"license"`
}

type license struct {
	ID string `json:"id"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// describe makes the bill of a program.
func describe(name, release string, sum [32]byte, made time.Time, info *buildinfo.BuildInfo, known map[string]string) (bom, error) {
	program := component{
		Type: "application", Ref: name + "@" + release, Name: name, Version: release,
		Hashes:   []hash{{"SHA-256", fmt.Sprintf("%x", sum)}},
		Licenses: licensed(known[""]),
	}
	for _, s := range info.Settings {
		if slices.Contains([]string{"GOOS", "GOARCH", "GOAMD64", "GOARM64", "CGO_ENABLED", "-trimpath"}, s.Key) {
			program.Properties = append(program.Properties, property{"build:" + s.Key, s.Value})
		}
	}
	parts, err := modules(info, known)
	if err != nil {
		return bom{}, err
	}
	// What was linked does not tell who needs whom, only that the program needs
	// all of it.
	needs := []dependency{{Ref: program.Ref}}
	for _, c := range parts {
		needs[0].DependsOn = append(needs[0].DependsOn, c.Ref)
		needs = append(needs, dependency{Ref: c.Ref})
	}
	return bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		SerialNumber: serial(sum),
		Metadata: metadata{
			Timestamp:  made.Format(time.RFC3339),
			Lifecycles: []lifecycle{{"post-build"}},
			Component:  program,
		},
		Components: parts, Dependencies: needs,
	}, nil
}

// modules are the parts of the program, Go's own library among them.
func modules(info *buildinfo.BuildInfo, known map[string]string) ([]component, error) {
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	parts := []component{{Name: "std", Version: version}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component{Name: m.Path, Version: m.Version}
		if m.Sum != "" {
			c.Properties = []property{{"go:sum", m.Sum}}
		}
		parts = append(parts, c)
	}
	slices.SortFunc(parts, func(a, b component) int { return cmp.Compare(a.Name, b.Name) })
	for i := range parts {
		c := &parts[i]
		licence, ok := known[c.Name]
		if !ok {
			return nil, fmt.Errorf("the copyright file does not name the module %s, which is in the program", c.Name)
		}
		c.Type = "library"
		c.Licenses = licensed(licence)
		c.PURL = "pkg:golang/" + strings.ToLower(c.Name) + "@" + c.Version
		c.Ref = c.PURL
	}
	return parts, nil
}

func licensed(id string) []licenseChoice { return []licenseChoice{{license{id}}} }

// serial is a UUID that is the program's own: version 8 of RFC 9562, which is
// for those that are made from something else.
func serial(sum [32]byte) string {
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
}
