package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"holdfast/evidence"
)

// python runs combine.py on files.
func python(t testing.TB, files ...string) (stdout, stderr string, err error) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is missing, and CI must run combine.py")
		}
		t.Skip("python3 is missing: combine.py is not tested")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// -I: isolated, so that nothing but the standard library can be used.
	cmd := exec.CommandContext(ctx, path, append([]string{"-I", "-S", "../../evidence/combine.py"}, files...)...)
	var out, errw bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errw
	err = cmd.Run()
	return out.String(), errw.String(), err
}

// identityIn returns the identity in a key file, read as age reads it.
func identityIn(t testing.TB, keyFile string) string {
	t.Helper()
	ids, err := age.ParseIdentities(strings.NewReader(keyFile))
	if err != nil || len(ids) != 1 {
		t.Fatalf("not a key file: %v", err)
	}
	return ids[0].(*age.HybridIdentity).String()
}

func TestPythonCombinerIsShort(t *testing.T) {
	lines := strings.Count(evidence.CombineScript(), "\n")
	if lines > 60 {
		t.Errorf("combine.py has %d lines, at most 60", lines)
	}
	for line := range strings.Lines(evidence.CombineScript()) {
		if rest, ok := strings.CutPrefix(line, "import "); ok && rest != "base64, hashlib, hmac, sys\n" {
			t.Errorf("combine.py imports %s", rest)
		}
		if len(line) > 121 {
			t.Errorf("combine.py has a line of %d bytes: %s", len(line), line)
		}
	}
}

func TestPythonCombinerOnTheVectors(t *testing.T) {
	var v vectors
	if err := json.Unmarshal(readVector(t, "vectors.json"), &v); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Combine {
		var files []string
		for _, f := range c.Shares {
			files = append(files, filepath.Join(vectorDir, f))
		}
		stdout, stderr, err := python(t, files...)
		if c.Result != "" {
			if err != nil || identityIn(t, stdout) != c.Result {
				t.Errorf("%v: %v %s", c.Shares, err, stderr)
			}
			continue
		}
		if err == nil || stdout != "" || !strings.Contains(stderr, c.Says) {
			t.Errorf("%v: printed %q, said %q, want %q", c.Shares, stdout, stderr, c.Says)
		}
	}
}

func TestPythonCombinerAgreesOnRandomCeremonies(t *testing.T) {
	rnd := mathrand.New(mathrand.NewPCG(1, 2))
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		n := 3 + rnd.IntN(4)
		k := 1 + rnd.IntN(n)
		independent := rnd.IntN(2) * (2 + rnd.IntN(n-1))
		independent = min(independent, n)
		s := newScene(t, k, n, independent).deal(t)
		dir := t.TempDir()
		for range 4 {
			var files []string
			have, class := 0, 0
			for _, i := range rnd.Perm(n)[:rnd.IntN(n)+1] {
				party := fmt.Sprintf("t%d", i+1)
				file := filepath.Join(dir, party)
				if err := os.WriteFile(file, s.share(t, party).Text, 0o600); err != nil {
					t.Fatal(err)
				}
				files = append(files, file)
				have++
				if i >= n-independent {
					class++
				}
			}
			stdout, stderr, err := python(t, files...)
			enough := have >= k && (independent == 0 || class > 0)
			switch {
			case enough && err != nil:
				t.Fatalf("%d of %d with %d: %s", k, n, have, stderr)
			case enough:
				id, err := age.ParseHybridIdentity(identityIn(t, stdout))
				if err != nil || id.Recipient().String() != s.dealt.Manifest.Recipient {
					t.Fatalf("another identity: %v", err)
				}
			case err == nil || stdout != "":
				t.Fatalf("%d of %d with %d (class %d) printed %q", k, n, have, class, stdout)
			}
		}
	}
}

func TestPythonCombinerRefusesBadInput(t *testing.T) {
	s := newScene(t, 2, 3, 2).deal(t)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := s.share(t, "t1").Text, s.share(t, "t2").Text
	good := file("good", a)
	forged := *s.share(t, "t2").ShareText
	forged.Parts = append([]evidence.SharePart{}, forged.Parts...)
	forged.Parts[0].Share = forged.Parts[0].Blind
	false2, err := forged.Text()
	if err != nil {
		t.Fatal(err)
	}
	rethreshold := *s.share(t, "t2").ShareText
	rethreshold.Epoch = 2
	other, err := rethreshold.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files []string
		says  string
	}{
		{"nothing", nil, "give the share texts"},
		{"one character changed", []string{good, file("changed", bytes.Replace(b, []byte("index: 2"), []byte("index: 3"), 1))}, "changed: not a share text, or changed"},
		{"cut off", []string{good, file("cut", b[:len(b)/2])}, "cut: "},
		{"empty", []string{good, file("empty", nil)}, "empty: "},
		{"a key instead", []string{good, file("key", []byte(s.operator.identity.String()))}, "key: "},
		{"binary", []string{good, file("binary", []byte{0xff, 0xfe, 0, 1})}, "binary: "},
		{"another epoch", []string{good, file("epoch", other)}, "differ in epoch"},
		{"two with one number", []string{good, file("b", b), file("false", false2)}, "same number"},
		{"the same share twice", []string{good, file("again", a)}, "1 of 2 - 1 more needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, err := python(t, c.files...)
			if err == nil || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("printed %q, said %q, want %q", stdout, stderr, c.says)
			}
			if strings.Contains(stderr, "Traceback") {
				t.Errorf("a traceback: %s", stderr)
			}
		})
	}
	mailed := file("mailed", append([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"), []byte(" \r\n"))...))
	if stdout, stderr, err := python(t, good, mailed); err != nil || identityIn(t, stdout) == "" {
		t.Errorf("a mailed text: %v %s", err, stderr)
	}
}
