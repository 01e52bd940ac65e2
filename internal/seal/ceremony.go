package seal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/cloudflare/circl/group"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Ceremony says what a dealer deals: one release identity for one epoch of a
// compartment, shared among organisations.
type Ceremony struct {
	Arrangement string
	Agreement   string // digest
	Compartment string
	Epoch       int
	Threshold   int // organisations needed
	Classes     []Class
	Trustees    []Organisation          // in the order of their indexes
	Recipients  []evidence.KeyRecipient // for whom a release may open
	Required    int                     // acceptances before the epoch is active; 0 means all
	Party       string                  // the dealer's
	Person      string                  // the dealer
	Created     time.Time
}

// Class is a rule in the sharing itself: Threshold of the members must be
// among those who approve, whatever the others do.
type Class struct {
	Name      string
	Threshold int
	Members   []string // parties, two or more
}

// Organisation is a trustee and the people who act for it.
type Organisation struct {
	Party  string
	People []evidence.Contact
}

// Dealt is the outcome of a ceremony: public documents, and one sealed
// package per person. The release identity itself is not in it.
type Dealt struct {
	Manifest  *evidence.KeyManifest
	Document  []byte // canonical bytes of Manifest
	Signature []byte
	Packages  []Package
}

// Package is one person's sealed share text, an armored age file.
type Package struct {
	Trustee string
	Person  string
	Sealed  []byte
}

// Deal draws a release identity, shares it, seals each share to the people of
// its trustee and signs the key manifest. The identity and the shares exist
// in memory only and are not returned.
func Deal(rand io.Reader, c Ceremony, signer ssh.Signer) (*Dealt, error) {
	manifest, err := c.manifest(evidence.QuorumKind, signer)
	if err != nil {
		return nil, err
	}
	secrets := make([]dealt, len(manifest.Parts))
	for i, p := range manifest.Parts {
		if secrets[i], err = newDealt(rand, p.Threshold, nil, nil); err != nil {
			return nil, err
		}
	}
	texts, err := share(manifest, secrets)
	if err != nil {
		return nil, err
	}
	out := &Dealt{Manifest: manifest}
	for i := range manifest.Trustees {
		t := &manifest.Trustees[i]
		t.Share = evidence.Digest(texts[i])
		for j := range t.People {
			r, err := parseRecipients([]string{t.People[j].Recipient})
			if err != nil {
				return nil, err
			}
			sealed, err := sealText(texts[i], r...)
			if err != nil {
				return nil, fmt.Errorf("seal the share of %s/%s: %w", t.Party, t.People[j].Person, err)
			}
			t.People[j].Package = evidence.Digest(sealed)
			out.Packages = append(out.Packages, Package{t.Party, t.People[j].Person, sealed})
		}
	}
	return out, out.sign(signer)
}

// DealDirect makes the key manifest of a compartment that is sealed to one
// party's own people. Nothing is shared: c has neither trustees nor classes.
func DealDirect(c Ceremony, signer ssh.Signer) (*Dealt, error) {
	if len(c.Trustees) > 0 || len(c.Classes) > 0 || c.Threshold != 0 {
		return nil, escrow.Errorf(escrow.Invalid, "a compartment that is opened on demand has no trustees").
			WithHint("leave trustees, classes and threshold out, or leave --direct out")
	}
	manifest, err := c.manifest(evidence.DirectKind, signer)
	if err != nil {
		return nil, err
	}
	if manifest.Set, err = manifest.SetID(); err != nil {
		return nil, err
	}
	out := &Dealt{Manifest: manifest}
	return out, out.sign(signer)
}

func (d *Dealt) sign(signer ssh.Signer) error {
	var err error
	if d.Document, err = d.Manifest.Bytes(); err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err).WithHint("correct the ceremony's input; nothing was written")
	}
	d.Signature, err = evidence.Sign(signer, evidence.NamespaceKeys, d.Document)
	return err
}

// manifest makes the manifest as far as it is known before dealing.
func (c Ceremony) manifest(kind string, signer ssh.Signer) (*evidence.KeyManifest, error) {
	m := &evidence.KeyManifest{
		Format: evidence.KeysFormat, Kind: kind,
		Arrangement: c.Arrangement, Agreement: c.Agreement, Compartment: c.Compartment,
		Epoch: c.Epoch, IdentityEpoch: c.Epoch,
		Recipients: c.sortedRecipients(),
		Dealer:     evidence.Signatory{Party: c.Party, Person: c.Person, Key: evidence.FormatPublicKey(signer.PublicKey())},
		Created:    evidence.At(c.Created),
	}
	if kind == evidence.QuorumKind {
		var err error
		if m.Parts, m.Trustees, err = c.layout(); err != nil {
			return nil, err
		}
		m.H, m.Required = evidence.PedersenH, c.required()
	}
	for _, r := range m.Recipients {
		if _, err := age.ParseHybridRecipient(r.Recipient); err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "the recipient of %s/%s is not a valid post-quantum age key", r.Party, r.Person).
				WithHint("use the contact card that 'holdfast key new' wrote")
		}
	}
	return m, nil
}

func (c Ceremony) required() int {
	if c.Required == 0 {
		return len(c.Trustees)
	}
	return c.Required
}

func (c Ceremony) sortedRecipients() []evidence.KeyRecipient {
	return slices.SortedFunc(slices.Values(c.Recipients), func(a, b evidence.KeyRecipient) int {
		if n := strings.Compare(a.Party, b.Party); n != 0 {
			return n
		}
		return strings.Compare(a.Person, b.Person)
	})
}

// layout numbers the parts and their holders.
func (c Ceremony) layout() ([]evidence.Part, []evidence.TrusteeEntry, error) {
	bad := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, format, args...).WithHint("correct the ceremony's input; nothing was dealt")
	}
	n := len(c.Trustees)
	if n == 0 || n > evidence.MaxTrustees {
		return nil, nil, bad("%d trustees, want 1 to %d", n, evidence.MaxTrustees)
	}
	if c.Threshold < 1 || c.Threshold > n {
		return nil, nil, bad("threshold %d cannot be reached by %d trustees", c.Threshold, n)
	}
	classes := slices.SortedFunc(slices.Values(c.Classes), func(a, b Class) int { return strings.Compare(a.Name, b.Name) })
	parts := []evidence.Part{{Name: evidence.AllPart, Threshold: c.Threshold, Holders: n}}
	for _, class := range classes {
		for _, member := range class.Members {
			if !slices.ContainsFunc(c.Trustees, func(o Organisation) bool { return o.Party == member }) {
				return nil, nil, bad("class %s names %s, who is not a trustee", class.Name, member)
			}
		}
		switch {
		case !evidence.IsName(class.Name) || class.Name == evidence.AllPart:
			return nil, nil, bad("class %q is not a name", class.Name)
		case len(class.Members) < 2:
			return nil, nil, bad("class %s has %d members; with fewer than 2, one organisation could lose or block the key", class.Name, len(class.Members))
		case class.Threshold < 1 || class.Threshold > len(class.Members):
			return nil, nil, bad("class %s asks for %d of %d members", class.Name, class.Threshold, len(class.Members))
		}
		parts = append(parts, evidence.Part{Name: class.Name, Threshold: class.Threshold, Holders: len(class.Members)})
	}
	next := make([]int, len(parts))
	trustees := make([]evidence.TrusteeEntry, n)
	for i, o := range c.Trustees {
		trustees[i].Party = o.Party
		for j, p := range parts {
			if j > 0 && !slices.Contains(classes[j-1].Members, o.Party) {
				continue
			}
			next[j]++
			trustees[i].Indexes = append(trustees[i].Indexes, evidence.PartIndex{Part: p.Name, Index: next[j]})
		}
		for _, contact := range o.People {
			if contact.Party != o.Party {
				return nil, nil, bad("the card of %s says party %s, not %s", contact.Person, contact.Party, o.Party)
			}
			if _, err := age.ParseHybridRecipient(contact.Recipient); err != nil {
				return nil, nil, bad("the recipient of %s/%s is not a valid post-quantum age key", o.Party, contact.Person)
			}
			trustees[i].People = append(trustees[i].People, evidence.Holder{Person: contact.Person, Recipient: contact.Recipient, Key: contact.Key})
		}
	}
	return parts, trustees, nil
}

// share fills in what the secrets decide (recipient, commitments, set) and
// returns the share text of each trustee.
func share(m *evidence.KeyManifest, secrets []dealt) ([][]byte, error) {
	sum := group.Ristretto255.NewScalar()
	for i := range m.Parts {
		sum.Add(sum, secrets[i].values[0])
		m.Parts[i].Commitments = secrets[i].commitments()
	}
	identity, err := releaseIdentity(sum, m.Arrangement, m.Compartment, m.IdentityEpoch)
	if err != nil {
		return nil, err
	}
	m.Recipient = identity.Recipient().String()
	if m.Set, err = m.SetID(); err != nil {
		return nil, err
	}
	texts := make([][]byte, len(m.Trustees))
	for i, t := range m.Trustees {
		if texts[i], err = shareText(m, t, func(part, index int) (evidence.Bytes32, evidence.Bytes32) {
			value, blind := secrets[part].at(index)
			return encode(value), encode(blind)
		}); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// shareText writes the share text of one trustee; values gives the share and
// the blind of a part at an index.
func shareText(m *evidence.KeyManifest, t evidence.TrusteeEntry, values func(part, index int) (share, blind evidence.Bytes32)) ([]byte, error) {
	s := evidence.ShareText{
		Arrangement: m.Arrangement, Compartment: m.Compartment, Epoch: m.Epoch, IdentityEpoch: m.IdentityEpoch,
		Set: m.Set, Trustee: t.Party, Release: evidence.Fingerprint(m.Recipient), Recipients: permitted(m),
	}
	for i, p := range m.Parts {
		part := evidence.SharePart{Part: p, Index: t.Index(p.Name)}
		if part.Index > 0 {
			part.Share, part.Blind = values(i, part.Index)
		}
		s.Parts = append(s.Parts, part)
	}
	text, err := s.Text()
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	return text, nil
}

// permitted lists the pinned recipients the way share texts do.
func permitted(m *evidence.KeyManifest) []evidence.ShareRecipient {
	list := make([]evidence.ShareRecipient, len(m.Recipients))
	for i, r := range m.Recipients {
		list[i] = evidence.ShareRecipient{Party: r.Party, Fingerprint: evidence.Fingerprint(r.Recipient)}
	}
	slices.SortFunc(list, func(a, b evidence.ShareRecipient) int {
		if n := strings.Compare(a.Party, b.Party); n != 0 {
			return n
		}
		return strings.Compare(a.Fingerprint, b.Fingerprint)
	})
	return list
}

// Cautions says what about a key manifest a careful person would ask about
// before signing it. None of it is an error.
func Cautions(m *evidence.KeyManifest) []string {
	var list []string
	if all := m.Part(evidence.AllPart); all != nil {
		if spare := all.Holders - all.Threshold; spare < 2 {
			list = append(list, fmt.Sprintf("%d of %d organisations are needed: losing %d loses the key", all.Threshold, all.Holders, spare+1))
		}
		if all.Threshold == 1 {
			list = append(list, "any one organisation opens the compartment alone")
		}
	}
	organisations := make(map[string]string) // by person
	for _, t := range m.Trustees {
		if len(t.People) == 1 {
			list = append(list, fmt.Sprintf("%s has one person only, %s", t.Party, t.People[0].Person))
		}
		for _, p := range t.People {
			if other, ok := organisations[p.Person]; ok {
				list = append(list, fmt.Sprintf("%s acts for %s and for %s, and counts once in a release", p.Person, other, t.Party))
			}
			organisations[p.Person] = t.Party
		}
	}
	if m.Kind == evidence.QuorumKind && m.Required < len(m.Trustees) {
		list = append(list, fmt.Sprintf("the epoch becomes active after %d of %d acceptances", m.Required, len(m.Trustees)))
	}
	return list
}
