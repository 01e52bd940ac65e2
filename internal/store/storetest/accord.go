package storetest

import (
	"context"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func agreementVersion(text string) escrow.AgreementVersion {
	return escrow.AgreementVersion{Arrangement: Acme, Digest: digest(text), Version: 2, Canonical: []byte(text), Source: []byte("# " + text),
		State: escrow.VersionDraft, DraftedBy: "administrator", DraftedAt: at(30)}
}

func offeredVersion(text string) escrow.AgreementVersion {
	v := agreementVersion(text)
	v.State, v.OfferedBy, v.OfferedAt, v.ExpiresAt = escrow.VersionOffered, "agent/eva", at(31), at(900)
	return v
}

func partSignature(party, copied string) escrow.PartSignature {
	return escrow.PartSignature{Arrangement: Acme, Agreement: digest("text"), OfferedAt: at(31), Part: "accession/gem-a", Digest: digest("part"), Party: party, Person: "anna",
		Copy: copied, DeputyFor: "bob", Authority: "besluit 7", CallBack: true, Document: []byte("doc"), Signature: []byte("sig"), Key: "ssh-ed25519 AAAA anna", SignedAt: at(32)}
}

func partWord(states, by string) escrow.PartWord {
	return escrow.PartWord{Arrangement: Acme, Agreement: digest("text"), OfferedAt: at(31), Part: "accession/gem-a", Party: "gem-a", Copy: digest("scan"), States: states,
		ByParty: by, ByPerson: "eva", Document: []byte("word"), Signature: []byte("sig"), Key: "ssh-ed25519 AAAA eva", GivenAt: at(33)}
}

func signedCopy() escrow.SignedCopy {
	return escrow.SignedCopy{Arrangement: Acme, Digest: digest("scan"), Part: "accession/gem-a", Size: 4, Sealed: []byte("sealed"), AddedAt: at(32)}
}

func partReview(minute int) escrow.PartReview {
	return escrow.PartReview{Arrangement: Acme, Agreement: digest("text"), Part: "frame", Digest: digest("frame"), Party: "agent", Person: "eva", Verdict: evidence.PartApproved,
		Note: "read", Document: []byte("doc"), Signature: []byte("sig"), Key: "ssh-ed25519 AAAA eva", ReviewedAt: at(minute)}
}

func partComment(id string) escrow.PartComment {
	return escrow.PartComment{Arrangement: Acme, ID: id, Agreement: digest("text"), Part: "frame", Clause: "3.2", Party: "gem-a", Person: "anna", Text: "too long", Proposal: "30 days", MadeAt: at(34)}
}

func mandate(id string) escrow.Mandate {
	return escrow.Mandate{Arrangement: Acme, ID: id, Warrant: escrow.Warrant{Party: "gem-a", Person: "anna", May: []escrow.Power{escrow.PowerSign, escrow.PowerClaim}, From: at(1), Until: at(800),
		Proof: "besluit 7", DeputyFor: "bob", CallBack: true}, ProofDigest: digest("besluit"), RecordedBy: "agent/eva", RecordedAt: at(30)}
}

func actingFact(kind, about string) escrow.ActingFact {
	return escrow.ActingFact{Arrangement: Acme, Kind: kind, About: about, From: at(35), Proof: "vonnis", RecordedBy: "agent/eva", RecordedAt: at(36)}
}

// accordSteps fill the tables of how an agreement is signed.
func accordSteps() []step {
	return []step{
		{"agreement_version", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutAgreementVersion(ctx, offeredVersion("text"))
		}},
		{"part_signature", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutPartSignature(ctx, partSignature("gem-a", digest("scan")))
		}},
		{"part_word", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutPartWord(ctx, partWord(evidence.PartCopyAttests, "agent"))
		}},
		{"signed_copy", func(ctx context.Context, tx *store.Tx) error { return tx.PutSignedCopy(ctx, signedCopy()) }},
		{"part_review", func(ctx context.Context, tx *store.Tx) error { return tx.PutPartReview(ctx, partReview(34)) }},
		{"part_comment", func(ctx context.Context, tx *store.Tx) error { return tx.PutPartComment(ctx, partComment("c1")) }},
		{"mandate", func(ctx context.Context, tx *store.Tx) error { return tx.PutMandate(ctx, mandate("m1")) }},
		{"acting_fact", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutActingFact(ctx, actingFact(escrow.FactAway, "gem-a/anna"))
		}},
	}
}

func testAccord(t *testing.T, d *Database) {
	versions := func(ctx context.Context, tx *store.Tx) ([]escrow.AgreementVersion, error) {
		return tx.AgreementVersions(ctx, Acme)
	}
	put := func(v escrow.AgreementVersion) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutAgreementVersion(ctx, v) }
	}
	d.Update(t, "agreement.drafted", put(agreementVersion("text")))
	d.Update(t, "agreement.offered", put(offeredVersion("text")))
	other := agreementVersion("other")
	other.Version = 1
	d.Update(t, "agreement.drafted", put(other))
	same(t, d, "versions", []escrow.AgreementVersion{offeredVersion("text"), other}, versions)

	sign := func(s escrow.PartSignature) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutPartSignature(ctx, s) }
	}
	d.Update(t, "agreement.signed", sign(partSignature("gem-a", digest("scan"))))
	d.Update(t, "agreement.signed", sign(partSignature("gem-a", "")))
	changed := partSignature("gem-a", "")
	changed.Person, changed.SignedAt = "mallory", at(50)
	d.refuses(t, "another signature in its place", escrow.Conflict, sign(changed))
	same(t, d, "signatures", []escrow.PartSignature{partSignature("gem-a", ""), partSignature("gem-a", digest("scan"))}, func(ctx context.Context, tx *store.Tx) ([]escrow.PartSignature, error) {
		return tx.PartSignatures(ctx, Acme, digest("text"))
	})

	word := func(w escrow.PartWord) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutPartWord(ctx, w) }
	}
	d.Update(t, "agreement.attested", word(partWord(evidence.PartCopyAttests, "agent")))
	d.Update(t, "agreement.attested", word(partWord(evidence.PartCalledBack, "agent")))
	d.refuses(t, "a second word of one party", escrow.Conflict, word(partWord(evidence.PartCopyAttests, "agent")))
	same(t, d, "words", []escrow.PartWord{partWord(evidence.PartCalledBack, "agent"), partWord(evidence.PartCopyAttests, "agent")}, func(ctx context.Context, tx *store.Tx) ([]escrow.PartWord, error) {
		return tx.PartWords(ctx, Acme, digest("text"))
	})

	d.Update(t, "agreement.signed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSignedCopy(ctx, signedCopy()) })
	same(t, d, "copy", signedCopy(), func(ctx context.Context, tx *store.Tx) (escrow.SignedCopy, error) {
		return tx.SignedCopy(ctx, Acme, "accession/gem-a", digest("scan"))
	})
	absent(t, d, "copy of another part", func(ctx context.Context, tx *store.Tx) (escrow.SignedCopy, error) {
		return tx.SignedCopy(ctx, Acme, "frame", digest("scan"))
	})

	for _, minute := range []int{34, 35} {
		d.Update(t, "agreement.reviewed", func(ctx context.Context, tx *store.Tx) error { return tx.PutPartReview(ctx, partReview(minute)) })
	}
	same(t, d, "reviews", []escrow.PartReview{partReview(34), partReview(35)}, func(ctx context.Context, tx *store.Tx) ([]escrow.PartReview, error) {
		return tx.PartReviews(ctx, Acme, digest("text"))
	})
	d.Update(t, "agreement.commented", func(ctx context.Context, tx *store.Tx) error { return tx.PutPartComment(ctx, partComment("c1")) })
	d.refuses(t, "comment again", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutPartComment(ctx, partComment("c1")) })
	same(t, d, "comments", []escrow.PartComment{partComment("c1")}, func(ctx context.Context, tx *store.Tx) ([]escrow.PartComment, error) {
		return tx.PartComments(ctx, Acme, digest("text"))
	})

	active := offeredVersion("text")
	active.State, active.EndedBy, active.EndedAt = escrow.VersionActive, "gem-a/anna", at(40)
	d.Update(t, "agreement.activated", put(active))
	withdrawn := active
	withdrawn.State = escrow.VersionWithdrawn
	d.refuses(t, "withdrawn after it came into force", escrow.Conflict, put(withdrawn))
	same(t, d, "versions in the end", []escrow.AgreementVersion{active, other}, versions)
}

func testActing(t *testing.T, d *Database) {
	put := func(m escrow.Mandate) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutMandate(ctx, m) }
	}
	d.Update(t, "authority.recorded", put(mandate("m1")))
	d.refuses(t, "the same authority again", escrow.Conflict, put(mandate("m1")))
	same(t, d, "mandates", []escrow.Mandate{mandate("m1")}, func(ctx context.Context, tx *store.Tx) ([]escrow.Mandate, error) { return tx.Mandates(ctx, Acme) })

	fact := func(f escrow.ActingFact) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutActingFact(ctx, f) }
	}
	away, insolvent := actingFact(escrow.FactAway, "gem-a/anna"), actingFact(escrow.FactInsolvent, "leverancier")
	d.Update(t, "authority.fact", fact(away))
	d.Update(t, "authority.fact", fact(insolvent))
	d.refuses(t, "the same fact again", escrow.Conflict, fact(away))
	back := away
	back.Until, back.RecordedAt = at(60), at(61)
	d.Update(t, "authority.fact", fact(back))
	again := back
	again.Until = at(70)
	d.refuses(t, "another end", escrow.Conflict, fact(again))
	same(t, d, "facts", []escrow.ActingFact{back, insolvent}, func(ctx context.Context, tx *store.Tx) ([]escrow.ActingFact, error) { return tx.ActingFacts(ctx, Acme) })
}
