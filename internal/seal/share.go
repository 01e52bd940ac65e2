package seal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Share is a share text that was checked against its key manifest.
type Share struct {
	*evidence.ShareText
	Text   []byte // canonical
	Digest string
}

// CheckShare reads a share text and checks everything that can be known about
// it: checksum, set, holder, pinned recipients, published digest and the
// commitments. An altered text is [escrow.Damaged] and names trustee and
// index; a text of another set is [escrow.Conflict].
func CheckShare(m *evidence.KeyManifest, text []byte) (*Share, error) {
	s, digest, err := parseShare(text)
	if err != nil {
		return nil, err
	}
	if err := belongs(m, s); err != nil {
		return nil, err
	}
	t := m.Trustee(s.Trustee)
	if t.Share != "" && t.Share != digest {
		return nil, damagedShare(s, errors.New("its digest is not the published one"))
	}
	if err := selfConsistent(s); err != nil {
		return nil, err
	}
	canonical, err := s.Text()
	if err != nil {
		return nil, err
	}
	return &Share{s, canonical, digest}, nil
}

func parseShare(text []byte) (*evidence.ShareText, string, error) {
	s, digest, err := evidence.ParseShareText(text)
	if err != nil {
		return nil, "", escrow.Errorf(escrow.Damaged, "%w", err).WithHint("ask the trustee for the text again, or for one from another of its people")
	}
	return s, digest, nil
}

func damagedShare(s *evidence.ShareText, err error) error {
	return escrow.Errorf(escrow.Damaged, "share of %s (number %d): %w", s.Trustee, s.Parts[0].Index, err).
		WithHint("this share is not what the dealer dealt: ask the trustee's other people for theirs, and the dealer if none fits")
}

// belongs checks that the public part of a share text says what the manifest
// says.
func belongs(m *evidence.KeyManifest, s *evidence.ShareText) error {
	other := func(what string, got, want any) error {
		return escrow.Errorf(escrow.Conflict, "share of %s (number %d) is of %s %v, the key manifest is of %v", s.Trustee, s.Parts[0].Index, what, got, want).
			WithHint("use the share and the key manifest of the same set")
	}
	switch {
	case s.Arrangement != m.Arrangement:
		return other("arrangement", s.Arrangement, m.Arrangement)
	case s.Compartment != m.Compartment:
		return other("compartment", s.Compartment, m.Compartment)
	case s.Epoch != m.Epoch:
		return other("epoch", s.Epoch, m.Epoch)
	case s.Set != m.Set:
		return other("set", short(s.Set), short(m.Set))
	}
	t := m.Trustee(s.Trustee)
	if t == nil {
		return escrow.Errorf(escrow.Damaged, "share of %s: the key manifest knows no such trustee", s.Trustee).
			WithHint("ask the dealer; do not use this share")
	}
	var parts []evidence.SharePart
	for _, p := range m.Parts {
		parts = append(parts, evidence.SharePart{Part: p, Index: t.Index(p.Name)})
	}
	sameIndex := func(a, b evidence.SharePart) bool { return samePart(a, b) && a.Index == b.Index }
	switch {
	case s.IdentityEpoch != m.IdentityEpoch || s.Release != evidence.Fingerprint(m.Recipient):
		return damagedShare(s, errors.New("it names another release identity than the key manifest"))
	case !slices.EqualFunc(s.Parts, parts, sameIndex):
		return damagedShare(s, errors.New("its parts, index or commitments are not those of the key manifest"))
	case !slices.Equal(s.Recipients, permitted(m)):
		return damagedShare(s, errors.New("it permits other recipients than the key manifest"))
	}
	return nil
}

// samePart compares the public part of two parts.
func samePart(a, b evidence.SharePart) bool {
	return a.Name == b.Name && a.Threshold == b.Threshold && a.Holders == b.Holders && slices.Equal(a.Commitments, b.Commitments)
}

// selfConsistent checks a share against the commitments it carries itself.
func selfConsistent(s *evidence.ShareText) error {
	for _, p := range s.Parts {
		if p.Index == 0 {
			continue
		}
		if err := verify(p.Commitments, p.Index, p.Share, p.Blind); err != nil {
			return damagedShare(s, fmt.Errorf("part %s: %w", p.Name, err))
		}
	}
	return nil
}

// Holder is who a person says to be when opening a package or signing.
type Holder struct {
	Trustee string
	Person  string
}

func (h Holder) String() string { return h.Trustee + "/" + h.Person }

// entry finds the holder in the manifest.
func (h Holder) entry(m *evidence.KeyManifest) (*evidence.TrusteeEntry, *evidence.Holder, error) {
	t := m.Trustee(h.Trustee)
	if t == nil {
		return nil, nil, escrow.Errorf(escrow.Forbidden, "%s is not a trustee of %s, epoch %d", h.Trustee, m.Compartment, m.Epoch).
			WithHint("the trustees are: %s", trusteeNames(m))
	}
	p := t.Person(h.Person)
	if p == nil {
		return nil, nil, escrow.Errorf(escrow.Forbidden, "%s is not one of the people who act for %s in %s, epoch %d", h.Person, h.Trustee, m.Compartment, m.Epoch).
			WithHint("only the people the key manifest names can act; a change of people needs a resharing")
	}
	return t, p, nil
}

func trusteeNames(m *evidence.KeyManifest) string {
	names := ""
	for i, t := range m.Trustees {
		if i > 0 {
			names += ", "
		}
		names += t.Party
	}
	return names
}

// OpenShare opens a person's package and checks the share in it. It refuses
// when the manifest pins another recipient for that person than the identity
// offered, which is how a swapped key shows.
func OpenShare(m *evidence.KeyManifest, h Holder, sealed []byte, identity *age.HybridIdentity) (*Share, error) {
	t, p, err := h.entry(m)
	if err != nil {
		return nil, err
	}
	if pinned, own := evidence.Fingerprint(p.Recipient), fingerprint(identity); pinned != own {
		return nil, escrow.Errorf(escrow.WrongKey, "the key manifest has key %s for %s, you offered %s", short(pinned), h, short(own)).
			WithHint("use the key you gave the dealer; if you did, somebody replaced it: stop and call the dealer")
	}
	if p.Package != "" && p.Package != evidence.Digest(sealed) {
		return nil, escrow.Errorf(escrow.Damaged, "the package of %s is not the one the key manifest names", h).
			WithHint("fetch the package again; its SHA-256 must be %s", p.Package)
	}
	text, err := openText("the package of "+h.String(), sealed, []string{p.Recipient}, identity)
	if err != nil {
		return nil, err
	}
	s, err := CheckShare(m, text)
	if err != nil {
		return nil, err
	}
	if s.Trustee != t.Party {
		return nil, escrow.Errorf(escrow.Conflict, "the package of %s holds the share of %s", h, s.Trustee).WithHint("ask the dealer; do not use this share")
	}
	return s, nil
}

// SealShare seals a checked share text to the people of its own trustee, as
// the manifest pins them: after a resharing a trustee makes its packages
// itself.
func SealShare(m *evidence.KeyManifest, s *Share) ([]Package, error) {
	t := m.Trustee(s.Trustee)
	if t == nil || s.Set != m.Set {
		return nil, escrow.Errorf(escrow.Conflict, "share of %s is not of set %s", s.Trustee, short(m.Set))
	}
	var out []Package
	for _, p := range t.People {
		r, err := parseRecipients([]string{p.Recipient})
		if err != nil {
			return nil, err
		}
		sealed, err := sealText(s.Text, r...)
		if err != nil {
			return nil, fmt.Errorf("seal the share of %s/%s: %w", t.Party, p.Person, err)
		}
		out = append(out, Package{t.Party, p.Person, sealed})
	}
	return out, nil
}

// Accept makes and signs a person's acceptance of a checked share. document
// is the key manifest's bytes.
func Accept(m *evidence.KeyManifest, document []byte, s *Share, h Holder, signer ssh.Signer, now time.Time) (acceptance, signature []byte, err error) {
	if err := mayAct(m, s, h, signer); err != nil {
		return nil, nil, err
	}
	acceptance, err = evidence.Acceptance{
		Arrangement: m.Arrangement, Compartment: m.Compartment, Epoch: m.Epoch, Set: m.Set,
		Manifest: evidence.Digest(document), Trustee: h.Trustee, Person: h.Person, Share: s.Digest, At: evidence.At(now),
	}.Bytes()
	if err != nil {
		return nil, nil, err
	}
	signature, err = evidence.Sign(signer, evidence.NamespaceAcceptance, acceptance)
	return acceptance, signature, err
}

// mayAct checks that the holder, the share and the signing key go together.
func mayAct(m *evidence.KeyManifest, s *Share, h Holder, signer ssh.Signer) error {
	_, p, err := h.entry(m)
	if err != nil {
		return err
	}
	if s.Set != m.Set || s.Trustee != h.Trustee {
		return escrow.Errorf(escrow.Conflict, "%s acts for %s, but the share is of %s, set %s", h.Person, h.Trustee, s.Trustee, short(s.Set))
	}
	if own := evidence.FormatPublicKey(signer.PublicKey()); own != p.Key {
		return escrow.Errorf(escrow.WrongKey, "the key manifest has signing key %s for %s, you offered %s",
			keyFingerprint(p.Key), h, ssh.FingerprintSHA256(signer.PublicKey())).
			WithHint("sign with the key whose public half is on your contact card")
	}
	return nil
}

func keyFingerprint(line string) string {
	key, err := evidence.ParsePublicKey(line)
	if err != nil {
		return "(unreadable)"
	}
	return ssh.FingerprintSHA256(key)
}
