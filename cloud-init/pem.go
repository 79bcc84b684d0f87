package cloudinit

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Certificates returns the certificates in a PEM file, and nothing else that is in
// it. A file without certificates, or with one that cannot be read, is an error.
func Certificates(text string) (string, error) {
	var b strings.Builder
	for block := range blocks(text) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", fmt.Errorf("cannot read one of its certificates: %w", err)
		}
		writeBlock(&b, block)
	}
	if b.Len() == 0 {
		return "", errors.New("it has no PEM certificate")
	}
	return b.String(), nil
}

// KeyPair returns the certificates of a client and its private key, each from its
// PEM file and without anything else that is in it. No error repeats the key.
func KeyPair(cert, key string) (certs, private string, err error) {
	if certs, err = Certificates(cert); err != nil {
		return "", "", err
	}
	var b strings.Builder
	for block := range blocks(key) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
				return "", "", errors.New("the private key is encrypted, and nobody can decrypt it on the VM")
			}
			writeBlock(&b, block)
		}
	}
	if b.Len() == 0 {
		return "", "", errors.New("it has no PEM private key")
	}
	if _, err := tls.X509KeyPair([]byte(certs), []byte(b.String())); err != nil {
		return "", "", fmt.Errorf("certificate and key do not belong together: %w", err)
	}
	return certs, b.String(), nil
}

func blocks(text string) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		rest := []byte(text)
		for {
			var block *pem.Block
			block, rest = pem.Decode(rest)
			if block == nil || !yield(block) {
				return
			}
		}
	}
}

func writeBlock(b *strings.Builder, block *pem.Block) {
	b.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
}
