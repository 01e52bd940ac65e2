package arrangement

import (
	"crypto/sha256"
	"slices"
	"sync"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/signing"
)

// keptTexts bounds what [texts] keeps of each kind. A text has at most a
// mebibyte, and few are being signed at a time.
const keptTexts = 8

type sourceKey [sha256.Size]byte

// texts keeps what the texts come to that were last asked for. Reading one and
// narrowing it to each of its parts takes many times as long as all else that
// is done for a signature, and every request about a version needs it. What is
// kept follows from the bytes of the sources alone and is found by their
// digests, so it is never out of date; nobody changes it.
type texts struct {
	mu     sync.Mutex
	parsed map[sourceKey]*agreement.Agreement
	parted map[[2]sourceKey][]signing.Part
}

func newTexts() *texts {
	return &texts{parsed: map[sourceKey]*agreement.Agreement{}, parted: map[[2]sourceKey][]signing.Part{}}
}

// read returns a text that was taken in. A text that is refused is not kept.
func (t *texts) read(arrangement string, source []byte) (*agreement.Agreement, error) {
	key := sourceKey(sha256.Sum256(source))
	t.mu.Lock()
	parsed := t.parsed[key]
	t.mu.Unlock()
	if parsed != nil {
		return parsed, nil
	}
	parsed, problems := agreement.Parse(arrangement, source)
	if parsed == nil {
		return nil, agreement.Refusal(problems)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.parsed) >= keptTexts {
		clear(t.parsed)
	}
	t.parsed[key] = parsed
	return parsed, nil
}

// parts returns the parts of a text beside the one in force before it, whose
// source is nil for a first version.
func (t *texts) parts(arrangement string, former, now []byte) (*agreement.Agreement, []signing.Part, error) {
	parsed, err := t.read(arrangement, now)
	if err != nil {
		return nil, nil, err
	}
	key := [2]sourceKey{{}, sha256.Sum256(now)}
	var before *agreement.Agreement
	if former != nil {
		key[0] = sha256.Sum256(former)
		if before, err = t.read(arrangement, former); err != nil {
			return nil, nil, err
		}
	}
	t.mu.Lock()
	list, known := t.parted[key]
	t.mu.Unlock()
	if known {
		return parsed, slices.Clone(list), nil
	}
	if list, err = signing.Parts(before, parsed); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.parted) >= keptTexts {
		clear(t.parted)
	}
	t.parted[key] = list
	return parsed, slices.Clone(list), nil
}
