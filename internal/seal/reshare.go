package seal

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/cloudflare/circl/group"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Resharing passes a release identity to other trustees: every contributing
// old trustee shares its own share anew, and a new trustee's share is the
// interpolation of what it got. The identity is never put together, the
// release recipient and all deposits stay as they are. It does not revoke:
// enough old trustees who keep their shares can still combine them. To
// distrust old trustees, deal a new epoch.

// Old is the key manifest that a resharing starts from.
type Old struct {
	Manifest *evidence.KeyManifest
	Document []byte
}

// PlanReshare writes the plan of a resharing. c describes the new sharing as
// for a first dealing; its arrangement and compartment must be the old ones,
// its classes have the old names. contributors are old trustees, enough for
// every part.
func PlanReshare(old Old, c Ceremony, contributors []string, coordinator ssh.Signer) ([]byte, error) {
	if old.Manifest.Kind != evidence.QuorumKind || c.Arrangement != old.Manifest.Arrangement || c.Compartment != old.Manifest.Compartment {
		return nil, escrow.Errorf(escrow.Conflict, "a resharing of %s/%s cannot become one of %s/%s", old.Manifest.Arrangement, old.Manifest.Compartment, c.Arrangement, c.Compartment)
	}
	m, err := c.manifest(evidence.QuorumKind, coordinator)
	if err != nil {
		return nil, err
	}
	plan := evidence.ResharePlan{
		Format: evidence.PlanFormat, Manifest: evidence.Digest(old.Document), Previous: old.Manifest.Set,
		Arrangement: c.Arrangement, Agreement: c.Agreement, Compartment: c.Compartment,
		Epoch: c.Epoch, IdentityEpoch: old.Manifest.IdentityEpoch, Recipient: old.Manifest.Recipient,
		Trustees: m.Trustees, Recipients: m.Recipients, Required: m.Required, Dealer: m.Dealer, Created: m.Created,
	}
	for _, t := range old.Manifest.Trustees { // in the old order, whatever order was asked
		if slices.Contains(contributors, t.Party) {
			plan.Contributors = append(plan.Contributors, t.Party)
		}
	}
	for _, p := range m.Parts {
		plan.Parts = append(plan.Parts, evidence.PlanPart{Name: p.Name, Threshold: p.Threshold, Holders: p.Holders})
	}
	if len(plan.Contributors) != len(contributors) {
		return nil, escrow.Errorf(escrow.Invalid, "%d contributors are named, %d of them are old trustees", len(contributors), len(plan.Contributors)).
			WithHint("the old trustees are: %s", trusteeNames(old.Manifest))
	}
	raw, err := plan.Bytes()
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("correct the plan's input; nothing was written")
	}
	_, err = openPlan(old, raw)
	return raw, err
}

// openPlan parses a plan and checks that it fits the old manifest.
func openPlan(old Old, raw []byte) (*evidence.ResharePlan, error) {
	plan, err := evidence.ParseResharePlan(raw)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("ask the coordinator for the plan again")
	}
	m := old.Manifest
	bad := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Conflict, "resharing plan: "+format, args...).WithHint("use the plan and the key manifest that belong together, or make a new plan")
	}
	switch {
	case plan.Manifest != evidence.Digest(old.Document) || plan.Previous != m.Set:
		return nil, bad("it is about set %s, the key manifest is of set %s", short(plan.Previous), short(m.Set))
	case plan.Arrangement != m.Arrangement || plan.Compartment != m.Compartment || plan.Recipient != m.Recipient || plan.IdentityEpoch != m.IdentityEpoch:
		return nil, bad("it names another release identity than the key manifest")
	case plan.Epoch <= m.Epoch:
		return nil, bad("epoch %d does not follow epoch %d", plan.Epoch, m.Epoch)
	case !slices.EqualFunc(plan.Parts, m.Parts, func(a evidence.PlanPart, b evidence.Part) bool { return a.Name == b.Name }):
		return nil, bad("the classes must have the same names as before; a rule cannot be added to or taken from a secret that is shared already")
	}
	for _, p := range m.Parts {
		if n := len(contributorsOf(old, plan, p.Name)); n < p.Threshold {
			return nil, escrow.Errorf(escrow.BelowQuorum, "resharing plan: contributors: %s", PartStatus{p.Name, p.Threshold, n}).
				WithHint("name more of the old trustees as contributors")
		}
	}
	at := 0
	for _, t := range m.Trustees {
		if at < len(plan.Contributors) && plan.Contributors[at] == t.Party {
			at++
		}
	}
	if at != len(plan.Contributors) {
		return nil, bad("contributor %s is not an old trustee, or is out of order", plan.Contributors[at])
	}
	for _, t := range plan.Trustees {
		for _, h := range t.People {
			if _, err := age.ParseHybridRecipient(h.Recipient); err != nil {
				return nil, bad("the recipient of %s/%s is not a valid key", t.Party, h.Person)
			}
		}
	}
	return plan, nil
}

// contributorsOf lists the old indexes of the contributors that hold a part.
func contributorsOf(old Old, plan *evidence.ResharePlan, part string) []int {
	var list []int
	for _, c := range plan.Contributors {
		if t := old.Manifest.Trustee(c); t != nil && t.Index(part) > 0 {
			list = append(list, t.Index(part))
		}
	}
	return list
}

// DealReshare makes and signs an old trustee's dealing: its share of every
// part it holds, shared anew and sealed to each person of the new trustees.
func DealReshare(rand io.Reader, old Old, planBytes []byte, s *Share, h Holder, signer ssh.Signer, now time.Time) (dealing, signature []byte, err error) {
	plan, err := openPlan(old, planBytes)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(plan.Contributors, h.Trustee) {
		return nil, nil, escrow.Errorf(escrow.Conflict, "%s is not a contributor of this plan", h.Trustee).WithHint("the contributors are: %v", plan.Contributors)
	}
	if err := mayAct(old.Manifest, s, h, signer); err != nil {
		return nil, nil, err
	}
	d := evidence.Dealing{Plan: evidence.Digest(planBytes), Previous: old.Manifest.Set, Trustee: h.Trustee, Person: h.Person, At: evidence.At(now)}
	secrets := make(map[string]dealt)
	for i, p := range s.Parts {
		if p.Index == 0 {
			continue
		}
		value, err := parseScalar(p.Share)
		if err != nil {
			return nil, nil, err
		}
		blind, err := parseScalar(p.Blind)
		if err != nil {
			return nil, nil, err
		}
		secret, err := newDealt(rand, plan.Parts[i].Threshold, value, blind)
		if err != nil {
			return nil, nil, err
		}
		secrets[p.Name] = secret
		d.Parts = append(d.Parts, evidence.DealingPart{Name: p.Name, Index: p.Index, Commitments: secret.commitments()})
	}
	for _, t := range plan.Trustees {
		sub := evidence.SubShare{Plan: d.Plan, From: h.Trustee, To: t.Party, Parts: []evidence.SubSharePart{}}
		for _, p := range d.Parts {
			if index := t.Index(p.Name); index > 0 {
				value, blind := secrets[p.Name].at(index)
				sub.Parts = append(sub.Parts, evidence.SubSharePart{Name: p.Name, Index: index, Share: encode(value), Blind: encode(blind)})
			}
		}
		text, err := sub.Bytes()
		if err != nil {
			return nil, nil, err
		}
		for _, person := range t.People {
			r, err := parseRecipients([]string{person.Recipient})
			if err != nil {
				return nil, nil, err
			}
			sealed, err := sealText(text, r...)
			if err != nil {
				return nil, nil, err
			}
			d.Packages = append(d.Packages, evidence.SealedPackage{Trustee: t.Party, Person: person.Person, Package: string(sealed)})
		}
	}
	if dealing, err = d.Bytes(); err != nil {
		return nil, nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	signature, err = evidence.Sign(signer, evidence.NamespaceReshare, dealing)
	return dealing, signature, err
}

// CheckDealing checks all of a dealing that is public. A trustee that does
// not pass on the share it was dealt is named: the commitment to its new
// polynomial's constant must be the old commitments' value at its index.
func CheckDealing(old Old, planBytes []byte, signed Signed) (*evidence.Dealing, error) {
	plan, err := openPlan(old, planBytes)
	if err != nil {
		return nil, err
	}
	d, err := evidence.ParseDealing(signed.Document)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("ask the old trustee for the dealing again")
	}
	h := Holder{d.Trustee, d.Person}
	t, p, err := h.entry(old.Manifest)
	if err != nil {
		return nil, err
	}
	if err := evidence.Verify(p.Key, evidence.NamespaceReshare, signed.Document, signed.Signature); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "dealing of %s: %w", h, err).WithHint("ask %s to deal again", h)
	}
	liar := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Damaged, "dealing of %s: "+format, append([]any{h}, args...)...).
			WithHint("do not use it; make a new plan without %s, or let it deal again", d.Trustee)
	}
	switch {
	case d.Plan != evidence.Digest(planBytes) || d.Previous != old.Manifest.Set:
		return nil, escrow.Errorf(escrow.Conflict, "dealing of %s is for plan %s, not %s", h, short(d.Plan), short(evidence.Digest(planBytes)))
	case !slices.Contains(plan.Contributors, d.Trustee):
		return nil, escrow.Errorf(escrow.Conflict, "dealing of %s: not a contributor of this plan", h)
	}
	at := 0
	for i, part := range old.Manifest.Parts {
		index := t.Index(part.Name)
		if index == 0 {
			continue
		}
		if at >= len(d.Parts) || d.Parts[at].Name != part.Name || d.Parts[at].Index != index || len(d.Parts[at].Commitments) != plan.Parts[i].Threshold {
			return nil, liar("part %s is missing or has another shape than planned", part.Name)
		}
		oldPoints, err := parsePoints(part.Commitments)
		if err != nil {
			return nil, err
		}
		newPoints, err := parsePoints(d.Parts[at].Commitments)
		if err != nil {
			return nil, liar("part %s: %w", part.Name, err)
		}
		if !newPoints[0].IsEqual(evaluate(oldPoints, index)) {
			return nil, liar("part %s: it does not pass on share %d that %s was dealt", part.Name, index, d.Trustee)
		}
		at++
	}
	if at != len(d.Parts) {
		return nil, liar("part %s is not held by %s", d.Parts[at].Name, d.Trustee)
	}
	return d, checkDealtPackages(plan, d, liar)
}

func checkDealtPackages(plan *evidence.ResharePlan, d *evidence.Dealing, liar func(string, ...any) error) error {
	at := 0
	for _, t := range plan.Trustees {
		for _, p := range t.People {
			if at >= len(d.Packages) || d.Packages[at].Trustee != t.Party || d.Packages[at].Person != p.Person {
				return liar("the package for %s/%s is missing or out of order", t.Party, p.Person)
			}
			if err := inspectPackage(d.Packages[at].Package, 1); err != nil {
				return liar("package for %s/%s: %w", t.Party, p.Person, err)
			}
			at++
		}
	}
	if at != len(d.Packages) {
		return liar("it has %d packages more than planned", len(d.Packages)-at)
	}
	return nil
}

// ReshareManifest derives the key manifest of the new set. Anyone can: it is
// fixed by the plan and the dealings of all its contributors. Only the
// signature needs the coordinator, see [SignManifest].
func ReshareManifest(old Old, planBytes []byte, dealings []Signed) (*evidence.KeyManifest, []byte, error) {
	plan, err := openPlan(old, planBytes)
	if err != nil {
		return nil, nil, err
	}
	checked, refs, err := checkDealings(old, plan, planBytes, dealings)
	if err != nil {
		return nil, nil, err
	}
	m := &evidence.KeyManifest{
		Format: evidence.KeysFormat, Kind: evidence.QuorumKind,
		Arrangement: plan.Arrangement, Agreement: plan.Agreement, Compartment: plan.Compartment,
		Epoch: plan.Epoch, IdentityEpoch: plan.IdentityEpoch,
		Previous: plan.Previous, Plan: evidence.Digest(planBytes), Dealings: refs,
		Recipient: plan.Recipient, H: evidence.PedersenH,
		Trustees: plan.Trustees, Recipients: plan.Recipients, Required: plan.Required, Dealer: plan.Dealer, Created: plan.Created,
	}
	for _, p := range plan.Parts {
		sum := make([]group.Element, p.Threshold)
		for i := range sum {
			sum[i] = group.Ristretto255.Identity()
		}
		lambdas := lagrange(contributorsOf(old, plan, p.Name))
		at := 0
		for _, d := range checked {
			i := slices.IndexFunc(d.Parts, func(q evidence.DealingPart) bool { return q.Name == p.Name })
			if i < 0 {
				continue
			}
			points, err := parsePoints(d.Parts[i].Commitments)
			if err != nil {
				return nil, nil, err
			}
			for j, c := range points {
				sum[j].Add(sum[j], c.Mul(c, lambdas[at]))
			}
			at++
		}
		m.Parts = append(m.Parts, evidence.Part{Name: p.Name, Threshold: p.Threshold, Holders: p.Holders, Commitments: encodePoints(sum)})
	}
	for i, p := range m.Parts {
		if p.Commitments[0] != old.Manifest.Parts[i].Commitments[0] {
			return nil, nil, fmt.Errorf("reshare: part %s does not keep its secret", p.Name)
		}
	}
	if m.Set, err = m.SetID(); err != nil {
		return nil, nil, err
	}
	raw, err := m.Bytes()
	if err != nil {
		return nil, nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	return m, raw, nil
}

// checkDealings checks that there is one good dealing per contributor and
// returns them in the order of the plan.
func checkDealings(old Old, plan *evidence.ResharePlan, planBytes []byte, dealings []Signed) ([]*evidence.Dealing, []evidence.DealingRef, error) {
	checked := make([]*evidence.Dealing, len(plan.Contributors))
	refs := make([]evidence.DealingRef, len(plan.Contributors))
	for _, signed := range dealings {
		d, err := CheckDealing(old, planBytes, signed)
		if err != nil {
			return nil, nil, err
		}
		i := slices.Index(plan.Contributors, d.Trustee)
		digest := evidence.Digest(signed.Document)
		if checked[i] != nil && refs[i].Digest != digest {
			return nil, nil, escrow.Errorf(escrow.Conflict, "there are two different dealings of %s: %s and %s", d.Trustee, short(refs[i].Digest), short(digest)).
				WithHint("everybody must use the same one: let %s say which", d.Trustee)
		}
		checked[i], refs[i] = d, evidence.DealingRef{Trustee: d.Trustee, Digest: digest}
	}
	for i, d := range checked {
		if d == nil {
			return nil, nil, escrow.Errorf(escrow.BelowQuorum, "the dealing of %s is missing", plan.Contributors[i]).
				WithHint("wait for it, or make a new plan without %s", plan.Contributors[i])
		}
	}
	return checked, refs, nil
}

// SignManifest signs a derived manifest for its coordinator.
func SignManifest(m *evidence.KeyManifest, document []byte, signer ssh.Signer) ([]byte, error) {
	if evidence.FormatPublicKey(signer.PublicKey()) != m.Dealer.Key {
		return nil, escrow.Errorf(escrow.WrongKey, "the plan names signing key %s for %s/%s, you offered %s",
			keyFingerprint(m.Dealer.Key), m.Dealer.Party, m.Dealer.Person, ssh.FingerprintSHA256(signer.PublicKey()))
	}
	return evidence.Sign(signer, evidence.NamespaceKeys, document)
}

// CheckReshared checks that a key manifest is exactly what the plan and the
// dealings give, so that trust in the old trustees is enough and none in the
// coordinator is needed.
func CheckReshared(old Old, planBytes []byte, dealings []Signed, document []byte) (*evidence.KeyManifest, error) {
	m, want, err := ReshareManifest(old, planBytes, dealings)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(want, document) {
		return nil, escrow.Errorf(escrow.Damaged, "the new key manifest is not what the plan and the dealings give").
			WithHint("derive it again with 'holdfast ceremony reshare manifest' and ask the coordinator")
	}
	return m, nil
}

// CheckSuccessor checks what anybody can see of a resharing without its plan
// and dealings: that the new manifest follows the old one, opens the same
// deposits, and commits to the same secret in every part.
func CheckSuccessor(old, successor *evidence.KeyManifest) error {
	bad := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, "key manifest of %s, epoch %d: "+format, append([]any{successor.Compartment, successor.Epoch}, args...)...).
			WithHint("derive it again with 'holdfast ceremony reshare manifest'")
	}
	switch {
	case successor.Arrangement != old.Arrangement || successor.Compartment != old.Compartment || successor.Epoch <= old.Epoch:
		return bad("it does not follow epoch %d of %s", old.Epoch, old.Compartment)
	case successor.Previous != old.Set:
		return bad("it was reshared from set %s, not from %s", short(successor.Previous), short(old.Set))
	case successor.Recipient != old.Recipient || successor.IdentityEpoch != old.IdentityEpoch:
		return bad("a resharing keeps the release key, this is another one")
	case len(successor.Parts) != len(old.Parts):
		return bad("it has %d parts, the old one %d", len(successor.Parts), len(old.Parts))
	}
	for i, p := range successor.Parts {
		if p.Name != old.Parts[i].Name || p.Commitments[0] != old.Parts[i].Commitments[0] {
			return bad("part %s does not keep its secret", p.Name)
		}
	}
	return nil
}

// CombineReshare opens the sub-shares for one person of a new trustee, checks
// each against its dealing and adds them up to the trustee's new share. An
// old trustee whose sub-share does not fit is named.
func CombineReshare(old Old, planBytes []byte, dealings []Signed, document []byte, h Holder, identity *age.HybridIdentity) (*Share, error) {
	m, err := CheckReshared(old, planBytes, dealings, document)
	if err != nil {
		return nil, err
	}
	t, p, err := h.entry(m)
	if err != nil {
		return nil, err
	}
	if pinned, own := evidence.Fingerprint(p.Recipient), fingerprint(identity); pinned != own {
		return nil, escrow.Errorf(escrow.WrongKey, "the key manifest has key %s for %s, you offered %s", short(pinned), h, short(own)).
			WithHint("use the key you gave the coordinator; if you did, somebody replaced it: stop and call")
	}
	plan, err := openPlan(old, planBytes)
	if err != nil {
		return nil, err
	}
	checked, _, err := checkDealings(old, plan, planBytes, dealings)
	if err != nil {
		return nil, err
	}
	sums := make([]struct{ value, blind group.Scalar }, len(m.Parts))
	for i := range sums {
		sums[i].value, sums[i].blind = group.Ristretto255.NewScalar(), group.Ristretto255.NewScalar()
	}
	used := make([]int, len(m.Parts))
	for _, d := range checked {
		sub, err := openSubShare(plan, planBytes, d, t, p, identity)
		if err != nil {
			return nil, err
		}
		for i, part := range m.Parts {
			at := slices.IndexFunc(sub.Parts, func(q evidence.SubSharePart) bool { return q.Name == part.Name })
			if at < 0 {
				continue
			}
			lambda := lagrange(contributorsOf(old, plan, part.Name))[used[i]]
			used[i]++
			value, err := parseScalar(sub.Parts[at].Share)
			if err != nil {
				return nil, err
			}
			blind, err := parseScalar(sub.Parts[at].Blind)
			if err != nil {
				return nil, err
			}
			sums[i].value.Add(sums[i].value, value.Mul(value, lambda))
			sums[i].blind.Add(sums[i].blind, blind.Mul(blind, lambda))
		}
	}
	text, err := shareText(m, *t, func(part, _ int) (evidence.Bytes32, evidence.Bytes32) {
		return encode(sums[part].value), encode(sums[part].blind)
	})
	if err != nil {
		return nil, err
	}
	return CheckShare(m, text)
}

// openSubShare opens one dealing's package for a person and checks that it
// holds exactly the parts it must, each fitting the dealing's commitments.
func openSubShare(plan *evidence.ResharePlan, planBytes []byte, d *evidence.Dealing, t *evidence.TrusteeEntry, p *evidence.Holder, identity *age.HybridIdentity) (*evidence.SubShare, error) {
	liar := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Damaged, "sub-share from %s for %s: "+format, append([]any{d.Trustee, t.Party}, args...)...).
			WithHint("tell the coordinator: %s dealt a wrong sub-share; a new plan is needed. The old shares stay valid", d.Trustee)
	}
	at := slices.IndexFunc(d.Packages, func(q evidence.SealedPackage) bool { return q.Trustee == t.Party && q.Person == p.Person })
	what := fmt.Sprintf("the package from %s for %s/%s", d.Trustee, t.Party, p.Person)
	text, err := openText(what, []byte(d.Packages[at].Package), []string{p.Recipient}, identity)
	if err != nil {
		return nil, err
	}
	sub, err := evidence.ParseSubShare(text)
	if err != nil {
		return nil, liar("%w", err)
	}
	if sub.Plan != evidence.Digest(planBytes) || sub.From != d.Trustee || sub.To != t.Party {
		return nil, liar("it says it is from %s for %s, plan %s", sub.From, sub.To, short(sub.Plan))
	}
	next := 0
	for _, part := range d.Parts {
		index := t.Index(part.Name)
		if index == 0 {
			continue
		}
		if next >= len(sub.Parts) || sub.Parts[next].Name != part.Name || sub.Parts[next].Index != index {
			return nil, liar("part %s is missing", part.Name)
		}
		if err := verify(part.Commitments, index, sub.Parts[next].Share, sub.Parts[next].Blind); err != nil {
			return nil, liar("part %s, index %d: %w", part.Name, index, err)
		}
		next++
	}
	if next != len(sub.Parts) {
		return nil, liar("part %s is not planned", sub.Parts[next].Name)
	}
	return sub, nil
}
