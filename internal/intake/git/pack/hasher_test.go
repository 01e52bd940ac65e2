package pack_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// TestCollisionsAreRefused feeds the two published attacks, which the hash
// library brings with its own tests, to the hasher; two files of a pair have
// the same plain SHA-1.
func TestCollisionsAreRefused(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/pjbgf/sha1cd").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "test", "testdata", "files")
	for _, attack := range []string{"shattered-*.pdf", "sha-mbles-*.bin"} {
		files, err := filepath.Glob(filepath.Join(dir, attack))
		if err != nil || len(files) != 2 {
			t.Fatalf("%s: %d files, %v", attack, len(files), err)
		}
		var sums [][20]byte
		for _, name := range files {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sha1.Sum(content))
			if _, err := pack.HashRaw(object.SHA1, content); escrow.CodeOf(err) != escrow.Damaged {
				t.Errorf("%s: error %v, want one with code Damaged", filepath.Base(name), err)
			}
			if _, err := pack.HashRaw(object.SHA256, content); err != nil {
				t.Errorf("%s under SHA-256: %v", filepath.Base(name), err)
			}
		}
		if sums[0] != sums[1] {
			t.Errorf("%s: the files do not collide; the test is of no use", attack)
		}
	}
}

// TestHashes compares with the standard library.
func TestHashes(t *testing.T) {
	for _, size := range []int{0, 1, 55, 56, 63, 64, 65, 1000, 1 << 20} {
		content := bytes.Repeat([]byte{'x', byte(size)}, size)[:size]
		one, two := sha1.Sum(content), sha256.Sum256(content)
		for f, want := range map[object.Format][]byte{object.SHA1: one[:], object.SHA256: two[:]} {
			if got, err := pack.HashRaw(f, content); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of %d bytes: %x, %v, want %x", f, size, got, err, want)
			}
		}
	}
}
