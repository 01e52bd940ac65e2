package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
)

func TestSignatureHoldsForItsKeyNamespaceAndMessageOnly(t *testing.T) {
	message := []byte(`{"a":1}`)
	sig, err := evidence.Sign(testSigner(t, 1), evidence.NamespaceApproval, message)
	if err != nil {
		t.Fatal(err)
	}
	if err := evidence.Verify(testKey(t, 1), evidence.NamespaceApproval, message, sig); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another key":       evidence.Verify(testKey(t, 2), evidence.NamespaceApproval, message, sig),
		"another namespace": evidence.Verify(testKey(t, 1), evidence.NamespaceAcceptance, message, sig),
		"another message":   evidence.Verify(testKey(t, 1), evidence.NamespaceApproval, []byte(`{"a":2}`), sig),
		"no signature":      evidence.Verify(testKey(t, 1), evidence.NamespaceApproval, message, nil),
		"text behind it":    evidence.Verify(testKey(t, 1), evidence.NamespaceApproval, message, append(bytes.Clone(sig), "more"...)),
		"huge":              evidence.Verify(testKey(t, 1), evidence.NamespaceApproval, message, bytes.Repeat(sig, 100)),
		"no key":            evidence.Verify("", evidence.NamespaceApproval, message, sig),
		"key with comment":  evidence.Verify(testKey(t, 1)+" me@example", evidence.NamespaceApproval, message, sig),
	} {
		if !errors.Is(err, evidence.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyEd25519Signs(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Sign(signer, evidence.NamespaceKeys, nil); err == nil {
		t.Error("an RSA key signed")
	}
	if _, err := evidence.ParsePublicKey(evidence.FormatPublicKey(signer.PublicKey())); err == nil {
		t.Error("an RSA key was accepted")
	}
}

// TestStockSSHKeygenAgrees signs on one side and verifies on the other.
func TestStockSSHKeygenAgrees(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ssh-keygen is missing, and CI must compare with it")
		}
		t.Skip("ssh-keygen is missing: signatures are not compared with stock tools")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) {
		if err := os.WriteFile(path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 1
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(seed), "")
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("a message\n")
	sig, err := evidence.Sign(testSigner(t, 1), evidence.NamespaceKeys, message)
	if err != nil {
		t.Fatal(err)
	}
	write("key", pem.EncodeToMemory(block))
	write("allowed", []byte("dora "+testKey(t, 1)+"\n"))
	write("message", message)
	write("ours.sig", sig)
	verify := exec.Command(keygen, "-Y", "verify", "-f", path("allowed"), "-I", "dora", "-n", evidence.NamespaceKeys, "-s", path("ours.sig"))
	verify.Stdin = bytes.NewReader(message)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen refuses our signature: %s", out)
	}
	if out, err := exec.Command(keygen, "-Y", "sign", "-f", path("key"), "-n", evidence.NamespaceKeys, path("message")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen does not sign: %s", out)
	}
	theirs, err := os.ReadFile(path("message.sig"))
	if err != nil {
		t.Fatal(err)
	}
	if err := evidence.Verify(testKey(t, 1), evidence.NamespaceKeys, message, theirs); err != nil {
		t.Errorf("we refuse ssh-keygen's signature: %v", err)
	}
}
