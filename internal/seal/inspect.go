package seal

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"

	"filippo.io/age"

	"holdfast/internal/escrow"
)

// The one kind of stanza Holdfast accepts, and its exact sizes: a classic or
// foreign stanza beside it would let the file be opened in ways that the
// agreement does not know.
const (
	hybridStanza  = "mlkem768x25519"
	hybridEncSize = 1120 // bytes of ML-KEM-768 ciphertext and X25519 share
	hybridBody    = 32   // file key with its tag
	nonceSize     = 16
	chunkSize     = 64 << 10
	chunkOverhead = 16
)

// Header is what the header of a sealed object shows to somebody without a
// key: how many recipients, not who.
type Header struct {
	Recipients int
	Length     int64 // bytes of the header
}

// InspectHeader reads the header of a sealed object and refuses anything but
// exactly want post-quantum recipients. It needs no key, and therefore cannot
// say to whom the object is sealed nor whether its content is whole.
func InspectHeader(r io.Reader, want int) (Header, error) {
	raw, err := age.ExtractHeader(r)
	if err != nil {
		return Header{}, escrow.Wrap(err, escrow.Invalid, "the object is not an age file").
			WithHint("seal it with 'holdfast deposit' or 'age -R RECIPIENT', without armor")
	}
	h := Header{Length: int64(len(raw))}
	for block := range bytes.SplitSeq(raw, []byte("\n-> ")) {
		if h.Recipients++; h.Recipients == 1 {
			continue // the version line
		}
		line, body, _ := strings.Cut(string(block), "\n")
		if err := checkStanza(line, body, h.Recipients-1); err != nil {
			return Header{}, err
		}
	}
	h.Recipients--
	if h.Recipients != want {
		return Header{}, escrow.Errorf(escrow.Invalid, "the object is sealed to %d recipients, want %d", h.Recipients, want).
			WithHint("seal it to exactly the recipients that the key manifest names")
	}
	return h, nil
}

func checkStanza(line, body string, number int) error {
	words := strings.Split(line, " ")
	if words[0] != hybridStanza {
		return escrow.Errorf(escrow.Invalid, "recipient %d of the object is %.40q, want %q only", number, words[0], hybridStanza).
			WithHint("seal it again to the recipients of the key manifest and nobody else")
	}
	body, _, _ = strings.Cut(body, "\n")
	if len(words) != 2 || base64.RawStdEncoding.DecodedLen(len(words[1])) != hybridEncSize || base64.RawStdEncoding.DecodedLen(len(body)) != hybridBody {
		return escrow.Errorf(escrow.Invalid, "recipient %d of the object is not a well-formed %s", number, hybridStanza).
			WithHint("seal it again; the header was damaged or made by another program")
	}
	return nil
}
