package pointer_test

import (
	"errors"
	"strings"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/intake/git/lfs/pointer"
)

func TestParse(t *testing.T) {
	oid := evidence.Digest([]byte("x"))
	const v1 = "version https://git-lfs.github.com/spec/v1\n"
	want := pointer.Pointer{OID: oid, Size: 12345}
	for name, text := range map[string]string{
		"plain":               v1 + "oid sha256:" + oid + "\nsize 12345\n",
		"no last line feed":   v1 + "oid sha256:" + oid + "\nsize 12345",
		"crlf":                strings.ReplaceAll(v1+"oid sha256:"+oid+"\nsize 12345\n", "\n", "\r\n"),
		"extension":           v1 + "ext-0-foo sha256:" + evidence.Digest(nil) + "\noid sha256:" + oid + "\nsize 12345\n",
		"older name":          "version https://hawser.github.com/spec/v1\noid sha256:" + oid + "\nsize 12345\n",
		"blank lines":         v1 + "\n\noid sha256:" + oid + "\n\nsize 12345\n",
		"still older":         "version http://git-media.io/v/2\noid sha256:" + oid + "\nsize 12345\n",
		"leading white space": "\n" + v1 + "oid sha256:" + oid + "\nsize 12345\n",
	} {
		if got, err := pointer.Parse([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"empty":         "",
		"text":          "hello\n",
		"other version": "version https://git-lfs.github.com/spec/v2\noid sha256:" + oid + "\nsize 1\n",
		"no oid":        v1 + "size 1\n",
		"no size":       v1 + "oid sha256:" + oid + "\n",
		"order":         v1 + "size 1\noid sha256:" + oid + "\n",
		"upper case":    v1 + "oid sha256:" + strings.ToUpper(oid) + "\nsize 1\n",
		"short oid":     v1 + "oid sha256:" + oid[1:] + "\nsize 1\n",
		"climbing oid":  v1 + "oid sha256:../../" + oid[6:] + "\nsize 1\n",
		"negative size": v1 + "oid sha256:" + oid + "\nsize -1\n",
		"huge size":     v1 + "oid sha256:" + oid + "\nsize 99999999999999999999\n",
		"unknown key":   v1 + "hello x\noid sha256:" + oid + "\nsize 1\n",
		"extra line":    v1 + "oid sha256:" + oid + "\nsize 1\nmode 1\n",
		"too long":      v1 + "oid sha256:" + oid + "\nsize 1\n" + strings.Repeat("\n", 1024),
	} {
		if got, err := pointer.Parse([]byte(text)); !errors.Is(err, pointer.ErrNotPointer) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// FuzzPointer: what is taken for a pointer has an id that can be a file name.
func FuzzPointer(f *testing.F) {
	oid := evidence.Digest(nil)
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 0\n"))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\next-0-a sha256:" + oid + "\noid sha256:" + oid + "\nsize 0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := pointer.Parse(data)
		if err != nil {
			if p != (pointer.Pointer{}) {
				t.Fatalf("%v beside %v", p, err)
			}
			return
		}
		if !evidence.IsDigest(p.OID) || p.Size < 0 || len(data) >= pointer.Max || len(data) < pointer.Min-1 {
			t.Fatalf("%q gives %v", data, p)
		}
	})
}
