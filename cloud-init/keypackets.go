package cloudinit

import (
	"crypto/sha1" //nolint:gosec // an OpenPGP v4 key is known by it
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// openpgpKey is what a public key says about itself (RFC 9580, 5.5.2) and about its use
// (5.2.3). Nothing is verified: it is the operator's own key, which is looked at for what apt and
// rpm would refuse.
type openpgpKey struct {
	created   time.Time
	algorithm byte
	bits      int // of RSA and DSA
	id        [8]byte
	revoked   bool
	selfs     []selfSignature
	subkeys   []*openpgpKey
}

// selfSignature is a key's word about itself, or about a subkey.
type selfSignature struct {
	hash    byte
	created time.Time
	expires time.Duration // of the key, after it was made; 0: never
	signs   bool          // the key may sign
}

// Algorithms and types of packets, signatures and their parts that matter here (RFC 9580, 5, 9).
const (
	tagSignature, tagSubkey = 2, 14

	rsa, rsaEncrypt, rsaSign        = 1, 2, 3
	dsa                             = 17
	ecdsa, eddsa, ed25519, ed448    = 19, 22, 27, 28
	certifies, certified, directKey = 0x10, 0x13, 0x1f
	bindsSubkey                     = 0x18
	revokesKey, revokesSubkey       = 0x20, 0x28
	partCreated, partKeyExpires     = 2, 9
	partIssuer, partFlags           = 16, 27
	partFingerprint                 = 33
	flagSigns                       = 0x02
	md5Hash, sha1Hash, ripemdHash   = 1, 2, 3
	shortestRSA                     = 2048
)

var errCutOff = errors.New("one of its packets is cut off")

// readKeys reads the keys of a block.
func readKeys(b []byte) (keys []*openpgpKey, err error) {
	var primary, current *openpgpKey
	for len(b) > 0 {
		tag, body, rest, err := packet(b)
		if err != nil {
			return nil, err
		}
		b = rest
		switch tag {
		case tagPublicKey, tagSubkey:
			k, err := readKey(body)
			if err != nil {
				return nil, err
			}
			if current = k; tag == tagPublicKey {
				primary, keys = k, append(keys, k)
			} else if primary != nil {
				primary.subkeys = append(primary.subkeys, k)
			}
		case tagSignature:
			if primary != nil {
				current.sign(body, primary.id)
			}
		default: // a user, say: what follows is about the primary key
			if current != nil && len(primary.subkeys) == 0 {
				current = primary
			}
		}
	}
	return keys, nil
}

// packet cuts off the first packet (RFC 9580, 4.2).
func packet(b []byte) (tag byte, body, rest []byte, err error) {
	tag = packetTag(b[0])
	var head, size int
	switch old := b[0]&0x40 == 0; {
	case len(b) < 2 || tag == 0:
		return 0, nil, nil, errCutOff
	case old && b[0]&3 == 3: // to the end
		head, size = 1, len(b)-1
	case old:
		n := 1 << (b[0] & 3)
		if len(b) < 1+n {
			return 0, nil, nil, errCutOff
		}
		head = 1 + n
		for _, c := range b[1:head] {
			size = size<<8 | int(c)
		}
	default:
		long, n, ok := length(b[1:])
		if !ok {
			return 0, nil, nil, errCutOff
		}
		head, size = 1+n, long
	}
	if size < 0 || len(b)-head < size {
		return 0, nil, nil, errCutOff
	}
	return tag, b[head : head+size], b[head+size:], nil
}

// length reads the length of a packet in the new form, or of a part of a signature, in n bytes.
func length(b []byte) (size, n int, ok bool) {
	switch {
	case len(b) > 0 && b[0] < 192:
		return int(b[0]), 1, true
	case len(b) > 1 && b[0] < 224:
		return (int(b[0])-192)<<8 + int(b[1]) + 192, 2, true
	case len(b) > 4 && b[0] == 255:
		return int(binary.BigEndian.Uint32(b[1:])), 5, true
	}
	return 0, 0, false
}

func readKey(b []byte) (*openpgpKey, error) {
	if len(b) < 8 {
		return nil, errCutOff
	}
	if b[0] != 4 {
		return nil, fmt.Errorf("it is of version %d, and apt and rpm know version 4 everywhere", b[0])
	}
	k := &openpgpKey{created: seconds(b[1:]), algorithm: b[5], bits: int(binary.BigEndian.Uint16(b[6:]))}
	h := sha1.New()
	h.Write([]byte{0x99, byte(len(b) >> 8), byte(len(b))})
	h.Write(b)
	copy(k.id[:], h.Sum(nil)[12:])
	return k, nil
}

func seconds(b []byte) time.Time { return time.Unix(int64(binary.BigEndian.Uint32(b)), 0) }

// sign takes a signature by the primary key to heart.
func (k *openpgpKey) sign(b []byte, by [8]byte) {
	if len(b) < 6 || b[0] != 4 {
		return
	}
	kind, s := b[1], selfSignature{hash: b[3], signs: true}
	var issuer [8]byte
	hashed := true
	for rest := b[4:]; len(rest) >= 2; hashed = false {
		n := int(binary.BigEndian.Uint16(rest))
		if len(rest) < 2+n {
			return
		}
		parts := rest[2 : 2+n]
		for len(parts) > 0 {
			size, head, ok := length(parts)
			if !ok || size < 1 || len(parts) < head+size {
				return
			}
			s.take(parts[head]&0x7f, parts[head+1:head+size], hashed, &issuer)
			parts = parts[head+size:]
		}
		if rest = rest[2+n:]; !hashed {
			break
		}
	}
	switch {
	case issuer != by:
	case kind == revokesKey || kind == revokesSubkey:
		k.revoked = true
	case kind >= certifies && kind <= certified || kind == directKey || kind == bindsSubkey:
		k.selfs = append(k.selfs, s)
	}
}

// take reads one part; only those that are signed count, but for the issuer.
func (s *selfSignature) take(kind byte, b []byte, hashed bool, issuer *[8]byte) {
	switch {
	case kind == partIssuer && len(b) == 8:
		copy(issuer[:], b)
	case kind == partFingerprint && len(b) == 21:
		copy(issuer[:], b[13:])
	case !hashed:
	case kind == partCreated && len(b) == 4:
		s.created = seconds(b)
	case kind == partKeyExpires && len(b) == 4:
		s.expires = time.Duration(binary.BigEndian.Uint32(b)) * time.Second
	case kind == partFlags && len(b) > 0:
		s.signs = b[0]&flagSigns != 0
	}
}

var errNoSigning = errors.New("it is not for signing")

// usable returns when a key expires, or never as the zero time, or why apt or rpm of a current
// system takes nothing that it signs.
func (k *openpgpKey) usable(now time.Time) (expires time.Time, err error) {
	if k.revoked {
		return expires, errors.New("it is revoked")
	}
	if isRSA := k.algorithm <= rsaSign; isRSA && k.bits < shortestRSA {
		return expires, fmt.Errorf("it has %d bits, and current systems want %d or more", k.bits, shortestRSA)
	}
	if k.algorithm == dsa {
		return expires, errors.New("it is a DSA key, which current systems refuse")
	}
	var newest *selfSignature
	for i, s := range k.selfs {
		weak := s.hash == md5Hash || s.hash == sha1Hash || s.hash == ripemdHash
		if !weak && (newest == nil || s.created.After(newest.created)) {
			newest = &k.selfs[i]
		}
	}
	switch {
	case newest == nil && len(k.selfs) == 0:
		return expires, errors.New("it has no self-signature")
	case newest == nil:
		return expires, errors.New("its self-signature is by SHA-1, which Debian 13 and EL 9 refuse; `gpg --cert-digest-algo SHA256 --quick-set-expire KEY 2y` makes a new one")
	case newest.expires > 0:
		if expires = k.created.Add(newest.expires); !now.Before(expires) {
			return expires, fmt.Errorf("it has expired on %s; `gpg --quick-set-expire KEY 2y` gives it a new date", expires.UTC().Format(time.DateOnly))
		}
	}
	switch k.algorithm {
	case rsa, rsaSign, ecdsa, eddsa, ed25519, ed448:
		if newest.signs {
			return expires, nil
		}
	}
	return expires, errNoSigning
}

// signs is usable for a key with its subkeys, the best of which counts.
func (k *openpgpKey) signs(now time.Time) (expires time.Time, err error) {
	expires, err = k.usable(now)
	if !errors.Is(err, errNoSigning) {
		return expires, err
	}
	for _, sub := range k.subkeys {
		until, errSub := sub.usable(now)
		if errSub == nil {
			return sooner(expires, until), nil
		}
		if !errors.Is(errSub, errNoSigning) {
			err = fmt.Errorf("its subkey for signing: %w", errSub)
		}
	}
	return expires, err
}

// sooner is the earlier of two times, of which the zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// signing returns when the last of the keys in a block that can sign expires; the zero time: never.
func signing(packets []byte, now time.Time) (expires time.Time, err error) {
	keys, err := readKeys(packets)
	if err != nil {
		return expires, err
	}
	found := false
	var why error
	for _, k := range keys {
		until, errKey := k.signs(now)
		switch {
		case errKey != nil:
			why = errKey
		case until.IsZero():
			return until, nil
		case !found || until.After(expires):
			expires, found = until, true
		}
	}
	if found {
		return expires, nil
	}
	return expires, why
}
