package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"k2hdkc-slave-agent/render/regularfile"
)

const (
	hostZone  = "/etc/localtime"
	zoneWrong = "cannot read the time zone; all times are in UTC"

	// zoneLimit is how long the file of the time zone may take, on a busy host too. Only a file
	// system that hangs takes as long.
	zoneLimit = 2 * time.Second
)

// zoneFolders are where Go looks for a zone by its name.
var zoneFolders = []string{"/usr/share/zoneinfo/", "/usr/share/lib/zoneinfo/", "/usr/lib/locale/TZ/", "/etc/zoneinfo/"}

// useZone sets the time zone of the program as Go would set it by itself, by the variable TZ or
// without it. Go would open the file when a local time is first written, and everybody who writes
// one, the log too, would wait for a file that does not answer. The error says what keeps the times
// in UTC, and what to do. Nobody may look at the time in another goroutine before.
func useZone(ctx context.Context, tz string, set bool) error {
	time.Local = time.UTC
	name, files := zoneFiles(tz, set)
	if len(files) == 0 {
		return nil
	}
	local, err := awaitZone(ctx, func() (*time.Location, error) { return readZone(name, files) })
	switch {
	case err == nil:
		time.Local = local
		return nil
	case ctx.Err() != nil: // the program is to end
		return nil
	case set:
		return fmt.Errorf("%w; correct the variable TZ, which is %q: it takes the name of a zone, such as Asia/Tokyo, or :FILE", err, tz)
	}
	return fmt.Errorf("%w; make %s a link to the zone's file below %s", err, hostZone, zoneFolders[0])
}

// awaitZone calls read, and waits for it until ctx ends, zoneLimit at most.
func awaitZone(ctx context.Context, read func() (*time.Location, error)) (*time.Location, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, zoneLimit, fmt.Errorf("the file system of the zone's file does not answer within %v", zoneLimit))
	defer cancel()
	var local *time.Location
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		local, err = read()
	}()
	select {
	case <-done:
		return local, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// zoneFiles returns what Go calls a zone, and the files that it looks for it in, the first one
// first. No files: it is UTC.
func zoneFiles(tz string, set bool) (name string, files []string) {
	tz = strings.TrimPrefix(tz, ":")
	switch {
	case !set, tz == hostZone:
		return "Local", []string{hostZone}
	case tz == "", tz == "UTC":
		return "UTC", nil
	case path.IsAbs(tz):
		return tz, []string{tz}
	}
	for _, folder := range zoneFolders {
		files = append(files, folder+tz)
	}
	return tz, files
}

// readZone reads the first of these files that is there and has a zone. A host without a file of
// its own is in UTC.
func readZone(name string, files []string) (*time.Location, error) {
	var wrong error
	for _, file := range files {
		text, err := regularfile.Read(file, regularfile.Small)
		if err == nil {
			var local *time.Location
			if local, err = time.LoadLocationFromTZData(name, text); err == nil {
				return local, nil
			}
			err = fmt.Errorf("%s: %w", file, err)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			wrong = errors.Join(wrong, err)
		}
	}
	switch {
	case wrong != nil:
		return nil, wrong
	case files[0] == hostZone:
		return time.UTC, nil
	}
	return nil, fmt.Errorf("there is no %s", files[0])
}
