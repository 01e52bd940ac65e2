package api

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/signing"
)

// Accord brings agreements into force by signatures.
type Accord interface {
	Draft(ctx context.Context, actor escrow.Actor, arrangement string, source []byte) (escrow.AgreementVersion, error)
	Offer(ctx context.Context, actor escrow.Actor, arrangement string, version int, until time.Time) (escrow.AgreementVersion, error)
	Withdraw(ctx context.Context, actor escrow.Actor, arrangement string, version int, reason string) (escrow.AgreementVersion, error)
	Refuse(ctx context.Context, actor escrow.Actor, arrangement string, version int, reason string) (escrow.AgreementVersion, error)
	Versions(ctx context.Context, arrangement string) ([]escrow.AgreementVersion, error)
	Progress(ctx context.Context, arrangement string, version int) (signing.Progress, error)
	Sign(ctx context.Context, actor escrow.Actor, arrangement string, version int, given []client.GivenStatement) (signing.Progress, error)
	Attest(ctx context.Context, actor escrow.Actor, arrangement string, version int, given client.GivenStatement) (signing.Progress, error)
	Review(ctx context.Context, actor escrow.Actor, arrangement string, version int, given client.GivenStatement) (escrow.PartReview, error)
	Comment(ctx context.Context, actor escrow.Actor, version int, c escrow.PartComment) (escrow.PartComment, error)
	Remarks(ctx context.Context, arrangement string, version int) ([]escrow.PartComment, []escrow.PartReview, error)
	Copy(ctx context.Context, arrangement, part, digest string) ([]byte, error)
	Text(source []byte, part, lang string) (string, error)
	RecordMandate(ctx context.Context, actor escrow.Actor, m escrow.Mandate) (escrow.Mandate, error)
	RecordFact(ctx context.Context, actor escrow.Actor, f escrow.ActingFact) (escrow.ActingFact, error)
	Acting(ctx context.Context, arrangement string) ([]escrow.Mandate, []escrow.ActingFact, error)
}

// VersionPath is the path of everything about one version of an agreement.
type VersionPath struct {
	ArrangementPath
	Version int `path:"version" minimum:"0" doc:"0 is the latest"`
}

// copyBody is the limit for a request with signed copies, which JSON carries
// in base64.
const copyBody = 32 << 20

func (a *api) accord() {
	a.versionsOf()
	a.signatures()
	a.remarks()
	a.authority()
}

func (a *api) versionsOf() {
	type draftInput struct {
		ArrangementPath
		Body client.NewDraft
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions", id: "draft-agreement", summary: "Bring in the text of a version, to be commented on, reviewed and offered",
		action: escrow.DraftAgreement, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *draftInput) (*reply[client.AgreementVersion], error) {
			return a.version(a.Accord.Draft(ctx, actor, in.Arrangement, []byte(in.Body.Agreement)))
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/versions", id: "list-versions", summary: "The texts that came in to be signed, the highest version first", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.AgreementVersion], error) {
			list, err := a.Accord.Versions(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := make([]client.AgreementVersion, len(list))
			for i, v := range list {
				if out[i], err = a.toldVersion(ctx, actor, v); err != nil {
					return nil, err
				}
			}
			return answer(out), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/versions/{version}", id: "get-version", summary: "How far the signing of a version is, in the parts that the caller reads", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *VersionPath) (*reply[client.AgreementVersion], error) {
			return a.progress(ctx, actor)(a.Accord.Progress(ctx, in.Arrangement, in.Version))
		})
	type offerInput struct {
		VersionPath
		Body client.NewOffer
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/offer", id: "offer-agreement", summary: "Let the parties sign a version until a moment", action: escrow.OfferAgreement},
		func(ctx context.Context, actor escrow.Actor, in *offerInput) (*reply[client.AgreementVersion], error) {
			until, err := instant("until", in.Body.Until)
			if err != nil {
				return nil, err
			}
			return a.version(a.Accord.Offer(ctx, actor, in.Arrangement, in.Version, until))
		})
	type endInput struct {
		VersionPath
		Body client.Word
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/withdraw", id: "withdraw-agreement", summary: "Take an offer or a draft back", action: escrow.OfferAgreement},
		func(ctx context.Context, actor escrow.Actor, in *endInput) (*reply[client.AgreementVersion], error) {
			return a.version(a.Accord.Withdraw(ctx, actor, in.Arrangement, in.Version, in.Body.Reason))
		})
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/refuse", id: "refuse-agreement",
		summary: "Say that the caller's party does not sign: the offer ends. Who has signed cannot", action: escrow.SignPart},
		func(ctx context.Context, actor escrow.Actor, in *endInput) (*reply[client.AgreementVersion], error) {
			v, err := a.Accord.Refuse(ctx, actor, in.Arrangement, in.Version, in.Body.Reason)
			if err != nil {
				err = a.refusal(ctx, actor, escrow.SignPart, err)
			}
			return a.version(v, err)
		})
}

func (a *api) signatures() {
	type partInput struct {
		VersionPath
		Part string `path:"part" maxLength:"128" doc:"a '/' in the id is written %2F"`
		Lang string `query:"lang" enum:",nl,en" doc:"left out: the agreement's"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/versions/{version}/parts/{part}", id: "read-part", summary: "A part as it is signed, and the same in words", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *partInput) (*reply[client.PartText], error) {
			p, err := a.Accord.Progress(ctx, in.Arrangement, in.Version)
			if err != nil {
				return nil, err
			}
			for _, part := range p.Parts {
				if part.ID == in.Part && reads(actor, part.Part) {
					text, err := a.Accord.Text(p.Source, in.Part, in.Lang)
					if err != nil {
						return nil, err
					}
					return answer(client.PartText{Part: part.ID, Digest: part.Digest, Canonical: string(part.Canonical), Text: text}), nil
				}
			}
			return nil, escrow.Errorf(escrow.NotFound, "no part %q to read in version %d of %q", in.Part, p.Version, in.Arrangement)
		})
	type signInput struct {
		VersionPath
		Body []client.GivenStatement `maxItems:"64"`
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/signatures", id: "sign-parts",
		summary: "Sign parts of an offered version: all of them count, or none", action: escrow.SignPart, body: copyBody},
		func(ctx context.Context, actor escrow.Actor, in *signInput) (*reply[client.AgreementVersion], error) {
			p, err := a.Accord.Sign(ctx, actor, in.Arrangement, in.Version, in.Body)
			if err != nil {
				err = a.refusal(ctx, actor, escrow.SignPart, err)
			}
			return a.progress(ctx, actor)(p, err)
		})
	type statementInput struct {
		VersionPath
		Body client.GivenStatement
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/words", id: "attest-signature",
		summary: "Attest a signed copy, or that a signatory was called back", action: escrow.SignPart},
		func(ctx context.Context, actor escrow.Actor, in *statementInput) (*reply[client.AgreementVersion], error) {
			p, err := a.Accord.Attest(ctx, actor, in.Arrangement, in.Version, in.Body)
			if err != nil {
				err = a.refusal(ctx, actor, escrow.SignPart, err)
			}
			return a.progress(ctx, actor)(p, err)
		})
	type copyInput struct {
		ArrangementPath
		Part   string `path:"part" maxLength:"128"`
		Digest string `path:"digest" maxLength:"64"`
	}
	type copyBody struct {
		Copy []byte `json:"copy"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/parts/{part}/copies/{digest}", id: "get-signed-copy", summary: "A signed copy of a part", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *copyInput) (*reply[copyBody], error) {
			p, err := a.Accord.Progress(ctx, in.Arrangement, 0)
			if err != nil {
				return nil, err
			}
			for _, part := range p.Parts {
				if part.ID == in.Part && reads(actor, part.Part) && actor.Role != escrow.Administrator {
					data, err := a.Accord.Copy(ctx, in.Arrangement, in.Part, in.Digest)
					if err != nil {
						return nil, err
					}
					return answer(copyBody{data}), nil
				}
			}
			return nil, escrow.Errorf(escrow.NotFound, "no signed copy %.12s of part %q", in.Digest, in.Part)
		})
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/reviews", id: "review-part",
		summary: "A named person's sign-off over a part as it was read", action: escrow.CommentPart, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *statementInput) (*reply[client.PartReview], error) {
			r, err := a.Accord.Review(ctx, actor, in.Arrangement, in.Version, in.Body)
			if err != nil {
				return nil, err
			}
			return answer(partReview(r)), nil
		})
}

func (a *api) remarks() {
	type commentInput struct {
		VersionPath
		Body client.NewPartComment
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/versions/{version}/comments", id: "comment-part",
		summary: "A remark or a proposal on a clause of a part", action: escrow.CommentPart, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *commentInput) (*reply[client.PartComment], error) {
			c, err := a.Accord.Comment(ctx, actor, in.Version, escrow.PartComment{Arrangement: in.Arrangement, Part: in.Body.Part, Clause: in.Body.Clause, Text: in.Body.Text, Proposal: in.Body.Proposal})
			if err != nil {
				return nil, err
			}
			return answer(partComment(c)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/versions/{version}/remarks", id: "list-remarks", summary: "Comments and reviews of the parts that the caller reads", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *VersionPath) (*reply[client.Remarks], error) {
			p, err := a.Accord.Progress(ctx, in.Arrangement, in.Version)
			if err != nil {
				return nil, err
			}
			comments, reviews, err := a.Accord.Remarks(ctx, in.Arrangement, in.Version)
			if err != nil {
				return nil, err
			}
			read := map[string]bool{}
			for _, part := range p.Parts {
				read[part.ID] = reads(actor, part.Part)
			}
			out := client.Remarks{Comments: []client.PartComment{}, Reviews: []client.PartReview{}}
			for _, c := range comments {
				if read[c.Part] {
					out.Comments = append(out.Comments, partComment(c))
				}
			}
			for _, r := range reviews {
				if read[r.Part] {
					out.Reviews = append(out.Reviews, partReview(r))
				}
			}
			return answer(out), nil
		})
}

func (a *api) authority() {
	type mandateInput struct {
		ArrangementPath
		Body client.NewMandate
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/authority", id: "record-authority", summary: "Put on record who may act for a party, on what proof",
		action: escrow.RecordAuthority, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *mandateInput) (*reply[client.Mandate], error) {
			from, err := a.instantOrNow("from", in.Body.From)
			if err != nil {
				return nil, err
			}
			until, err := instant("until", in.Body.Until)
			if err != nil {
				return nil, err
			}
			m := escrow.Mandate{Arrangement: in.Arrangement, ProofDigest: in.Body.ProofDigest, Warrant: escrow.Warrant{Party: in.Body.Party, Person: in.Body.Person, From: from, Until: until,
				Proof: in.Body.Proof, DeputyFor: in.Body.DeputyFor, CallBack: in.Body.CallBack}}
			for _, p := range in.Body.May {
				m.May = append(m.May, escrow.Power(p))
			}
			if m, err = a.Accord.RecordMandate(ctx, actor, m); err != nil {
				return nil, err
			}
			return answer(mandate(m)), nil
		})
	type factInput struct {
		ArrangementPath
		Body client.NewActingFact
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/authority/facts", id: "record-acting-fact",
		summary: "Put on record that a party is insolvent or a person cannot act, or that it is over", action: escrow.RecordAuthority, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *factInput) (*reply[client.ActingFact], error) {
			f := escrow.ActingFact{Arrangement: in.Arrangement, Kind: in.Body.Kind, About: in.Body.About, Proof: in.Body.Proof}
			var err error
			if f.From, err = a.instantOrNow("from", in.Body.From); err != nil {
				return nil, err
			}
			if in.Body.Until != "" {
				if f.Until, err = instant("until", in.Body.Until); err != nil {
					return nil, err
				}
			}
			if f, err = a.Accord.RecordFact(ctx, actor, f); err != nil {
				return nil, err
			}
			return answer(actingFact(f)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/authority", id: "list-authority", summary: "What is on record about who may act, beside the agreement's text", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[client.Acting], error) {
			mandates, facts, err := a.Accord.Acting(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			// Who may act for a party is its own business and that of those who record it.
			all := escrow.Allow(actor, escrow.RecordAuthority, in.Arrangement) == nil
			out := client.Acting{Mandates: []client.Mandate{}, Facts: []client.ActingFact{}}
			for _, m := range mandates {
				if all && v.Party(m.Party) || m.Party == actor.Party {
					out.Mandates = append(out.Mandates, mandate(m))
				}
			}
			for _, f := range facts {
				if all && v.Party(f.Of()) || f.Of() == actor.Party {
					out.Facts = append(out.Facts, actingFact(f))
				}
			}
			return answer(out), nil
		})
}

// reads reports whether an actor sees a part: a party that signs or reads it,
// and the administrator, who brought the text in.
func reads(actor escrow.Actor, p signing.Part) bool {
	return actor.Role == escrow.Administrator || p.Reads(actor.Party)
}

func instant(name, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, escrow.Errorf(escrow.Invalid, "%s %q is not an RFC 3339 time", name, text)
	}
	return t, nil
}

func (a *api) instantOrNow(name, text string) (time.Time, error) {
	if text == "" {
		return a.Now(), nil
	}
	return instant(name, text)
}

func (a *api) version(v escrow.AgreementVersion, err error) (*reply[client.AgreementVersion], error) {
	if err != nil {
		return nil, err
	}
	return answer(a.agreementVersion(v)), nil
}

func (a *api) agreementVersion(v escrow.AgreementVersion) client.AgreementVersion {
	return client.AgreementVersion{Version: v.Version, Digest: v.Digest, State: string(v.At(a.Now())), DraftedAt: v.DraftedAt.UTC(), OfferedAt: timePtr(v.OfferedAt),
		ExpiresAt: timePtr(v.ExpiresAt), EndedAt: timePtr(v.EndedAt), EndReason: v.EndReason}
}

// toldVersion leaves out why somebody ended a version whom the actor may not
// learn of.
func (a *api) toldVersion(ctx context.Context, actor escrow.Actor, v escrow.AgreementVersion) (client.AgreementVersion, error) {
	out := a.agreementVersion(v)
	if out.EndReason == "" {
		return out, nil
	}
	view, err := a.Views.View(ctx, actor, v.Arrangement)
	if !view.Says(v.EndedBy) || !view.Says(v.EndReason) {
		out.EndReason = ""
	}
	return out, err
}

// progress answers with the parts that the actor reads.
func (a *api) progress(ctx context.Context, actor escrow.Actor) func(signing.Progress, error) (*reply[client.AgreementVersion], error) {
	return func(p signing.Progress, err error) (*reply[client.AgreementVersion], error) {
		if err != nil {
			return nil, err
		}
		out, err := a.toldVersion(ctx, actor, p.AgreementVersion)
		if err != nil {
			return nil, err
		}
		out.Parts = []client.Part{}
		for _, part := range p.Parts {
			if !reads(actor, part.Part) {
				continue
			}
			x := client.Part{ID: part.ID, Digest: part.Digest, RestsOn: []client.PartDigest{}, Sign: part.Sign, Readers: part.Readers, Due: part.Due, Form: part.Form, With: part.With,
				Signatures: []client.PartSignature{}, Open: []client.OpenSignature{}}
			for _, r := range part.RestsOn {
				x.RestsOn = append(x.RestsOn, client.PartDigest{Part: r.Part, Digest: r.Digest})
			}
			for _, s := range part.Signatures {
				y := client.PartSignature{Party: s.Party, Person: s.Person, SignedAt: s.SignedAt.UTC(), Authority: s.Authority, DeputyFor: s.DeputyFor, Copy: s.PartSignature.Copy, Needs: s.Missing,
					Statement: client.Signed{Document: string(s.Document), Signature: string(s.Signature)}, Key: s.Key}
				for _, w := range s.Words {
					y.Words = append(y.Words, client.PartWord{States: w.States, Party: w.ByParty, Person: w.ByPerson, GivenAt: w.GivenAt.UTC(),
						Statement: client.Signed{Document: string(w.Document), Signature: string(w.Signature)}, Key: w.Key})
				}
				x.Signatures = append(x.Signatures, y)
			}
			for _, o := range part.Open {
				x.Open = append(x.Open, client.OpenSignature{Party: o.Party, Needs: o.Needs})
			}
			out.Parts = append(out.Parts, x)
		}
		return answer(out), nil
	}
}

func partComment(c escrow.PartComment) client.PartComment {
	return client.PartComment{ID: c.ID, Part: c.Part, Clause: c.Clause, Party: c.Party, Person: c.Person, Text: c.Text, Proposal: c.Proposal, MadeAt: c.MadeAt.UTC()}
}

func partReview(r escrow.PartReview) client.PartReview {
	return client.PartReview{Part: r.Part, Digest: r.Digest, Party: r.Party, Person: r.Person, Verdict: r.Verdict, Note: r.Note, ReviewedAt: r.ReviewedAt.UTC(),
		Statement: client.Signed{Document: string(r.Document), Signature: string(r.Signature)}, Key: r.Key}
}

func mandate(m escrow.Mandate) client.Mandate {
	out := client.Mandate{ID: m.ID, Party: m.Party, Person: m.Person, May: []string{}, From: m.From.UTC(), Until: m.Until.UTC(), Proof: m.Proof, ProofDigest: m.ProofDigest,
		DeputyFor: m.DeputyFor, CallBack: m.CallBack, RecordedBy: m.RecordedBy, RecordedAt: m.RecordedAt.UTC()}
	for _, p := range m.May {
		out.May = append(out.May, string(p))
	}
	return out
}

func actingFact(f escrow.ActingFact) client.ActingFact {
	return client.ActingFact{Kind: f.Kind, About: f.About, From: f.From.UTC(), Until: timePtr(f.Until), Proof: f.Proof, RecordedBy: f.RecordedBy, RecordedAt: f.RecordedAt.UTC()}
}
