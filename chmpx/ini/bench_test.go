package ini

import (
	"strings"
	"testing"
)

func BenchmarkLines(b *testing.B) {
	node := "\n    \n[SVRNODE]\nNAME                = srv-a.shop.internal\nCUK                 = 1f6c1f0a-0d53-4f9e-8a55-6f1b6f5c1a01\nPORT                = 8020\nCTLPORT             = 8021 # control\nCUSTOM_ID_SEED      = \"srv-a.shop.internal\"\nSSL                 = no\n    \n"
	text := []byte("# orders\n[GLOBAL]\nFILEVERSION = 1\nGROUP = orders\n" + strings.Repeat(node, 350))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for range Lines(text) {
		}
	}
}
