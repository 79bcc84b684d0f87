// Package parallel has the tests of a package that wait for processes and for pauses, rather than
// for a processor, wait at the same time.
package parallel

import "flag"

// atOnce is how many such tests run. Without a processor each, they take longer; they have to
// allow for that on a busy machine anyway.
const atOnce = "16"

// Waiting is called by a TestMain. It lets 16 tests that call t.Parallel run at the same time,
// however few processors there are. An explicit -parallel stands.
func Waiting() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", atOnce)
	}
}
