package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"filippo.io/age/armor"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

func hybrid(t testing.TB) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// sealBytes seals plain and returns the object and its key.
func sealBytes(t testing.TB, plain []byte, ids ...*age.HybridIdentity) ([]byte, *seal.FileKey) {
	t.Helper()
	var buf bytes.Buffer
	var recipients []age.Recipient
	for _, id := range ids {
		recipients = append(recipients, id.Recipient())
	}
	w, err := seal.NewWriter(&buf, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), w.Key()
}

// sizes around the 64 KiB chunk.
func sizes() []int {
	return []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 300_000}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func TestSealedObjectReadsBackWithItsFileKey(t *testing.T) {
	id := hybrid(t)
	for _, n := range sizes() {
		plain := pattern(n)
		object, key := sealBytes(t, plain, id)
		r, size, err := key.OpenAt(bytes.NewReader(object), int64(len(object)))
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		got, err := io.ReadAll(io.NewSectionReader(r, 0, size))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: read back %d, %v", n, len(got), err)
		}
		// The stock library opens it with the identity.
		stock, err := age.Decrypt(bytes.NewReader(object), id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(stock); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: age reads %d, %v", n, len(got), err)
		}
		key.Forget()
		if _, _, err := key.OpenAt(bytes.NewReader(object), int64(len(object))); !errors.Is(err, seal.ErrForgotten) {
			t.Fatalf("after Forget: %v", err)
		}
	}
}

func TestFileKeyFindsEveryChangedByte(t *testing.T) {
	plain := pattern(70_000)
	object, key := sealBytes(t, plain, hybrid(t))
	for at := 0; at < len(object); at += 997 {
		bad := bytes.Clone(object)
		bad[at] ^= 1
		r, size, err := key.OpenAt(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			_, err = io.ReadAll(io.NewSectionReader(r, 0, size))
		}
		if escrow.CodeOf(err) != escrow.Damaged {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
}

func TestWriterRefusesClassicRecipients(t *testing.T) {
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]age.Recipient{{}, {classic.Recipient()}, {hybrid(t).Recipient(), classic.Recipient()}, {classic.Recipient(), hybrid(t).Recipient()}} {
		var buf bytes.Buffer
		_, err := seal.NewWriter(&buf, list...)
		if escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%d recipients: %v", len(list), err)
		}
		if buf.Len() > 0 {
			t.Errorf("%d bytes written before the refusal", buf.Len())
		}
	}
}

func TestInspectHeader(t *testing.T) {
	one, _ := sealBytes(t, []byte("x"), hybrid(t))
	three, _ := sealBytes(t, []byte("x"), hybrid(t), hybrid(t), hybrid(t))
	var classic bytes.Buffer
	x, _ := age.GenerateX25519Identity()
	w, err := age.Encrypt(&classic, x.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	pass, _ := age.NewScryptRecipient("pass")
	pass.SetWorkFactor(10)
	var scrypt bytes.Buffer
	if w, err = age.Encrypt(&scrypt, pass); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	mixed := bytes.Replace(one, []byte("\n--- "), []byte("\n-> X25519 AAAA\nAAAA\n--- "), 1)
	grease := bytes.Replace(one, []byte("\n--- "), []byte("\n-> q-grease\n\n--- "), 1)
	short := bytes.Replace(one, []byte("\n--- "), []byte("\n-> mlkem768x25519 AAAA\nAAAA\n--- "), 1)

	for _, c := range []struct {
		name   string
		object []byte
		want   int
		ok     bool
	}{
		{"one", one, 1, true},
		{"three", three, 3, true},
		{"one too few", one, 2, false},
		{"two too many", three, 1, false},
		{"classic", classic.Bytes(), 1, false},
		{"scrypt", scrypt.Bytes(), 1, false},
		{"classic beside", mixed, 2, false},
		{"grease beside", grease, 2, false},
		{"short stanza", short, 2, false},
		{"no age file", []byte("#!/bin/sh\n"), 1, false},
		{"empty", nil, 1, false},
	} {
		h, err := seal.InspectHeader(bytes.NewReader(c.object), c.want)
		switch {
		case c.ok && (err != nil || h.Recipients != c.want):
			t.Errorf("%s: %+v, %v", c.name, h, err)
		case !c.ok && escrow.CodeOf(err) != escrow.Invalid:
			t.Errorf("%s: %v", c.name, err)
		}
	}
	h, _ := seal.InspectHeader(bytes.NewReader(one), 1)
	if !bytes.HasPrefix(one[h.Length-44:], []byte(" ")) && one[h.Length-1] != '\n' {
		t.Errorf("header length %d does not end at a line", h.Length)
	}
}

// TestOpenTellsWrongKeyDamagedAndMissingApart is failure #07: the words
// corrupt and damaged never appear for a wrong key, and a place is named for
// damage.
func TestOpenTellsWrongKeyDamagedAndMissingApart(t *testing.T) {
	k1, k2 := hybrid(t), hybrid(t)
	plain := pattern(200_000)
	object, _ := sealBytes(t, plain, k1)
	opts := seal.OpenOptions{Name: "object 12ab", Size: int64(len(object)), SealedTo: []string{k1.Recipient().String()}}
	print := func(id *age.HybridIdentity) string {
		return evidence.Fingerprint(id.Recipient().String())[:16]
	}
	header, err := seal.InspectHeader(bytes.NewReader(object), 1)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int64) []byte {
		b := bytes.Clone(object)
		b[at] ^= 0x20
		return b
	}
	third := header.Length + 16 + 2*(64<<10+16) // where the third chunk begins

	for _, c := range []struct {
		name   string
		object []byte
		key    *age.HybridIdentity
		code   escrow.Code
		want   []string
	}{
		{"right", object, k1, "", nil},
		{"wrong key", object, k2, escrow.WrongKey, []string{"encrypted to key " + print(k1), "you offered " + print(k2)}},
		{"wrong key and damaged payload", flip(third + 5), k2, escrow.WrongKey, []string{"you offered " + print(k2)}},
		{"stanza damaged", otherLetter(object, 100), k1, escrow.Damaged, []string{"header", print(k1)}},
		{"mac damaged", flip(header.Length - 20), k1, escrow.Damaged, []string{"header"}},
		{"intro damaged", flip(3), k1, escrow.Damaged, []string{"header"}},
		{"nonce damaged", flip(header.Length + 3), k1, escrow.Damaged, []string{fmt.Sprintf("byte %d", header.Length+16)}},
		{"third chunk damaged", flip(third + 5), k1, escrow.Damaged, []string{fmt.Sprintf("byte %d", third)}},
		{"last byte damaged", flip(int64(len(object)) - 1), k1, escrow.Damaged, []string{"byte"}},
		{"cut in a chunk", object[:third+100], k1, escrow.Missing, []string{fmt.Sprintf("ends at byte %d of %d", third+100, len(object))}},
		{"cut at a chunk", object[:third], k1, escrow.Missing, []string{fmt.Sprintf("ends at byte %d", third)}},
		{"cut in the nonce", object[:header.Length+7], k1, escrow.Missing, []string{"ends at"}},
		{"cut after the header", object[:header.Length], k1, escrow.Missing, []string{"ends at"}},
		{"cut in the header", object[:header.Length-9], k1, escrow.Missing, []string{"ends at"}},
		{"empty", nil, k1, escrow.Missing, nil},
		{"longer", append(bytes.Clone(object), 'x'), k1, escrow.Damaged, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := seal.Open(bytes.NewReader(c.object), opts, c.key)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(iotest.OneByteReader(r))
			}
			if escrow.CodeOf(err) != c.code {
				t.Fatalf("code %q: %v", escrow.CodeOf(err), err)
			}
			if err == nil {
				if !bytes.Equal(got, plain) {
					t.Fatal("plaintext differs")
				}
				return
			}
			if !bytes.HasPrefix(plain, got) {
				t.Error("bytes came out that are not the plaintext")
			}
			for _, w := range append(c.want, "object 12ab") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if c.code == escrow.WrongKey && (strings.Contains(err.Error(), "corrupt") || strings.Contains(err.Error(), "damaged")) {
				t.Errorf("a wrong key is called damage: %v", err)
			}
		})
	}
}

// otherLetter changes a base64 letter to another one.
func otherLetter(object []byte, at int) []byte {
	b := bytes.Clone(object)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return b
}

func TestOpenAt(t *testing.T) {
	k1, k2 := hybrid(t), hybrid(t)
	plain := pattern(200_000)
	object, _ := sealBytes(t, plain, k1)
	opts := seal.OpenOptions{Name: "state", Size: int64(len(object)), SealedTo: []string{k1.Recipient().String()}}
	r, n, err := seal.OpenAt(bytes.NewReader(object), opts, k1)
	if err != nil || n != int64(len(plain)) {
		t.Fatal(n, err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(r, 0, n)); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("read %d bytes: %v", len(got), err)
	}
	across := make([]byte, 1000)
	if _, err := r.ReadAt(across, 64<<10-500); err != nil || !bytes.Equal(across, plain[64<<10-500:][:1000]) {
		t.Errorf("across a chunk's end: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 1), n+5); err != io.EOF {
		t.Errorf("behind the end: %v", err)
	}
	if _, _, err := seal.OpenAt(bytes.NewReader(object), opts, k2); escrow.CodeOf(err) != escrow.WrongKey {
		t.Errorf("wrong key: %v", err)
	}
	bad := bytes.Clone(object)
	bad[len(bad)/2] ^= 1
	if r, _, err = seal.OpenAt(bytes.NewReader(bad), opts, k1); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(plain))
	got, err := r.ReadAt(buf, 0)
	if escrow.CodeOf(err) != escrow.Damaged || !strings.Contains(err.Error(), "byte") || !bytes.Equal(buf[:got], plain[:got]) {
		t.Errorf("damaged: %d, %v", got, err)
	}
	if _, _, err := seal.OpenAt(bytes.NewReader(object[:len(object)-70_000]), opts, k1); escrow.CodeOf(err) != escrow.Missing {
		t.Errorf("short: %v", err)
	}
}

func TestOpenPassesReadErrorsOn(t *testing.T) {
	id := hybrid(t)
	object, _ := sealBytes(t, pattern(200_000), id)
	broken := errors.New("disk on fire")
	for _, at := range []int{10, 2_000, 100_000} {
		src := io.MultiReader(bytes.NewReader(object[:at]), iotest.ErrReader(broken))
		r, err := seal.Open(src, seal.OpenOptions{Name: "o", Size: int64(len(object))}, id)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) || escrow.CodeOf(err) != escrow.Internal {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

func FuzzInspectHeader(f *testing.F) {
	object, _ := sealBytes(f, []byte("x"), hybrid(f))
	f.Add(object)
	f.Add([]byte("age-encryption.org/v1\n-> X25519 a\nAAAA\n--- AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := seal.InspectHeader(bytes.NewReader(data), 1)
		if err == nil && h.Recipients != 1 {
			t.Fatalf("accepted %d recipients as one", h.Recipients)
		}
		if err != nil && escrow.CodeOf(err) != escrow.Invalid {
			t.Fatalf("code %s: %v", escrow.CodeOf(err), err)
		}
	})
}

// armored seals text for one person the way stock age -a does.
func armored(t testing.TB, text []byte, p person) string {
	t.Helper()
	var buf bytes.Buffer
	a := armor.NewWriter(&buf)
	w, err := age.Encrypt(a, p.identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
