package doctor

import (
	"os"
	"testing"

	"k2hdkc-slave-agent/tests/parallel"
)

func TestMain(m *testing.M) {
	parallel.Waiting()
	os.Exit(m.Run())
}
