package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"strings"

	"filippo.io/age"
	"github.com/cloudflare/circl/group"
)

const (
	identityInfo = "holdfast/v1/release-identity"
	identityHRP  = "AGE-SECRET-KEY-PQ-"
)

// releaseIdentity derives the age identity of a compartment's epoch from the
// shared scalar: an age hybrid identity is a 32-byte seed, written in bech32.
func releaseIdentity(secret group.Scalar, arrangement, compartment string, identityEpoch int) (*age.HybridIdentity, error) {
	ikm := encode(secret)
	salt := fmt.Sprintf("%s\n%s\n%d", arrangement, compartment, identityEpoch)
	seed, err := hkdf.Key(sha256.New, ikm[:], []byte(salt), identityInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("release identity: %w", err)
	}
	return seedIdentity(seed)
}

// seedIdentity is the age identity with a 32-byte seed.
func seedIdentity(seed []byte) (*age.HybridIdentity, error) {
	id, err := age.ParseHybridIdentity(strings.ToUpper(bech32Encode(strings.ToLower(identityHRP), seed)))
	if err != nil {
		return nil, fmt.Errorf("release identity: %w", err)
	}
	return id, nil
}

const bech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32Encode writes data in bech32 (BIP 173, without its length limit, as
// age does). age has no public function from a seed to an identity.
func bech32Encode(hrp string, data []byte) string {
	values := make([]byte, 0, len(data)*8/5+1)
	acc, bits := 0, 0
	for _, b := range data {
		acc, bits = acc<<8|int(b), bits+8
		for bits >= 5 {
			bits -= 5
			values = append(values, byte(acc>>bits&31))
		}
		acc &= 1<<bits - 1
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits)&31))
	}
	sum := bech32Checksum(hrp, values)
	out := []byte(hrp + "1")
	for _, v := range append(values, sum[:]...) {
		out = append(out, bech32Alphabet[v])
	}
	return string(out)
}

func bech32Checksum(hrp string, values []byte) [6]byte {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range len(hrp) {
		step(hrp[i] >> 5)
	}
	step(0)
	for i := range len(hrp) {
		step(hrp[i] & 31)
	}
	for _, v := range values {
		step(v)
	}
	for range 6 {
		step(0)
	}
	sum ^= 1
	var out [6]byte
	for i := range out {
		out[i] = byte(sum >> (5 * (5 - i)) & 31)
	}
	return out
}
