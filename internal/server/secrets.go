package server

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"

	"holdfast/internal/escrow"
)

// secrets seals source credentials to the server's own identity and opens
// them for the moment they are used.
type secrets struct{ identity *age.HybridIdentity }

// Seal implements arrangement.Sealer.
func (s secrets) Seal(secret []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, s.identity.Recipient())
	if err != nil {
		return nil, fmt.Errorf("seal a credential: %w", err)
	}
	if _, err := w.Write(secret); err != nil {
		return nil, fmt.Errorf("seal a credential: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal a credential: %w", err)
	}
	return out.Bytes(), nil
}

// maxSecret bounds a credential when it is opened.
const maxSecret = 64 << 10

func (s secrets) open(c escrow.Credential) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(c.Sealed), s.identity)
	if err != nil {
		return nil, escrow.Errorf(escrow.WrongKey, "the %s of module %s is not sealed to this server's key", c.Kind, c.Module).
			WithHint("set the credential again")
	}
	return io.ReadAll(io.LimitReader(r, maxSecret))
}
