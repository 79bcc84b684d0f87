package main

import (
	"errors"
	"fmt"
	"strings"
)

// licences finds the licence of each module in a copyright file: the paragraphs
// for the files below MODULE/*. The program's own are those below *.
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
				licence = spdx(strings.TrimSpace(value))
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

// spdx is SPDX's name of a licence where Debian has another.
func spdx(name string) string {
	if name == "Expat" {
		return "MIT"
	}
	return name
}
