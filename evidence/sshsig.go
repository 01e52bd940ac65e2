package evidence

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// The namespaces of the SSH signatures on Holdfast's documents. A signature
// made for one kind of document never counts for another.
const (
	NamespaceKeys       = "holdfast-keys"       // key manifests, by the dealer
	NamespaceAcceptance = "holdfast-acceptance" // acceptances, by a trustee's person
	NamespaceApproval   = "holdfast-approval"   // approvals, by a trustee's person
	NamespaceDeposit    = "holdfast-deposit"    // deposit manifests, by the depositor or the server
	NamespaceContact    = "holdfast-contact"    // contact cards, by the person they describe
	NamespaceReshare    = "holdfast-reshare"    // dealings of a resharing, by an old trustee's person

	NamespaceDestruction = "holdfast-destruction" // requests for destruction, by both people
	NamespaceCertificate = "holdfast-certificate" // certificates of destruction and of leaving, by the server

	NamespaceAgreement = "holdfast-agreement" // statements about a part of an agreement: signatures, attestations, reviews; notices of leaving
)

// ErrSignature is wrapped by every refusal of a signature.
var ErrSignature = errors.New("signature does not hold")

const (
	maxSignature = 4 << 10
	maxKeyLine   = 1 << 10
)

// Sign returns the armored SSH signature of message by signer in namespace,
// the same bytes that "ssh-keygen -Y sign -n NAMESPACE" makes up to the width
// of the armor. Only Ed25519 keys sign Holdfast's documents.
func Sign(signer ssh.Signer, namespace string, message []byte) ([]byte, error) {
	if t := signer.PublicKey().Type(); t != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("sign %s: the key is %s, want %s", namespace, t, ssh.KeyAlgoED25519)
	}
	sig, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA512, namespace)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", namespace, err)
	}
	return sshsig.Armor(sig), nil
}

// Verify checks an armored SSH signature of message against publicKey, one
// line as in [ParsePublicKey], in namespace. Every error wraps
// [ErrSignature], also those about the form of the signature or the key.
func Verify(publicKey, namespace string, message, signature []byte) error {
	key, err := ParsePublicKey(publicKey)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrSignature, err)
	}
	if len(signature) > maxSignature {
		return fmt.Errorf("%w: %d bytes of signature, at most %d", ErrSignature, len(signature), maxSignature)
	}
	if _, rest := pem.Decode(signature); len(bytes.TrimSpace(rest)) > 0 {
		return fmt.Errorf("%w: text after the armor", ErrSignature)
	}
	sig, err := sshsig.Unarmor(signature)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrSignature, err)
	}
	if err := sshsig.Verify(bytes.NewReader(message), sig, key, sig.HashAlgorithm, namespace); err != nil {
		return fmt.Errorf("%w: %v", ErrSignature, err)
	}
	return nil
}

// ParsePublicKey reads an Ed25519 public key in the one form Holdfast's
// documents use: "ssh-ed25519", one blank, base64, and nothing else.
func ParsePublicKey(s string) (ssh.PublicKey, error) {
	if len(s) > maxKeyLine {
		return nil, fmt.Errorf("public key is %d bytes long, at most %d", len(s), maxKeyLine)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("public key is not in OpenSSH form: %v", err)
	}
	if key.Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("public key is %s, want %s", key.Type(), ssh.KeyAlgoED25519)
	}
	if FormatPublicKey(key) != s {
		return nil, errors.New("public key carries a comment, options or white space; want \"ssh-ed25519 AAAA…\" only")
	}
	return key, nil
}

// FormatPublicKey writes key the way [ParsePublicKey] reads it.
func FormatPublicKey(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}

// checkPublicKey is ParsePublicKey for validation.
func checkPublicKey(s string) error {
	_, err := ParsePublicKey(s)
	return err
}
