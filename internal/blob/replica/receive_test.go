package replica_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"holdfast/internal/blob"
	"holdfast/internal/blob/replica"
	"holdfast/internal/escrow"
)

// TestReceive: bytes whose name is known are taken when they have it, however
// they arrive, and otherwise nothing of them is anywhere.
func TestReceive(t *testing.T) {
	b := build(t, replica.Options{Quorum: 2}, 2)
	data := make([]byte, 3<<18+17) // three pieces and a bit
	rand.NewChaCha8([32]byte{1}).Read(data)
	other := bytes.Clone(data)
	other[len(other)-1] ^= 1
	broken := errors.New("the line broke")
	for _, c := range []struct {
		what string
		r    io.Reader
		read error
		code escrow.Code
	}{
		{"other bytes", bytes.NewReader(other), nil, escrow.Invalid},
		{"too few", bytes.NewReader(data[:len(data)-1]), nil, escrow.Invalid},
		{"too many", io.MultiReader(bytes.NewReader(data), bytes.NewReader(data[:1])), nil, escrow.Invalid},
		{"none", bytes.NewReader(nil), nil, escrow.Invalid},
		// A connection that ends early says so; that is not the end of the bytes.
		{"ended early", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF, ""},
		{"broken", io.MultiReader(bytes.NewReader(data[:1000]), iotest.ErrReader(broken)), broken, ""},
		{"as it should be", bytes.NewReader(data), nil, ""},
		{"byte by byte", iotest.OneByteReader(bytes.NewReader(data)), nil, ""},
		{"with its end", iotest.DataErrReader(bytes.NewReader(data)), nil, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			name := nameOf(data)
			w, err := b.For(replica.Origin{Arrangement: "demo"}).Receive(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if _, err := io.Copy(w, c.r); !errors.Is(err, c.read) {
				t.Fatalf("copy: %v, want %v", err, c.read)
			}
			if c.read != nil {
				return
			}
			got, size, err := w.Commit(t.Context())
			if escrow.CodeOf(err) != c.code {
				t.Fatalf("commit: %v, want code %q", err, c.code)
			}
			if c.code == "" && (got != name || size != int64(len(data))) {
				t.Fatalf("%s with %d bytes", got, size)
			}
			for i, s := range b.files {
				r, err := s.Open(t.Context(), name)
				if c.code != "" {
					if escrow.CodeOf(err) != escrow.Missing {
						t.Errorf("location %d: %v", i, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := blob.Check(t.Context(), r, name); err != nil {
					t.Errorf("location %d: %v", i, err)
				}
				r.Close()
			}
		})
	}
	if _, err := b.For(replica.Origin{}).Receive(t.Context(), "../x"); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("a name that is none: %v", err)
	}
}

func nameOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
