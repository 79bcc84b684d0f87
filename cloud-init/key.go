package cloudinit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	armourHead  = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	armourTail  = "-----END PGP PUBLIC KEY BLOCK-----"
	wantsArmour = "give the file that `gpg --armor --export KEY` prints"
)

// The armour is read here, without a library: go-crypto's reader of armour ignores
// the checksum and takes half a block for a whole one, its reader of packets would
// make the program 230 KB larger, and one that reads keys a megabyte.

// publicKey returns the block of an armoured OpenPGP public key in a text, and when
// the key expires, the zero time being never. It refuses a key that current systems
// take no signature by. No error repeats any of it.
func publicKey(text string, now time.Time) (block string, expires time.Time, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.Contains(text, "PRIVATE KEY") {
		return "", expires, errors.New("the key file has a private key in it, which must not leave the place where packages are signed: " + wantsArmour)
	}
	_, rest, begins := strings.Cut(text, armourHead+"\n")
	body, after, ends := strings.Cut(rest, "\n"+armourTail)
	switch {
	case !begins:
		return "", expires, errors.New("the key file has no armoured public key: " + wantsArmour)
	case !ends:
		return "", expires, errors.New("the public key in the key file is cut off: " + wantsArmour)
	case strings.Contains(after, armourHead):
		return "", expires, errors.New("the key file has more than one block, and apt reads only the first: export all keys with one command")
	}
	packets, err := checkArmour(body)
	if err != nil {
		return "", expires, fmt.Errorf("the public key in the key file is damaged (%w): %s", err, wantsArmour)
	}
	if expires, err = signing(packets, now); err != nil {
		return "", expires, fmt.Errorf("no VM could check what the key in the key file has signed: %w", err)
	}
	return armourHead + "\n" + body + "\n" + armourTail + "\n", expires, nil
}

// checkArmour decodes the text between head and tail: headers, an empty line,
// base64, and a checksum that newer programs leave out (RFC 9580, 6).
func checkArmour(body string) ([]byte, error) {
	headers, data, ok := strings.Cut("\n"+body, "\n\n")
	if !ok {
		return nil, errors.New("no empty line before the data")
	}
	for line := range strings.SplitSeq(strings.TrimPrefix(headers, "\n"), "\n") {
		if line != "" && !strings.Contains(line, ": ") {
			return nil, errors.New("a line before the data is not a header")
		}
	}
	data, sum := cutChecksum(data)
	packets, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(data, "\n", ""))
	if err != nil {
		return nil, errors.New("not base64")
	}
	if sum != "" && sum != checksum(packets) {
		return nil, errors.New("its checksum does not match")
	}
	if len(packets) < 2 || packetTag(packets[0]) != tagPublicKey {
		return nil, errors.New("it does not begin with a public key")
	}
	return packets, nil
}

// cutChecksum cuts off the last line if it is a checksum.
func cutChecksum(data string) (rest, sum string) {
	data = strings.TrimRight(data, "\n")
	i := strings.LastIndex(data, "\n")
	if last := data[i+1:]; i >= 0 && len(last) == 5 && last[0] == '=' {
		return data[:i], last[1:]
	}
	return data, ""
}

const tagPublicKey = 6

// packetTag is the type of the packet that begins with a byte (RFC 9580, 4.2).
func packetTag(first byte) byte {
	switch {
	case first&0x80 == 0:
		return 0
	case first&0x40 != 0:
		return first & 0x3f
	}
	return first >> 2 & 0x0f
}

// checksum is the CRC-24 of armour, in base64.
func checksum(b []byte) string {
	crc := uint32(0xb704ce)
	for _, c := range b {
		crc ^= uint32(c) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
}
