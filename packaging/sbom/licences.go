package main

import (
	"errors"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// licences finds the licence of each module, in SPDX's words, in a copyright file:
// the paragraphs for the files below MODULE/*. The program's own are those below *.
func licences(text string) (map[string]string, error) {
	found := map[string]string{}
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		files, licence := "", ""
		for line := range strings.Lines(paragraph) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch name {
			case "Files":
				files = strings.TrimSpace(value)
			case "License":
				licence = spdx.Replace(strings.TrimSpace(value))
			}
		}
		if files == "" {
			continue
		}
		if licence == "" {
			return nil, fmt.Errorf("the files %s have no licence", files)
		}
		found[strings.TrimSuffix(strings.TrimSuffix(files, "*"), "/")] = licence
	}
	if found[""] == "" {
		return nil, errors.New("there is no licence for *")
	}
	return found, nil
}

// spdx writes Debian's name of a licence, or of several, as SPDX does.
var spdx = strings.NewReplacer("Expat", "MIT", " and ", " AND ", " or ", " OR ")

// licensed is an SPDX licence, or an expression of several, in a bill.
func licensed(spdx string) *cdx.Licenses {
	if strings.Contains(spdx, " ") {
		return &cdx.Licenses{{Expression: spdx}}
	}
	return &cdx.Licenses{{License: &cdx.License{ID: spdx}}}
}
