package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const (
	algEd25519     = 1
	algCosignature = 4 // cosignature/v1 with Ed25519
	timestampSize  = 8
)

// NewWitnessVerifier returns the verifier for a witness key of the C2SP type
// cosignature/v1 with Ed25519, written "name+hash+keydata". A verifier tells
// its key apart from a ledger's key, so neither can stand in for the other.
func NewWitnessVerifier(vkey string) (note.Verifier, error) {
	w, err := parseWitnessKey(vkey)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func parseWitnessKey(vkey string) (*cosigner, error) {
	name, alg, key, err := splitKey(vkey)
	if err != nil {
		return nil, fmt.Errorf("witness key %q: %w", vkey, err)
	}
	if alg != algCosignature {
		return nil, fmt.Errorf("witness key %q: key type %d is not cosignature/v1 (%d)", vkey, alg, algCosignature)
	}
	w := cosigner{name: name, public: ed25519.PublicKey(key)}
	if w.verifierKey() != vkey {
		return nil, fmt.Errorf("witness key %q: the hash or the form is wrong, expected %q", vkey, w.verifierKey())
	}
	return &w, nil
}

// NewCosigner returns the signer of a witness. skey is a signer key as the
// signed-note format writes it, of Ed25519 or of cosignature/v1 type; now
// gives the time each cosignature states. Messages that are not checkpoints
// are refused.
func NewCosigner(skey string, now func() time.Time) (note.Signer, error) {
	rest, ok := strings.CutPrefix(skey, "PRIVATE+KEY+")
	if !ok {
		return nil, fmt.Errorf("witness signer key: malformed") // never its text
	}
	name, alg, seed, err := splitKey(rest)
	if err != nil || alg != algEd25519 && alg != algCosignature {
		return nil, fmt.Errorf("witness signer key: malformed, or not an Ed25519 key")
	}
	private := ed25519.NewKeyFromSeed(seed)
	return &cosigner{name: name, public: private.Public().(ed25519.PublicKey), private: private, now: now}, nil
}

// WitnessKey returns the verifier key of a signer made by [NewCosigner].
func WitnessKey(signer note.Signer) (string, error) {
	c, ok := signer.(*cosigner)
	if !ok {
		return "", fmt.Errorf("the signer of %s is not a witness", signer.Name())
	}
	return c.verifierKey(), nil
}

type cosigner struct {
	name    string
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	now     func() time.Time
}

func (c *cosigner) Name() string { return c.name }

func (c *cosigner) KeyHash() uint32 { return noteKeyHash(c.name, c.keyData()) }

func (c *cosigner) keyData() []byte { return append([]byte{algCosignature}, c.public...) }

func (c *cosigner) verifierKey() string {
	return fmt.Sprintf("%s+%08x+%s", c.name, c.KeyHash(), base64.StdEncoding.EncodeToString(c.keyData()))
}

func (c *cosigner) Sign(text []byte) ([]byte, error) {
	t := c.now().Unix()
	if t < 0 {
		return nil, fmt.Errorf("witness %s: the clock stands before 1970", c.name)
	}
	msg, err := cosigned(uint64(t), text)
	if err != nil {
		return nil, fmt.Errorf("witness %s: %w", c.name, err)
	}
	sig := binary.BigEndian.AppendUint64(nil, uint64(t))
	return append(sig, ed25519.Sign(c.private, msg)...), nil
}

func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != timestampSize+ed25519.SignatureSize {
		return false
	}
	msg, err := cosigned(binary.BigEndian.Uint64(sig), text)
	return err == nil && ed25519.Verify(c.public, msg, sig[timestampSize:])
}

// cosigned is what a witness signs: the time and the checkpoint.
func cosigned(t uint64, text []byte) ([]byte, error) {
	if _, err := ParseCheckpoint(string(text)); err != nil {
		return nil, err
	}
	if t > math.MaxInt64 {
		return nil, fmt.Errorf("time %d is out of range", t)
	}
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", t, text), nil
}

// splitKey takes "name+hash+keydata" apart and returns the key's type and its
// 32 bytes. It does not check the hash.
func splitKey(key string) (name string, alg byte, data []byte, err error) {
	parts := strings.Split(key, "+")
	if len(parts) < 3 || len(parts[1]) != 8 || !isOrigin(parts[0]) {
		return "", 0, nil, fmt.Errorf("not of the form name+hash+keydata")
	}
	// Standard base64 uses '+' too, so the key data may have been split.
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.Join(parts[2:], "+"))
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return "", 0, nil, fmt.Errorf("the key data is not base64 of a type and 32 bytes")
	}
	return parts[0], raw[0], bytes.Clone(raw[1:]), nil
}

func noteKeyHash(name string, keyData []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write(keyData)
	return binary.BigEndian.Uint32(h.Sum(nil))
}
