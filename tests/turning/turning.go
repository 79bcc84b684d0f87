// Package turning changes what is at a path, again and again, while a test reads it.
package turning

import (
	"os"
	"path/filepath"
)

// Begin puts one form after the other at path, each by a rename, until end is called, which waits
// for that. A form makes a file at the path that it is given.
func Begin(path string, forms ...func(path string)) (end func()) {
	aside := filepath.Join(filepath.Dir(path), "aside")
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			forms[i%len(forms)](aside)
			os.Rename(aside, path)
		}
	}()
	return func() {
		close(stop)
		<-over
	}
}
