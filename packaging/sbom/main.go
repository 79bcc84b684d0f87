package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	copyright := flag.String("copyright", "", "copyright file, as Debian has it")
	flag.Parse()
	if flag.NArg() != 0 || *copyright == "" {
		fmt.Fprintln(os.Stderr, "usage: sbom -copyright FILE <BILL >COMPLETE-BILL")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Stdout, *copyright); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, copyright string) error {
	text, err := os.ReadFile(copyright)
	if err != nil {
		return err
	}
	known, err := licences(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", copyright, err)
	}
	var bill cdx.BOM
	if err := cdx.NewBOMDecoder(in, cdx.BOMFileFormatJSON).Decode(&bill); err != nil {
		return fmt.Errorf("standard input is not a bill in JSON: %w", err)
	}
	if err := complete(&bill, known); err != nil {
		return err
	}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(&bill)
}

// complete adds the licences and takes out what differs between two runs of
// cyclonedx-gomod on the same program. A component that is not among the known
// ones is an error.
func complete(bill *cdx.BOM, known map[string]string) error {
	m := bill.Metadata
	if m == nil || m.Component == nil || bill.Components == nil {
		return errors.New("the bill on standard input lists nothing")
	}
	m.Timestamp = ""
	if m.Tools != nil && m.Tools.Tools != nil {
		for i := range *m.Tools.Tools {
			(*m.Tools.Tools)[i].Hashes = nil
		}
	}
	m.Component.Licenses = licensed(known[""])
	for i := range *bill.Components {
		c := &(*bill.Components)[i]
		licence, ok := known[c.Name]
		if !ok {
			return fmt.Errorf("the copyright file does not name the module %s, which is in the program", c.Name)
		}
		c.Licenses = licensed(licence)
	}
	return nil
}
