package object_test

import (
	"strings"
	"testing"

	"holdfast/internal/intake/git/object"
)

func TestParseOID(t *testing.T) {
	one := strings.Repeat("0", 39) + "1"
	for _, c := range []struct {
		format object.Format
		text   string
		ok     bool
	}{
		{object.SHA1, one, true},
		{object.SHA1, strings.Repeat("f", 40), true},
		{object.SHA256, strings.Repeat("a", 64), true},
		{object.SHA1, strings.Repeat("a", 64), false},
		{object.SHA256, strings.Repeat("a", 40), false},
		{object.SHA1, strings.Repeat("A", 40), false},
		{object.SHA1, strings.Repeat("0", 40), false},
		{object.SHA1, strings.Repeat("g", 40), false},
		{object.SHA1, "", false},
		{0, "", false},
		{0, one, false},
	} {
		o, err := object.ParseOID(c.format, c.text)
		if (err == nil) != c.ok {
			t.Errorf("ParseOID(%v, %q): %v, want ok=%v", c.format, c.text, err, c.ok)
			continue
		}
		if !c.ok {
			if !o.IsZero() {
				t.Errorf("ParseOID(%v, %q) failed but returned %v", c.format, c.text, o)
			}
			continue
		}
		if o.String() != c.text || string(o.AppendHex(nil)) != c.text || o.Format() != c.format || o.IsZero() {
			t.Errorf("ParseOID(%v, %q) = %v of format %v", c.format, c.text, o, o.Format())
		}
		back, err := object.FromBytes(c.format, o.Bytes())
		if err != nil || back != o {
			t.Errorf("FromBytes(%x) = %v, %v, want %v", o.Bytes(), back, err, o)
		}
	}
}

func TestOIDOrder(t *testing.T) {
	a, _ := object.ParseOID(object.SHA1, strings.Repeat("0", 39)+"1")
	b, _ := object.ParseOID(object.SHA1, strings.Repeat("f", 40))
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 || (object.OID{}).Compare(a) >= 0 {
		t.Error("ids are not ordered by their bytes")
	}
}

func TestFormat(t *testing.T) {
	for _, f := range []object.Format{object.SHA1, object.SHA256} {
		got, err := object.ParseFormat(f.String())
		if err != nil || got != f || f.New().Size() != f.Size() {
			t.Errorf("format %v: %v, %v", f, got, err)
		}
	}
	if _, err := object.ParseFormat("SHA1"); err == nil {
		t.Error("format names are not case-insensitive in Git")
	}
}

func FuzzParseOID(f *testing.F) {
	f.Add(true, strings.Repeat("a", 40))
	f.Add(false, strings.Repeat("0", 63)+"1")
	f.Fuzz(func(t *testing.T, sha1 bool, text string) {
		format := object.SHA256
		if sha1 {
			format = object.SHA1
		}
		if o, err := object.ParseOID(format, text); err == nil && o.String() != text {
			t.Errorf("ParseOID(%q).String() = %q", text, o.String())
		}
	})
}
