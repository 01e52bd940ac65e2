package seal

import (
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/cloudflare/circl/group"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Offered is a share text with the name of the file it came from.
type Offered struct {
	Name string
	Text []byte
}

// Finding is what was wrong with one offered text.
type Finding struct {
	Name    string `json:"name"`
	Trustee string `json:"trustee,omitempty"`
	Index   int    `json:"index,omitempty"`
	Reason  string `json:"reason"`
}

// Combined is the outcome of combining. Identity is nil unless every part
// reached its threshold and the result is the published identity.
type Combined struct {
	Identity      *age.HybridIdentity
	Arrangement   string
	Compartment   string
	Epoch         int
	IdentityEpoch int
	Set           string
	Parts         []PartStatus
	Used          []string  // trustees
	Ignored       []Finding // damaged shares and duplicates
}

// Combine puts a release identity together. Every share is checked first; a
// damaged one is named in Ignored and the others go on. It refuses shares of
// different sets, and below any threshold there is no identity but a
// [escrow.BelowQuorum] error. The result is compared with the published
// recipient. manifest may be nil when nothing but the share texts survives;
// with it a wrong share is known by its digest as well.
//
// The outcome is returned with the error too, so that the findings can be
// shown.
func Combine(offered []Offered, manifest *evidence.KeyManifest) (*Combined, error) {
	out := new(Combined)
	shares, err := out.collect(offered, manifest)
	if err != nil {
		return out, err
	}
	if len(shares) == 0 {
		if manifest == nil {
			return out, escrow.Errorf(escrow.BelowQuorum, "no valid share among %d", len(offered)).WithHint("ask the trustees for their share texts again")
		}
		out.count(manifest.Parts, nil)
		return out, out.belowQuorum()
	}
	first := shares[0]
	out.Arrangement, out.Compartment, out.Epoch = first.Arrangement, first.Compartment, first.Epoch
	out.IdentityEpoch, out.Set = first.IdentityEpoch, first.Set
	parts, err := sameParts(shares)
	if err != nil {
		return out, err
	}
	out.count(parts, shares)
	if _, reached := describe(out.Parts); !reached {
		return out, out.belowQuorum()
	}
	identity, err := recoverIdentity(first, parts, shares)
	if err != nil {
		return out, err
	}
	if err := published(identity, first, parts); err != nil {
		return out, err
	}
	out.Identity = identity
	return out, nil
}

func (c *Combined) belowQuorum() error {
	text, _ := describe(c.Parts)
	hint := "ask further trustees for their approval"
	if len(c.Ignored) > 0 {
		var names []string
		for _, f := range c.Ignored {
			names = append(names, f.Name+" ("+f.Reason+")")
		}
		hint += "; not counted: " + strings.Join(names, "; ")
	}
	return escrow.Errorf(escrow.BelowQuorum, "%s", text).WithHint("%s", hint)
}

// collect parses and checks the offered texts: different valid shares of one
// set remain.
func (c *Combined) collect(offered []Offered, manifest *evidence.KeyManifest) ([]*evidence.ShareText, error) {
	var shares []*evidence.ShareText
	digests := make(map[string]string) // digest → name
	sets := make(map[string][]string)  // set → names
	var setOrder []string
	for _, o := range offered {
		s, digest, err := parseShare(o.Text)
		if err != nil {
			c.Ignored = append(c.Ignored, Finding{Name: o.Name, Reason: err.Error()})
			continue
		}
		find := func(reason string) {
			c.Ignored = append(c.Ignored, Finding{o.Name, s.Trustee, s.Parts[0].Index, reason})
		}
		if other, ok := digests[digest]; ok {
			find("the same share as " + other)
			continue
		}
		digests[digest] = o.Name
		if len(sets[s.Set]) == 0 {
			setOrder = append(setOrder, s.Set)
		}
		sets[s.Set] = append(sets[s.Set], o.Name)
		if manifest != nil && s.Set == manifest.Set {
			if _, err := CheckShare(manifest, o.Text); err != nil {
				find(err.Error())
				continue
			}
		}
		if err := selfConsistent(s); err != nil {
			find(err.Error())
			continue
		}
		shares = append(shares, s)
	}
	if manifest != nil {
		if !slices.Contains(setOrder, manifest.Set) && len(setOrder) > 0 || len(setOrder) > 1 {
			return nil, mixedSets(setOrder, sets, manifest.Set)
		}
	} else if len(setOrder) > 1 {
		return nil, mixedSets(setOrder, sets, "")
	}
	return shares, nil
}

func mixedSets(order []string, sets map[string][]string, wanted string) error {
	var list []string
	for _, set := range order {
		list = append(list, fmt.Sprintf("set %s: %s", short(set), strings.Join(sets[set], ", ")))
	}
	text := "the shares are of different sets (" + strings.Join(list, "; ") + ")"
	if wanted != "" {
		text += ", the key manifest is of set " + short(wanted)
	}
	return escrow.Errorf(escrow.Conflict, "%s", text).WithHint("offer shares of one set only; after a resharing the old shares belong to the old set")
}

// sameParts returns the parts of the sharing, after making sure that all
// shares mean the same one. Without a manifest nothing tells which of two
// that disagree was altered.
func sameParts(shares []*evidence.ShareText) ([]evidence.Part, error) {
	head := shares[0]
	for _, s := range shares[1:] {
		if s.Arrangement != head.Arrangement || s.Compartment != head.Compartment || s.Epoch != head.Epoch ||
			s.IdentityEpoch != head.IdentityEpoch || s.Release != head.Release || !slices.Equal(s.Recipients, head.Recipients) {
			return nil, disagree(head, s, "what they open or for whom")
		}
		if !slices.EqualFunc(s.Parts, head.Parts, samePart) {
			return nil, disagree(head, s, "the parts of the sharing")
		}
	}
	parts := make([]evidence.Part, len(head.Parts))
	for i, p := range head.Parts {
		parts[i] = p.Part
	}
	return parts, nil
}

func disagree(a, b *evidence.ShareText, about string) error {
	return escrow.Errorf(escrow.Damaged, "the shares of %s and %s name the same set but disagree about %s", a.Trustee, b.Trustee, about).
		WithHint("give the key manifest with --manifest: it tells which of them was altered")
}

// count fills in Parts and Used.
func (c *Combined) count(parts []evidence.Part, shares []*evidence.ShareText) {
	c.Parts = nil
	for _, p := range parts {
		c.Parts = append(c.Parts, PartStatus{p.Name, p.Threshold, len(pointsOf(p.Name, shares))})
	}
	for _, s := range shares {
		c.Used = append(c.Used, s.Trustee)
	}
	slices.Sort(c.Used)
	c.Used = slices.Compact(c.Used)
}

type point struct {
	index int
	share evidence.Bytes32
}

// pointsOf lists the shares of one part, one per index.
func pointsOf(part string, shares []*evidence.ShareText) []point {
	var list []point
	for _, s := range shares {
		for _, p := range s.Parts {
			if p.Name == part && p.Index > 0 && !slices.ContainsFunc(list, func(q point) bool { return q.index == p.Index }) {
				list = append(list, point{p.Index, p.Share})
			}
		}
	}
	return list
}

// recoverIdentity interpolates every part and derives the identity of the
// sum. Every part has reached its threshold.
func recoverIdentity(s *evidence.ShareText, parts []evidence.Part, shares []*evidence.ShareText) (*age.HybridIdentity, error) {
	sum := group.Ristretto255.NewScalar()
	for _, p := range parts {
		points := pointsOf(p.Name, shares)[:p.Threshold]
		indexes := make([]int, len(points))
		for i, q := range points {
			indexes[i] = q.index
		}
		for i, lambda := range lagrange(indexes) {
			value, err := parseScalar(points[i].share)
			if err != nil {
				return nil, err
			}
			sum.Add(sum, value.Mul(value, lambda))
		}
	}
	return releaseIdentity(sum, s.Arrangement, s.Compartment, s.IdentityEpoch)
}

// published compares the identity with what was published: the fingerprint in
// the share texts, and through the set id the recipient and commitments of
// the manifest.
func published(identity *age.HybridIdentity, s *evidence.ShareText, parts []evidence.Part) error {
	recipient := identity.Recipient().String()
	set, err := evidence.SetID(s.Arrangement, s.Compartment, s.Epoch, s.IdentityEpoch, []string{recipient}, parts)
	if err != nil {
		return err
	}
	if evidence.Fingerprint(recipient) != s.Release || set != s.Set {
		return escrow.Errorf(escrow.Damaged, "the shares fit their commitments, but give key %s and set %s instead of the published %s and %s",
			short(evidence.Fingerprint(recipient)), short(set), short(s.Release), short(s.Set)).
			WithHint("the dealer dealt a secret that is not the published key's: keep all files as evidence, and do not use this key for anything")
	}
	return nil
}

// KeyFile returns the release identity as an age identity file.
func (c *Combined) KeyFile() []byte {
	return fmt.Appendf(nil, "# release identity of %s, compartment %s, epoch %d\n# set %s\n# public key: %s\n%s\n",
		c.Arrangement, c.Compartment, c.Epoch, c.Set, c.Identity.Recipient(), c.Identity)
}
