package e2e

import "fmt"

func addr(i int) string { return fmt.Sprintf("10.20.%d.%d", 1+i/200, 1+i%200) }

func id(kind string, i int) string {
	return fmt.Sprintf("%02x%06x-5a1e-4c0d-9b7f-0d2e4f6a8c10", len(kind), 0x1000+i)
}

func name(kind string, i int) string { return fmt.Sprintf("%s-%d.shop.example", kind, i+1) }
