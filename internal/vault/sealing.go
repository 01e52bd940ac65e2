// Package vault takes deposits in: it seals objects, accepts signed manifests
// whose objects are durable, and opens deposits for those who hold the key.
//
// It may import evidence, escrow, blob and seal. State is reached through the
// interfaces it declares; the server supplies them.
package vault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// Creator begins objects; every blob.Store is one.
type Creator interface {
	Create(ctx context.Context) (blob.Writer, error)
}

// Sealer makes sealed objects in one object store for one set of recipients.
type Sealer struct {
	objects    Creator
	recipients []age.Recipient
}

// NewSealer returns a sealer for recipients in their text form. Only
// post-quantum recipients are taken.
func NewSealer(objects Creator, recipients []string) (*Sealer, error) {
	if len(recipients) == 0 {
		return nil, escrow.Errorf(escrow.Invalid, "nobody to seal to")
	}
	s := &Sealer{objects: objects}
	for _, text := range recipients {
		r, err := age.ParseHybridRecipient(text)
		if err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "recipient %s is not a post-quantum age recipient", evidence.Fingerprint(text))
		}
		s.recipients = append(s.recipients, r)
	}
	return s, nil
}

// Create begins a sealed object that plays role in its deposit.
func (s *Sealer) Create(ctx context.Context, role string) (*Sealing, error) {
	w, err := s.objects.Create(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin a sealed object: %w", err)
	}
	cipher := &counter{w: w}
	plain, err := seal.NewWriter(cipher, s.recipients...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin a sealed object: %w", err), w.Abort())
	}
	return &Sealing{role: role, object: w, cipher: cipher, plain: plain}, nil
}

// Sealing is one object on its way into the vault: plaintext is written in,
// ciphertext goes to the store, and the file key stays in memory until the
// object is committed or aborted, so that what was sealed can be read back
// and checked before the key is forgotten.
type Sealing struct {
	role   string
	object blob.Writer
	cipher *counter
	plain  *seal.Writer
	length int64
}

// Write seals p.
func (s *Sealing) Write(p []byte) (int, error) {
	n, err := s.plain.Write(p)
	s.length += int64(n)
	return n, err
}

// Finish ends the plaintext. Afterwards [Sealing.Plaintext] works.
func (s *Sealing) Finish() error {
	if err := s.plain.Close(); err != nil {
		return fmt.Errorf("finish a sealed object: %w", err)
	}
	return nil
}

// Plaintext reads the sealed bytes back through the file key: what it returns
// is what a holder of the release key will read.
func (s *Sealing) Plaintext() (io.ReaderAt, int64, error) {
	return s.plain.Key().OpenAt(s.object, s.cipher.n)
}

// Commit forgets the file key and makes the object durable.
func (s *Sealing) Commit(ctx context.Context) (evidence.ObjectEntry, error) {
	s.plain.Key().Forget()
	name, size, err := s.object.Commit(ctx)
	if err != nil {
		return evidence.ObjectEntry{}, fmt.Errorf("store a sealed object: %w", err)
	}
	return evidence.ObjectEntry{Name: name, Size: size, Role: s.role, Plain: s.length}, nil
}

// Abort forgets the file key and throws the object away. It does nothing
// after Commit, so that it can be deferred.
func (s *Sealing) Abort() {
	s.plain.Key().Forget()
	_ = s.object.Abort() // nothing was acknowledged; a stale temporary file is swept at the next start
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
