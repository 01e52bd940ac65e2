package files_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
)

// TestDecompressDamaged changes every bit of what Compress wrote and cuts it
// everywhere: a decoder has many words for bytes that are wrong, and all of
// them mean damaged.
func TestDecompressDamaged(t *testing.T) {
	text := strings.Repeat("names and places; ", 300)
	var whole bytes.Buffer
	if err := files.Compress(&whole, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
		t.Fatal(err)
	}
	read := func(data io.Reader) (string, error) {
		r, err := files.Decompress(data)
		if err != nil {
			return "", err
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		return string(got), err
	}
	if got, err := read(bytes.NewReader(whole.Bytes())); err != nil || got != text {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	found := 0
	for at := range whole.Len() * 8 {
		data := bytes.Clone(whole.Bytes())
		data[at/8] ^= 1 << (at % 8)
		if _, err := read(bytes.NewReader(data)); err != nil {
			found++
			if code := escrow.CodeOf(err); code != escrow.Damaged {
				t.Errorf("bit %d: code %q, %v", at, code, err)
			}
		}
	}
	if found == 0 {
		t.Error("no changed bit was seen")
	}
	for n := 1; n < whole.Len(); n++ {
		if _, err := read(bytes.NewReader(whole.Bytes()[:n])); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	lost := errors.New("the disk went away")
	if _, err := read(io.MultiReader(bytes.NewReader(whole.Bytes()[:10]), iotest.ErrReader(lost))); !errors.Is(err, lost) || escrow.CodeOf(err) == escrow.Damaged {
		t.Errorf("a source that fails: %v", err)
	}
}
