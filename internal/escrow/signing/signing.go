// Package signing decides how a version of an agreement is signed: which parts
// need signatures and whose, whether a statement is about the part as it was
// offered, who may sign for a party, and when a signature counts.
//
// It may import evidence, escrow and its agreement language. It does no I/O
// and keeps no state.
package signing

import (
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
)

// Part is one part of a version as it is signed.
type Part struct {
	ID        string
	Digest    string
	RestsOn   []evidence.NamedPart // by id
	Canonical []byte               // what Digest is the digest of
	Parties   []string
	Readers   []string // besides the parties
	Sign      []string // parties that have to sign
	Due       bool     // it is not what is in force already
	Asked     bool     // the text asks for signatures under it
	Form      string   // plain, deed or notarial
	With      []string // how it may be signed; empty for any way
}

// Parts lists the parts of a version. Due are those that differ from the
// version in force, by their own content or by what they rest on: the same
// rule that the comparison of versions shows. former is nil for a first
// version.
func Parts(former, now *agreement.Agreement) ([]Part, error) {
	before := map[string]string{}
	if former != nil {
		for _, id := range part.IDs(former) {
			v, err := part.Of(former, id)
			if err != nil {
				return nil, err
			}
			before[id] = v.Digest()
		}
	}
	digests := map[string]string{}
	var out []Part
	for _, id := range part.IDs(now) {
		v, err := part.Of(now, id)
		if err != nil {
			return nil, err
		}
		digests[id] = v.Digest()
		p := Part{ID: id, Digest: v.Digest(), Canonical: v.Canonical(), Parties: v.Part.Parties, Readers: v.Part.Readers,
			Due: before[id] != v.Digest(), Asked: asks(now, v.Part.Part), Form: v.Part.Form, With: v.Part.With}
		for _, party := range p.Parties {
			if x := now.Party(party); x == nil || x.SignsAnything() {
				p.Sign = append(p.Sign, party)
			}
		}
		for _, r := range v.Part.RestsOn {
			p.RestsOn = append(p.RestsOn, evidence.NamedPart{Part: r})
		}
		slices.SortFunc(p.RestsOn, func(a, b evidence.NamedPart) int { return strings.Compare(a.Part, b.Part) })
		out = append(out, p)
	}
	for i := range out {
		for j := range out[i].RestsOn {
			out[i].RestsOn[j].Digest = digests[out[i].RestsOn[j].Part]
		}
	}
	return out, nil
}

// asks reports whether the text says how a part is signed.
func asks(a *agreement.Agreement, template string) bool {
	return slices.ContainsFunc(a.Parts, func(p agreement.Part) bool { return p.ID == template && p.Signature != nil })
}

// Reads reports whether a party signs or reads the part.
func (p Part) Reads(party string) bool {
	return slices.Contains(p.Parties, party) || slices.Contains(p.Readers, party)
}

// Allows refuses a way of signing that is not the form the part requires.
// paper means a signed copy: ink, or a signature inside a PDF.
func (p Part) Allows(paper bool) error {
	ok := !paper && slices.Contains(p.With, "ssh")
	for _, way := range []string{"ink", "advanced", "qualified"} {
		ok = ok || paper && slices.Contains(p.With, way)
	}
	if len(p.With) == 0 {
		ok = paper || p.Form == "plain"
	}
	if ok {
		return nil
	}
	ways := strings.Join(p.With, ", ")
	if ways == "" {
		ways = "a signed copy"
	}
	e := escrow.Errorf(escrow.Invalid, "part %s is a %s signed with %s", p.ID, p.Form, ways)
	if paper {
		return e.WithHint("sign it with 'holdfast agreement sign'")
	}
	return e.WithHint("sign the rendered part and bring the copy with 'holdfast agreement sign --copy FILE'")
}

// skew is how far a signatory's clock may be off.
const skew = 10 * time.Minute

// Check holds a statement against the version and the part it is about.
func Check(s *evidence.PartStatement, v escrow.AgreementVersion, parts []Part, now time.Time) (*Part, error) {
	if s.Arrangement != v.Arrangement {
		return nil, escrow.Errorf(escrow.Invalid, "the statement is about arrangement %s, not %s", s.Arrangement, v.Arrangement)
	}
	i := slices.IndexFunc(parts, func(p Part) bool { return p.ID == s.Part })
	if i < 0 {
		return nil, escrow.Errorf(escrow.NotFound, "version %d has no part %q", v.Version, s.Part)
	}
	p := &parts[i]
	again := "read the part again and state it anew"
	switch {
	case s.Agreement != v.Digest || s.Version != v.Version:
		return nil, escrow.Errorf(escrow.Conflict, "the statement about %s is over version %d with digest %.12s, not over version %d with digest %.12s", s.Part, s.Version, s.Agreement, v.Version, v.Digest).WithHint("%s", again)
	case s.Digest != p.Digest:
		return nil, escrow.Errorf(escrow.Conflict, "the statement is over another text of %s: its digest is %.12s, the part has %.12s", s.Part, s.Digest, p.Digest).WithHint("%s", again)
	case !slices.Equal(s.RestsOn, p.RestsOn):
		return nil, escrow.Errorf(escrow.Conflict, "the statement about %s names other parts that it rests on", s.Part).WithHint("%s", again)
	case s.At.After(now.Add(skew)):
		return nil, escrow.Errorf(escrow.Invalid, "the statement about %s is dated %s, which is still to come", s.Part, s.At).WithHint("set the clock of the machine that signs")
	case s.Offered != nil && s.At.Before(s.Offered.Add(-skew)):
		return nil, escrow.Errorf(escrow.Invalid, "the statement about %s is dated %s, before it was offered on %s", s.Part, s.At, s.Offered).WithHint("set the clock of the machine that signs")
	case s.Offered != nil && !s.Offered.Equal(v.OfferedAt):
		return nil, escrow.Errorf(escrow.Conflict, "the statement about %s belongs to an offer of %s, not to that of %s", s.Part, s.Offered, evidence.At(v.OfferedAt)).WithHint("%s", again)
	}
	return p, nil
}

// MayBeSigned refuses a signature where the version is not being signed.
func MayBeSigned(v escrow.AgreementVersion, now time.Time) error {
	switch v.At(now) {
	case escrow.VersionOffered:
		return nil
	case escrow.VersionDraft:
		return escrow.Errorf(escrow.Conflict, "version %d of %s is a draft", v.Version, v.Arrangement).WithHint("it is signed once it is offered: 'holdfast agreement offer'")
	case escrow.VersionExpired:
		return escrow.Errorf(escrow.Conflict, "the offer of version %d of %s expired on %s", v.Version, v.Arrangement, evidence.At(v.ExpiresAt)).WithHint("it can be offered again")
	}
	return escrow.Errorf(escrow.Conflict, "version %d of %s is %s since %s", v.Version, v.Arrangement, v.State, evidence.At(v.EndedAt)).WithHint("a change takes a new version")
}

// Basis is what a person's right to sign for a party rests on.
type Basis struct {
	Proof    string
	CallBack bool // the signature counts after a call back only
}

// MaySign decides whether a person may sign for a party now. deputyFor is on
// whose behalf the person says to act.
func MaySign(list escrow.Warrants, s escrow.Situation, party, person, deputyFor string, now time.Time) (Basis, error) {
	s.CalledBack = false
	err := list.Allow(party, person, escrow.PowerSign, now, s, false)
	b := Basis{}
	if err != nil {
		s.CalledBack = true
		if later := list.Allow(party, person, escrow.PowerSign, now, s, false); later != nil {
			return b, later
		}
		b.CallBack = true
	}
	stands := ""
	for _, w := range list {
		if w.Party == party && w.Person == person && w.Allows(escrow.PowerSign, now, s) == nil {
			b.Proof, stands = w.Proof, w.DeputyFor
			break
		}
	}
	if deputyFor != stands {
		if stands == "" {
			return b, escrow.Errorf(escrow.Forbidden, "%s is no deputy of %s for %s", person, deputyFor, party).WithHint("sign without --deputy-for")
		}
		return b, escrow.Errorf(escrow.Forbidden, "%s signs for %s as the deputy of %s only", person, party, stands).WithHint("say so with --deputy-for %s", stands)
	}
	return b, nil
}

// Missing says what a signature still needs before it counts, "" when it does.
func Missing(s escrow.PartSignature, words []escrow.PartWord) string {
	witnesses := map[string]bool{}
	called := !s.CallBack
	for _, w := range words {
		if w.Part != s.Part || w.Party != s.Party || w.Copy != s.Copy || !w.OfferedAt.Equal(s.OfferedAt) || w.Agreement != s.Agreement {
			continue
		}
		switch w.States {
		case evidence.PartCopyAttests:
			witnesses[w.ByParty] = true
		case evidence.PartCalledBack:
			called = called || w.ByParty != s.Party
		}
	}
	switch {
	case s.Copy != "" && len(witnesses) == 0:
		return "two people of different parties to attest the copy"
	case s.Copy != "" && len(witnesses) == 1:
		return "a second person, of another party, to attest the copy"
	case !called:
		return "a call back to the signatory by another party"
	}
	return ""
}

// Open is a signature that is still to come.
type Open struct {
	Part  string
	Party string
	Needs string // what is missing of a signature that was given; "" for one that was not
}

// Outstanding lists what keeps a version from coming into force: empty when
// everybody has signed everything that is due.
func Outstanding(parts []Part, signatures []escrow.PartSignature, words []escrow.PartWord) []Open {
	var out []Open
	for _, p := range parts {
		if !p.Due {
			continue
		}
		for _, party := range p.Sign {
			open := Open{Part: p.ID, Party: party}
			counts := false
			for _, s := range signatures {
				if s.Part == p.ID && s.Party == party && s.Digest == p.Digest {
					open.Needs = Missing(s, words)
					if counts = open.Needs == ""; counts {
						break
					}
				}
			}
			if !counts {
				out = append(out, open)
			}
		}
	}
	return out
}

// Progress is a version and how far its signing is.
type Progress struct {
	escrow.AgreementVersion
	Parts []PartProgress
}

// PartProgress is one part and who has signed it in the present offer.
type PartProgress struct {
	Part
	Signatures []Given
	Open       []Open
}

// Given is a signature with what it still needs.
type Given struct {
	escrow.PartSignature
	Words   []escrow.PartWord
	Missing string
}

// Follow tells how far the signing of a version is.
func Follow(v escrow.AgreementVersion, parts []Part, signatures []escrow.PartSignature, words []escrow.PartWord) Progress {
	signatures = InOffer(v, signatures)
	open := Outstanding(parts, signatures, words)
	out := Progress{AgreementVersion: v}
	for _, p := range parts {
		pp := PartProgress{Part: p}
		for _, s := range signatures {
			if s.Part != p.ID {
				continue
			}
			g := Given{PartSignature: s, Missing: Missing(s, words)}
			for _, w := range words {
				if w.Part == s.Part && w.Party == s.Party && w.Copy == s.Copy && w.OfferedAt.Equal(s.OfferedAt) {
					g.Words = append(g.Words, w)
				}
			}
			pp.Signatures = append(pp.Signatures, g)
		}
		for _, o := range open {
			if o.Part == p.ID {
				pp.Open = append(pp.Open, o)
			}
		}
		out.Parts = append(out.Parts, pp)
	}
	return out
}

// InOffer returns the signatures that were given to the present offer of a
// version.
func InOffer(v escrow.AgreementVersion, signatures []escrow.PartSignature) []escrow.PartSignature {
	var out []escrow.PartSignature
	for _, s := range signatures {
		if s.Agreement == v.Digest && s.OfferedAt.Equal(v.OfferedAt) {
			out = append(out, s)
		}
	}
	return out
}
