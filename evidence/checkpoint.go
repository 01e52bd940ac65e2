package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpoint bounds a signed checkpoint, in bytes.
const MaxCheckpoint = 64 << 10

// Why a checkpoint, a proof or a receipt is not believed. Every refusal that
// is not about the form of the text wraps one of them.
var (
	ErrUnknownKey   = errors.New("not signed by the expected key")
	ErrBadSignature = errors.New("signature does not verify")
	ErrWitnesses    = errors.New("too few witness cosignatures")
	ErrProof        = errors.New("proof does not hold")
	ErrSubject      = errors.New("receipt is about something else")
)

// Checkpoint is the state of a ledger at one size, as the C2SP tlog-checkpoint
// format has it: three lines, and no extension lines.
type Checkpoint struct {
	Origin string // names the ledger; the name of the key that signs
	Size   int64
	Root   tlog.Hash
}

// String returns the text that is signed.
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// ParseCheckpoint reads the text of a checkpoint, without signatures, and
// accepts exactly what [Checkpoint.String] writes.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(text) > MaxCheckpoint || len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: want three lines: origin, size and root")
	}
	size, err := parseCount(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: size %w", err)
	}
	root, err := parseTreeHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root %w", err)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if !isOrigin(c.Origin) {
		return Checkpoint{}, fmt.Errorf("checkpoint: origin %q is not a key name", c.Origin)
	}
	return c, nil
}

// SignCheckpoint returns c as a signed note. The signer's name must be the
// origin.
func SignCheckpoint(c Checkpoint, signer note.Signer) ([]byte, error) {
	if signer.Name() != c.Origin || !isOrigin(c.Origin) {
		return nil, fmt.Errorf("checkpoint of %q cannot be signed by the key of %q", c.Origin, signer.Name())
	}
	signed, err := note.Sign(&note.Note{Text: c.String()}, signer)
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %s at size %d: %w", c.Origin, c.Size, err)
	}
	return signed, nil
}

// Policy says whose signatures a checkpoint needs before it is believed: the
// ledger's own, always, and Required of the Witnesses.
type Policy struct {
	Log       note.Verifier
	Witnesses []note.Verifier
	Required  int
}

// NewPolicy makes a policy from verifier keys as the signed-note format
// writes them; a witness key has the type cosignature/v1.
func NewPolicy(logKey string, witnessKeys []string, required int) (Policy, error) {
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return Policy{}, fmt.Errorf("ledger key %q: %w", logKey, err)
	}
	p := Policy{Log: log, Required: required}
	seen := make(map[string]bool)
	for _, key := range witnessKeys {
		w, err := parseWitnessKey(key)
		if err != nil {
			return Policy{}, err
		}
		if seen[string(w.public)] {
			return Policy{}, fmt.Errorf("witness key %q: the same key is listed twice, so it would count twice", key)
		}
		seen[string(w.public)] = true
		p.Witnesses = append(p.Witnesses, w)
	}
	if required < 0 || required > len(p.Witnesses) {
		return Policy{}, fmt.Errorf("%d witnesses are required and %d are known", required, len(p.Witnesses))
	}
	return p, nil
}

// Open checks the signatures on a checkpoint and returns it. Lines signed by
// keys the policy does not know must be well formed and count for nothing; a
// line of a known key that does not verify is refused.
func (p Policy) Open(signed []byte) (Checkpoint, error) {
	if p.Log == nil {
		return Checkpoint{}, errors.New("checkpoint: the policy names no ledger key")
	}
	n, err := openNote(signed, append([]note.Verifier{p.Log}, p.Witnesses...))
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	witnessed, logSigned := 0, false
	for _, s := range n.Sigs {
		if s.Name == p.Log.Name() && s.Hash == p.Log.KeyHash() {
			logSigned = true
		} else {
			witnessed++
		}
	}
	switch {
	case !logSigned:
		return Checkpoint{}, fmt.Errorf("checkpoint of %s at size %d: %w %s+%08x", c.Origin, c.Size, ErrUnknownKey, p.Log.Name(), p.Log.KeyHash())
	case c.Origin != p.Log.Name():
		return Checkpoint{}, fmt.Errorf("checkpoint of %s at size %d: %w: the key is that of %s", c.Origin, c.Size, ErrUnknownKey, p.Log.Name())
	case witnessed < p.Required:
		return Checkpoint{}, fmt.Errorf("checkpoint of %s at size %d: %w: %d of the %d required", c.Origin, c.Size, ErrWitnesses, witnessed, p.Required)
	}
	return c, nil
}

// PeekCheckpoint reads the text of a signed checkpoint without believing it.
func PeekCheckpoint(signed []byte) (Checkpoint, error) {
	n, err := openNote(signed, nil)
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(n.Text)
}

// openNote is note.Open with a bound, strict base64, so that no byte of a
// signature can change unseen, and this package's errors. When no known key
// has signed it returns the note together with ErrUnknownKey.
func openNote(signed []byte, known []note.Verifier) (*note.Note, error) {
	if len(signed) > MaxCheckpoint {
		return nil, fmt.Errorf("checkpoint: %d bytes, at most %d are allowed", len(signed), MaxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if invalid, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return nil, fmt.Errorf("checkpoint: %w: key %s+%08x", ErrBadSignature, invalid.Name, invalid.Hash)
	}
	unverified, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if err != nil && !ok {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if ok {
		n = unverified.Note
	}
	for _, list := range [][]note.Signature{n.Sigs, n.UnverifiedSigs} {
		for _, s := range list {
			if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
				return nil, fmt.Errorf("checkpoint: signature of %s is not strict base64", s.Name)
			}
		}
	}
	if ok {
		return n, fmt.Errorf("checkpoint: %w", ErrUnknownKey)
	}
	return n, nil
}

func isOrigin(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.Contains(s, "+") &&
		strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is not a decimal number from 0", s)
	}
	return n, nil
}

func parseTreeHash(s string) (tlog.Hash, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != tlog.HashSize || base64.StdEncoding.EncodeToString(raw) != s {
		return tlog.Hash{}, fmt.Errorf("%q is not the base64 of %d bytes", s, tlog.HashSize)
	}
	return tlog.Hash(raw), nil
}
