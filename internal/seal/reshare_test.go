package seal_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"

	"github.com/cloudflare/circl/group"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// resharing is a plan from one scene to the trustees of another.
type resharing struct {
	from, to *scene
	old      seal.Old
	plan     []byte
	dealings []seal.Signed
	manifest *evidence.KeyManifest
	document []byte
}

func planReshare(t testing.TB, from, to *scene, contributors ...string) *resharing {
	t.Helper()
	r := &resharing{from: from, to: to, old: seal.Old{Manifest: from.dealt.Manifest, Document: from.dealt.Document}}
	to.c.Epoch = from.dealt.Manifest.Epoch + 1
	to.c.Recipients = from.c.Recipients
	var err error
	if r.plan, err = seal.PlanReshare(r.old, to.c, contributors, to.dealer.signer); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *resharing) deal(t testing.TB, p person) seal.Signed {
	t.Helper()
	doc, sig, err := seal.DealReshare(rand.Reader, r.old, r.plan, r.from.shareOf(t, p), p.holder(), p.signer, now())
	if err != nil {
		t.Fatal(err)
	}
	return seal.Signed{Document: doc, Signature: sig}
}

// finish deals for every contributor and lets every new trustee combine; the
// scene `to` then stands as if it had been dealt.
func (r *resharing) finish(t testing.TB) *scene {
	t.Helper()
	plan, err := evidence.ParseResharePlan(r.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range plan.Contributors {
		r.dealings = append(r.dealings, r.deal(t, r.from.people[c][0]))
	}
	if r.manifest, r.document, err = seal.ReshareManifest(r.old, r.plan, r.dealings); err != nil {
		t.Fatal(err)
	}
	sig, err := seal.SignManifest(r.manifest, r.document, r.to.dealer.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenManifest(r.document, sig); err != nil {
		t.Fatal(err)
	}
	r.to.dealt = &seal.Dealt{Manifest: r.manifest, Document: r.document, Signature: sig}
	for party, people := range r.to.people {
		var first []byte
		for i, p := range people {
			s, err := seal.CombineReshare(r.old, r.plan, r.dealings, r.document, p.holder(), p.identity)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = s.Text
				packages, err := seal.SealShare(r.manifest, s)
				if err != nil {
					t.Fatal(err)
				}
				r.to.dealt.Packages = append(r.to.dealt.Packages, packages...)
			} else if !bytes.Equal(first, s.Text) {
				t.Fatalf("%s: two people combined to different texts", party)
			}
		}
	}
	return r.to
}

func TestReshareKeepsTheIdentity(t *testing.T) {
	from := newScene(t, 3, 5, 2).deal(t)
	r := planReshare(t, from, newScene(t, 2, 4, 3), "t5", "t1", "t3") // in no order
	to := r.finish(t)

	if r.manifest.Recipient != from.dealt.Manifest.Recipient || r.manifest.Set == from.dealt.Manifest.Set {
		t.Fatal("the recipient must stay and the set must change")
	}
	if r.manifest.Epoch != 2 || r.manifest.IdentityEpoch != 1 || r.manifest.Previous != from.dealt.Manifest.Set {
		t.Errorf("epoch %d, identity of %d, previous %s", r.manifest.Epoch, r.manifest.IdentityEpoch, r.manifest.Previous)
	}
	for _, manifest := range []*evidence.KeyManifest{nil, r.manifest} {
		for _, parties := range [][]string{{"t1", "t2"}, {"t4", "t1"}, {"t3", "t4"}} {
			c, err := seal.Combine(to.offered(t, parties...), manifest)
			if err != nil {
				t.Fatal(err)
			}
			if c.Identity.Recipient().String() != from.dealt.Manifest.Recipient {
				t.Fatal("another identity came out")
			}
		}
		_, err := seal.Combine(to.offered(t, "t1"), manifest)
		wantCode(t, err, escrow.BelowQuorum, "1 of 2")
	}
	if err := seal.CheckSuccessor(from.dealt.Manifest, r.manifest); err != nil {
		t.Error(err)
	}
	stranger := newScene(t, 3, 5, 2).deal(t).dealt.Manifest
	for name, edit := range map[string]func(*evidence.KeyManifest){
		"another set":       func(m *evidence.KeyManifest) { m.Previous = stranger.Set },
		"another recipient": func(m *evidence.KeyManifest) { m.Recipient = stranger.Recipient },
		"another secret": func(m *evidence.KeyManifest) {
			m.Parts = slices.Clone(m.Parts)
			m.Parts[1].Commitments = stranger.Parts[1].Commitments
		},
		"a part less":  func(m *evidence.KeyManifest) { m.Parts = m.Parts[:1] },
		"an old epoch": func(m *evidence.KeyManifest) { m.Epoch = 1 },
	} {
		m := *r.manifest
		edit(&m)
		if escrow.CodeOf(seal.CheckSuccessor(from.dealt.Manifest, &m)) != escrow.Invalid {
			t.Errorf("%s follows", name)
		}
	}
	// Old shares are refused in the new set, and stay valid in the old one.
	_, err := seal.Combine(from.offered(t, "t1", "t2", "t5"), r.manifest)
	wantCode(t, err, escrow.Conflict, "set")
	_, err = seal.Combine(append(from.offered(t, "t1"), to.offered(t, "t2")...), nil)
	wantCode(t, err, escrow.Conflict, "different sets")
	if _, err := seal.Combine(from.offered(t, "t1", "t2", "t5"), from.dealt.Manifest); err != nil {
		t.Errorf("the old shares must stay valid: %v", err)
	}
	// The new set is active only when its trustees have accepted.
	if seal.Accepted(r.manifest, r.document, nil).Reached {
		t.Error("active without acceptances")
	}
	var acceptances []seal.Signed
	for _, people := range to.people {
		p := people[1]
		doc, sig, err := seal.Accept(r.manifest, r.document, to.shareOf(t, p), p.holder(), p.signer, now())
		if err != nil {
			t.Fatal(err)
		}
		acceptances = append(acceptances, seal.Signed{Document: doc, Signature: sig})
	}
	if st := seal.Accepted(r.manifest, r.document, acceptances); !st.Reached {
		t.Errorf("%s: %+v", st, st.Rejected)
	}
	// A release works in the new set.
	statement := to.statement(t, func(st *evidence.ApprovalStatement) {
		st.Recipients[0].Fingerprint = evidence.Fingerprint(from.operator.identity.Recipient().String())
	})
	if st := to.quorum(t, statement, to.approve(t, to.people["t1"][0], statement), to.approve(t, to.people["t2"][1], statement)); !st.Reached {
		t.Errorf("%s: %+v", st, st.Rejected)
	}
	// And again: a resharing of a resharing.
	third := planReshare(t, to, newScene(t, 1, 2, 2), "t2", "t3").finish(t)
	c, err := seal.Combine(third.offered(t, "t2"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Identity.Recipient().String() != from.dealt.Manifest.Recipient || c.IdentityEpoch != 1 || c.Epoch != 3 {
		t.Error("the third generation is another identity")
	}
}

func TestReshareRefusesBadPlans(t *testing.T) {
	from := newScene(t, 3, 5, 2).deal(t)
	old := seal.Old{Manifest: from.dealt.Manifest, Document: from.dealt.Document}
	base := newScene(t, 2, 4, 3)
	base.c.Epoch = 2
	for _, c := range []struct {
		name         string
		edit         func(*seal.Ceremony)
		contributors []string
		code         escrow.Code
		word         string
	}{
		{"too few contributors", nil, []string{"t1", "t5"}, escrow.BelowQuorum, "2 of 3"},
		{"no contributor of the class", nil, []string{"t1", "t2", "t3"}, escrow.BelowQuorum, "independent"},
		{"a stranger contributes", nil, []string{"t1", "t2", "t5", "t9"}, escrow.Invalid, "old trustees"},
		{"the same epoch", func(c *seal.Ceremony) { c.Epoch = 1 }, []string{"t1", "t2", "t5"}, escrow.Invalid, "epoch"},
		{"another compartment", func(c *seal.Ceremony) { c.Compartment = "access" }, []string{"t1", "t2", "t5"}, escrow.Conflict, "access"},
		{"without the class", func(c *seal.Ceremony) { c.Classes = nil }, []string{"t1", "t2", "t5"}, escrow.Conflict, "classes"},
		{"with another class", func(c *seal.Ceremony) {
			c.Classes = append(c.Classes, seal.Class{Name: "legal", Threshold: 1, Members: []string{"t1", "t2"}})
		}, []string{"t1", "t2", "t5"}, escrow.Conflict, "classes"},
		{"threshold too high", func(c *seal.Ceremony) { c.Threshold = 5 }, []string{"t1", "t2", "t5"}, escrow.Invalid, "threshold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ceremony := base.c
			ceremony.Classes = slices.Clone(ceremony.Classes)
			if c.edit != nil {
				c.edit(&ceremony)
			}
			_, err := seal.PlanReshare(old, ceremony, c.contributors, base.dealer.signer)
			wantCode(t, err, c.code, c.word)
		})
	}
}

// TestReshareNamesTheLiar lets one old trustee cheat in every way that the
// format allows.
func TestReshareNamesTheLiar(t *testing.T) {
	from := newScene(t, 2, 4, 2).deal(t)
	r := planReshare(t, from, newScene(t, 2, 3, 2), "t1", "t4")
	good := []seal.Signed{r.deal(t, from.people["t1"][0]), r.deal(t, from.people["t4"][0])}
	liar := from.people["t4"][0]

	// resign lets the liar change its dealing and sign that.
	resign := func(edit func(*evidence.Dealing)) seal.Signed {
		d, err := evidence.ParseDealing(good[1].Document)
		if err != nil {
			t.Fatal(err)
		}
		edit(d)
		raw, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		sig, err := evidence.Sign(liar.signer, evidence.NamespaceReshare, raw)
		if err != nil {
			t.Fatal(err)
		}
		return seal.Signed{Document: raw, Signature: sig}
	}
	_, document, err := seal.ReshareManifest(r.old, r.plan, good)
	if err != nil {
		t.Fatal(err)
	}
	other := planReshare(t, from, newScene(t, 2, 3, 2), "t1", "t4")

	for _, c := range []struct {
		name string
		bad  seal.Signed
		code escrow.Code
		word string
	}{
		{"another share", resign(func(d *evidence.Dealing) { d.Parts[0].Commitments[0] = d.Parts[0].Commitments[1] }), escrow.Damaged, "t4"},
		{"a class left out", resign(func(d *evidence.Dealing) { d.Parts = d.Parts[:1] }), escrow.Damaged, "independent"},
		{"another index", resign(func(d *evidence.Dealing) { d.Parts[0].Index = 1 }), escrow.Damaged, "t4"},
		{"one commitment less", resign(func(d *evidence.Dealing) { d.Parts[0].Commitments = d.Parts[0].Commitments[:1] }), escrow.Damaged, "t4"},
		{"not a point", resign(func(d *evidence.Dealing) { d.Parts[0].Commitments[0] = evidence.Bytes32{1} }), escrow.Damaged, "point"},
		{"a package left out", resign(func(d *evidence.Dealing) { d.Packages = d.Packages[1:] }), escrow.Damaged, "missing"},
		{"a package more", resign(func(d *evidence.Dealing) { d.Packages = append(d.Packages, d.Packages[0]) }), escrow.Damaged, "more than planned"},
		{"no age file", resign(func(d *evidence.Dealing) { d.Packages[0].Package = "x" }), escrow.Damaged, "age"},
		{"for another plan", other.deal(t, liar), escrow.Conflict, "plan"},
		{"signed by another", seal.Signed{Document: good[1].Document, Signature: good[0].Signature}, escrow.Invalid, "signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := seal.ReshareManifest(r.old, r.plan, []seal.Signed{good[0], c.bad})
			wantCode(t, err, c.code, c.word)
		})
	}
	t.Run("a dealing is missing", func(t *testing.T) {
		_, _, err := seal.ReshareManifest(r.old, r.plan, good[:1])
		wantCode(t, err, escrow.BelowQuorum, "t4")
	})
	t.Run("two different dealings of one trustee", func(t *testing.T) {
		_, _, err := seal.ReshareManifest(r.old, r.plan, append(good, r.deal(t, liar)))
		wantCode(t, err, escrow.Conflict, "two different dealings of t4")
	})
	t.Run("a swapped package is found by its receiver", func(t *testing.T) {
		bad := resign(func(d *evidence.Dealing) {
			// t1's first package content for t2: right form, wrong person.
			d.Packages[0].Package, d.Packages[2].Package = d.Packages[2].Package, d.Packages[0].Package
		})
		_, doc, err := seal.ReshareManifest(r.old, r.plan, []seal.Signed{good[0], bad})
		if err != nil {
			t.Fatal(err) // nobody else can see it
		}
		p := r.to.people["t1"][0]
		_, err = seal.CombineReshare(r.old, r.plan, []seal.Signed{good[0], bad}, doc, p.holder(), p.identity)
		wantCode(t, err, escrow.Damaged, "t4")
	})
	t.Run("a wrong sub-share is found by its receiver", func(t *testing.T) {
		p := r.to.people["t2"][0]
		wrong := evidence.SubShare{Plan: evidence.Digest(r.plan), From: "t4", To: "t2", Parts: []evidence.SubSharePart{
			{Name: "all", Index: 2, Share: scalarBytes(5), Blind: scalarBytes(6)}, {Name: "independent", Index: 1, Share: scalarBytes(5), Blind: scalarBytes(6)},
		}}
		text, err := wrong.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		bad := resign(func(d *evidence.Dealing) {
			at := slices.IndexFunc(d.Packages, func(q evidence.SealedPackage) bool { return q.Trustee == "t2" && q.Person == "t2a" })
			d.Packages[at].Package = armored(t, text, p)
		})
		_, doc, err := seal.ReshareManifest(r.old, r.plan, []seal.Signed{good[0], bad})
		if err != nil {
			t.Fatal(err)
		}
		_, err = seal.CombineReshare(r.old, r.plan, []seal.Signed{good[0], bad}, doc, p.holder(), p.identity)
		wantCode(t, err, escrow.Damaged, "sub-share from t4 for t2", "part all, index 2")
	})
	t.Run("a coordinator cannot change the manifest", func(t *testing.T) {
		m, err := evidence.ParseKeyManifest(document)
		if err != nil {
			t.Fatal(err)
		}
		m.Recipients[0].Recipient = newPerson(t, "gem-a", "eve").identity.Recipient().String()
		forged, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		p := r.to.people["t1"][0]
		_, err = seal.CombineReshare(r.old, r.plan, good, forged, p.holder(), p.identity)
		wantCode(t, err, escrow.Damaged, "not what the plan and the dealings give")
		_, err = seal.SignManifest(m, forged, liar.signer)
		wantCode(t, err, escrow.WrongKey)
	})
	t.Run("somebody who does not contribute", func(t *testing.T) {
		p := from.people["t2"][0]
		_, _, err := seal.DealReshare(rand.Reader, r.old, r.plan, from.shareOf(t, p), p.holder(), p.signer, now())
		wantCode(t, err, escrow.Conflict, "t2 is not a contributor")
	})
	t.Run("a key that is not in the plan", func(t *testing.T) {
		p := r.to.people["t1"][0]
		_, err := seal.CombineReshare(r.old, r.plan, good, document, p.holder(), liar.identity)
		wantCode(t, err, escrow.WrongKey, "t1/t1a")
	})
}

func scalarBytes(n uint64) evidence.Bytes32 {
	raw, err := group.Ristretto255.NewScalar().SetUint64(n).MarshalBinary()
	if err != nil {
		panic(fmt.Sprint("scalar: ", err))
	}
	return evidence.Bytes32(raw)
}
