package evidence

import "fmt"

// KeysFormat names the format of a [KeyManifest].
const KeysFormat = "holdfast-keys/v1"

// The kinds of key manifest. Quorum: a release identity shared among
// trustees. Direct: deposits are sealed to one party's own people, no quorum
// stands between them and their data.
const (
	QuorumKind = "quorum"
	DirectKind = "direct"
)

// AllPart is the part of a sharing in which every trustee holds a share. The
// other parts are named for the class whose members hold them.
const AllPart = "all"

// Bounds of a key manifest.
const (
	MaxTrustees     = 64
	MaxPeople       = 16 // per trustee
	MaxParts        = 8
	MaxKeyRecipient = 1024
	maxManifest     = 4 << 20
)

// PedersenH is the second generator of the commitments: the hash to
// ristretto255 (RFC 9380, ristretto255_XMD:SHA-512_R255MAP_RO_) of an empty
// message with the domain separation tag "holdfast/v1/pedersen-h". Nobody
// knows its discrete logarithm.
const PedersenH = "MGj5Wt8S5SS7M9GiTdmsJeRWNs27bfDbRZ5ZFlUhDx0"

// KeyManifest is the public, signed record of one epoch of a compartment:
// who holds which share of the release identity, the commitments every share
// is checked against, and for whom a release may open. The dealer signs it in
// [NamespaceKeys].
type KeyManifest struct {
	Format        string         `json:"format"`
	Kind          string         `json:"kind"`
	Arrangement   string         `json:"arrangement"`
	Agreement     string         `json:"agreement"` // digest of the agreement in force
	Compartment   string         `json:"compartment"`
	Epoch         int            `json:"epoch"`
	IdentityEpoch int            `json:"identity_epoch"`      // epoch in which the release identity was made; smaller than Epoch after a resharing
	Set           string         `json:"set"`                 // as SetID computes it
	Previous      string         `json:"previous,omitempty"`  // set this one was reshared from
	Plan          string         `json:"plan,omitempty"`      // digest of the resharing's plan
	Dealings      []DealingRef   `json:"dealings,omitempty"`  // the resharing's dealings, in the order of the plan's contributors
	Recipient     string         `json:"recipient,omitempty"` // release recipient; none when direct
	H             string         `json:"h,omitempty"`         // PedersenH; none when direct
	Parts         []Part         `json:"parts,omitempty"`     // AllPart first, then classes by name
	Trustees      []TrusteeEntry `json:"trustees,omitempty"`  // in the order of their index in AllPart
	Recipients    []KeyRecipient `json:"recipients"`          // for whom a release may open, by party and person; when direct, to whom deposits are sealed
	Required      int            `json:"required"`            // acceptances before the epoch becomes active
	Dealer        Signatory      `json:"dealer"`
	Created       Time           `json:"created"`
}

// Part is one sharing: Threshold of Holders shares give its secret, and the
// secrets of all parts add up to the scalar of the release identity.
type Part struct {
	Name        string    `json:"name"`
	Threshold   int       `json:"threshold"`
	Holders     int       `json:"holders"`
	Commitments []Bytes32 `json:"commitments"` // Pedersen commitments to the polynomial's coefficients, constant first
}

// TrusteeEntry is one organisation that holds a share.
type TrusteeEntry struct {
	Party   string      `json:"party"`
	Indexes []PartIndex `json:"indexes"`         // AllPart first, then this trustee's classes
	Share   string      `json:"share,omitempty"` // digest of the share text; unknown to the public after a resharing
	People  []Holder    `json:"people"`          // any one of them acts for the organisation
}

// PartIndex is a trustee's index in one part, from 1.
type PartIndex struct {
	Part  string `json:"part"`
	Index int    `json:"index"`
}

// Holder is one person to whom an organisation's share is sealed.
type Holder struct {
	Person    string `json:"person"`
	Recipient string `json:"recipient"`
	Key       string `json:"ssh_key"`
	Package   string `json:"package,omitempty"` // digest of the armored age file; none after a resharing
}

// KeyRecipient is one person for whom a release may open.
type KeyRecipient struct {
	Party     string `json:"party"`
	Person    string `json:"person"`
	Recipient string `json:"recipient"`
}

// Signatory is who signs a key document.
type Signatory struct {
	Party  string `json:"party"`
	Person string `json:"person"`
	Key    string `json:"ssh_key"`
}

// DealingRef pins one old trustee's dealing of a resharing.
type DealingRef struct {
	Trustee string `json:"trustee"`
	Digest  string `json:"digest"`
}

// ParseKeyManifest reads a key manifest strictly: canonical bytes, known
// format, indexes without gaps, the set id recomputed. It checks neither the
// signature nor that points are on the curve.
func ParseKeyManifest(data []byte) (*KeyManifest, error) {
	return parseDocument[KeyManifest]("key manifest", data, maxManifest)
}

// Bytes returns the canonical bytes that are signed.
func (m KeyManifest) Bytes() ([]byte, error) {
	m.Format = KeysFormat
	return renderDocument("key manifest", &m)
}

// SetID is the SHA-256 of what defines the set of shares: whose it is, what
// it opens, and the commitments. Two ceremonies never have the same set.
func (m *KeyManifest) SetID() (string, error) {
	return SetID(m.Arrangement, m.Compartment, m.Epoch, m.IdentityEpoch, m.SealTo(), m.Parts)
}

// SetID computes the id of a set of shares, see [KeyManifest.SetID].
func SetID(arrangement, compartment string, epoch, identityEpoch int, sealTo []string, parts []Part) (string, error) {
	body, err := Canonical(struct {
		Format        string   `json:"format"`
		Arrangement   string   `json:"arrangement"`
		Compartment   string   `json:"compartment"`
		Epoch         int      `json:"epoch"`
		IdentityEpoch int      `json:"identity_epoch"`
		Recipients    []string `json:"recipients"`
		Parts         []Part   `json:"parts,omitempty"`
	}{"holdfast-set/v1", arrangement, compartment, epoch, identityEpoch, sealTo, parts})
	if err != nil {
		return "", fmt.Errorf("set id: %w", err)
	}
	return Digest(body), nil
}

// SealTo returns the age recipients that deposits of this epoch are sealed
// to: the release recipient, or every person of a direct manifest.
func (m *KeyManifest) SealTo() []string {
	if m.Kind != DirectKind {
		return []string{m.Recipient}
	}
	list := make([]string, len(m.Recipients))
	for i, r := range m.Recipients {
		list[i] = r.Recipient
	}
	return list
}

// Trustee returns the entry of a party, or nil.
func (m *KeyManifest) Trustee(party string) *TrusteeEntry {
	for i := range m.Trustees {
		if m.Trustees[i].Party == party {
			return &m.Trustees[i]
		}
	}
	return nil
}

// Part returns the part of that name, or nil.
func (m *KeyManifest) Part(name string) *Part {
	for i := range m.Parts {
		if m.Parts[i].Name == name {
			return &m.Parts[i]
		}
	}
	return nil
}

// Pinned returns the pinned recipient with that fingerprint, or nil.
func (m *KeyManifest) Pinned(fingerprint string) *KeyRecipient {
	for i := range m.Recipients {
		if Fingerprint(m.Recipients[i].Recipient) == fingerprint {
			return &m.Recipients[i]
		}
	}
	return nil
}

// Person returns the entry of one of the trustee's people, or nil.
func (t *TrusteeEntry) Person(name string) *Holder {
	for i := range t.People {
		if t.People[i].Person == name {
			return &t.People[i]
		}
	}
	return nil
}

// Index returns the trustee's index in a part, or 0 when it holds none.
func (t *TrusteeEntry) Index(part string) int {
	for _, p := range t.Indexes {
		if p.Part == part {
			return p.Index
		}
	}
	return 0
}

func (m *KeyManifest) validate() error {
	switch {
	case m.Format != KeysFormat:
		return fmt.Errorf("format is %.40q, want %q", m.Format, KeysFormat)
	case m.Kind != QuorumKind && m.Kind != DirectKind:
		return fmt.Errorf("kind is %.40q, want %q or %q", m.Kind, QuorumKind, DirectKind)
	case !IsID(m.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", m.Arrangement)
	case !IsDigest(m.Agreement):
		return fmt.Errorf("agreement %.80q is not a digest", m.Agreement)
	case !IsID(m.Compartment):
		return fmt.Errorf("compartment %.80q is not an identifier", m.Compartment)
	case m.Epoch < 1 || m.IdentityEpoch < 1 || m.IdentityEpoch > m.Epoch:
		return fmt.Errorf("epoch %d cannot hold an identity made in epoch %d", m.Epoch, m.IdentityEpoch)
	case !IsName(m.Dealer.Party) || !IsName(m.Dealer.Person):
		return fmt.Errorf("dealer %.80q/%.80q is not a party and a person", m.Dealer.Party, m.Dealer.Person)
	}
	if err := checkPublicKey(m.Dealer.Key); err != nil {
		return fmt.Errorf("dealer: %w", err)
	}
	if err := checkRecipients(m.Recipients); err != nil {
		return err
	}
	if m.Kind == DirectKind {
		if err := m.validateDirect(); err != nil {
			return err
		}
	} else if err := m.validateQuorum(); err != nil {
		return err
	}
	set, err := m.SetID()
	if err != nil {
		return err
	}
	if m.Set != set {
		return fmt.Errorf("set is %.80q, but the content gives %s", m.Set, set)
	}
	return nil
}

func (m *KeyManifest) validateDirect() error {
	switch {
	case m.Recipient != "" || m.H != "" || len(m.Parts) > 0 || len(m.Trustees) > 0 || m.Previous != "" || m.Plan != "" || len(m.Dealings) > 0:
		return fmt.Errorf("a direct manifest has no release recipient, parts, trustees or resharing")
	case m.Required != 0:
		return fmt.Errorf("required is %d, but a direct manifest has no trustee to accept it", m.Required)
	case m.IdentityEpoch != m.Epoch:
		return fmt.Errorf("epoch %d of a direct manifest cannot hold an identity made in epoch %d", m.Epoch, m.IdentityEpoch)
	}
	for i, r := range m.Recipients {
		if r.Party != m.Recipients[0].Party {
			return fmt.Errorf("recipients[%d]: a direct manifest is for one party, not for %s and %s", i, m.Recipients[0].Party, r.Party)
		}
	}
	return nil
}

func (m *KeyManifest) validateQuorum() error {
	reshared := m.Previous != ""
	switch {
	case !IsRecipient(m.Recipient):
		return fmt.Errorf("recipient is not a post-quantum age recipient (%s…)", recipientPrefix)
	case m.H != PedersenH:
		return fmt.Errorf("h is %.80q, want %s", m.H, PedersenH)
	case reshared != (m.IdentityEpoch < m.Epoch), reshared != (m.Plan != ""), reshared != (len(m.Dealings) > 0):
		return fmt.Errorf("previous, plan, dealings and identity_epoch do not fit together: a resharing has all, a first dealing none")
	case reshared && (!IsDigest(m.Previous) || !IsDigest(m.Plan)):
		return fmt.Errorf("previous and plan are not digests")
	case len(m.Dealings) > MaxTrustees:
		return fmt.Errorf("%d dealings, at most %d", len(m.Dealings), MaxTrustees)
	}
	for i, d := range m.Dealings {
		if !IsName(d.Trustee) || !IsDigest(d.Digest) {
			return fmt.Errorf("dealings[%d]: not a trustee and a digest", i)
		}
	}
	if err := checkParts(m.Parts, len(m.Trustees), true); err != nil {
		return err
	}
	if err := checkTrustees(m.Parts, m.Trustees); err != nil {
		return err
	}
	highest := 0
	for _, p := range m.Parts {
		highest = max(highest, p.Threshold)
	}
	if m.Required < highest || m.Required > len(m.Trustees) {
		return fmt.Errorf("required is %d, want %d (the highest threshold) to %d (all trustees)", m.Required, highest, len(m.Trustees))
	}
	for i, t := range m.Trustees {
		if reshared != (t.Share == "") || !reshared && !IsDigest(t.Share) {
			return fmt.Errorf("trustees[%d] %s: share is not a digest, or is given after a resharing", i, t.Party)
		}
		for _, p := range t.People {
			if reshared != (p.Package == "") || !reshared && !IsDigest(p.Package) {
				return fmt.Errorf("trustees[%d] %s/%s: package is not a digest, or is given after a resharing", i, t.Party, p.Person)
			}
		}
	}
	return nil
}

// checkParts checks the shape of a sharing among n trustees. A plan has no
// commitments yet.
func checkParts(parts []Part, n int, committed bool) error {
	switch {
	case n == 0 || n > MaxTrustees:
		return fmt.Errorf("%d trustees, want 1 to %d", n, MaxTrustees)
	case len(parts) == 0 || len(parts) > MaxParts:
		return fmt.Errorf("%d parts, want 1 to %d", len(parts), MaxParts)
	}
	for i, p := range parts {
		switch {
		case i == 0 && p.Name != AllPart:
			return fmt.Errorf("parts[0] is %.80q, want %q", p.Name, AllPart)
		case i > 0 && (!IsName(p.Name) || p.Name == AllPart || i > 1 && parts[i-1].Name >= p.Name):
			return fmt.Errorf("parts[%d]: %.80q is not a class, or is out of order or listed twice", i, p.Name)
		case i == 0 && p.Holders != n:
			return fmt.Errorf("part %s has %d holders, but there are %d trustees", p.Name, p.Holders, n)
		case i > 0 && (p.Holders < 2 || p.Holders > n):
			// With one member the class would be a single point of loss and of veto.
			return fmt.Errorf("part %s has %d holders, want 2 to %d", p.Name, p.Holders, n)
		case p.Threshold < 1 || p.Threshold > p.Holders:
			return fmt.Errorf("part %s: threshold %d of %d holders", p.Name, p.Threshold, p.Holders)
		case committed && len(p.Commitments) != p.Threshold, !committed && len(p.Commitments) != 0:
			return fmt.Errorf("part %s has %d commitments and threshold %d", p.Name, len(p.Commitments), p.Threshold)
		}
	}
	return nil
}

// checkTrustees checks that the indexes count each part's holders from 1 in
// the order of the trustees, so that there is one way to write a sharing.
func checkTrustees(parts []Part, trustees []TrusteeEntry) error {
	next := make([]int, len(parts))
	parties := make(map[string]bool, len(trustees))
	people := make(map[string]Holder) // by name, recipient and key
	for i, t := range trustees {
		if !IsName(t.Party) || parties[t.Party] {
			return fmt.Errorf("trustees[%d]: %.80q is not a name or is listed twice", i, t.Party)
		}
		parties[t.Party] = true
		at := 0
		for j, p := range parts {
			if at < len(t.Indexes) && t.Indexes[at].Part == p.Name {
				next[j]++
				if t.Indexes[at].Index != next[j] {
					return fmt.Errorf("trustees[%d] %s: index %d in part %s, want %d", i, t.Party, t.Indexes[at].Index, p.Name, next[j])
				}
				at++
			} else if j == 0 {
				return fmt.Errorf("trustees[%d] %s holds nothing in part %s", i, t.Party, p.Name)
			}
		}
		if at != len(t.Indexes) {
			return fmt.Errorf("trustees[%d] %s: part %.80q is unknown, out of order or listed twice", i, t.Party, t.Indexes[at].Part)
		}
		if err := checkPeople(t, people); err != nil {
			return fmt.Errorf("trustees[%d] %s: %w", i, t.Party, err)
		}
	}
	for j, p := range parts {
		if next[j] != p.Holders {
			return fmt.Errorf("part %s has %d holders, but %d trustees hold a share", p.Name, p.Holders, next[j])
		}
	}
	return nil
}

// checkPeople checks the people of one trustee. A person may act for two
// organisations, but then under one name with one recipient and one key: who
// counts once in a release must be beyond doubt on the day of the release.
func checkPeople(t TrusteeEntry, people map[string]Holder) error {
	if len(t.People) == 0 || len(t.People) > MaxPeople {
		return fmt.Errorf("%d people, want 1 to %d", len(t.People), MaxPeople)
	}
	seen := make(map[string]bool, 3*len(t.People))
	for i, p := range t.People {
		switch {
		case !IsName(p.Person):
			return fmt.Errorf("people[%d]: %.80q is not a name", i, p.Person)
		case !IsRecipient(p.Recipient):
			return fmt.Errorf("people[%d] %s: recipient is not a post-quantum age recipient (%s…)", i, p.Person, recipientPrefix)
		case seen[p.Person] || seen[p.Recipient] || seen[p.Key]:
			return fmt.Errorf("people[%d] %s: name, recipient or key is listed twice", i, p.Person)
		}
		if err := checkPublicKey(p.Key); err != nil {
			return fmt.Errorf("people[%d] %s: %w", i, p.Person, err)
		}
		for _, mark := range []string{p.Person, p.Recipient, p.Key} {
			seen[mark] = true
			q, ok := people[mark]
			if ok && (q.Person != p.Person || q.Recipient != p.Recipient || q.Key != p.Key) {
				return fmt.Errorf("people[%d] %s: shares a name, recipient or key with another organisation's %s but not all three; give different people different names", i, p.Person, q.Person)
			}
			people[mark] = p
		}
	}
	return nil
}

func checkRecipients(list []KeyRecipient) error {
	if len(list) == 0 || len(list) > MaxKeyRecipient {
		return fmt.Errorf("%d recipients, want 1 to %d", len(list), MaxKeyRecipient)
	}
	seen := make(map[string]bool, len(list))
	for i, r := range list {
		switch {
		case !IsName(r.Party) || !IsName(r.Person):
			return fmt.Errorf("recipients[%d]: %.80q/%.80q is not a party and a person", i, r.Party, r.Person)
		case !IsRecipient(r.Recipient):
			return fmt.Errorf("recipients[%d] %s/%s: not a post-quantum age recipient (%s…)", i, r.Party, r.Person, recipientPrefix)
		case seen[r.Recipient]:
			return fmt.Errorf("recipients[%d] %s/%s: recipient is listed twice", i, r.Party, r.Person)
		case i > 0 && !before(list[i-1].Party, list[i-1].Person, r.Party, r.Person):
			return fmt.Errorf("recipients[%d]: %s/%s is out of order or listed twice", i, r.Party, r.Person)
		}
		seen[r.Recipient] = true
	}
	return nil
}
