package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// AgreementVersion is a text of an agreement on its way into force.
type AgreementVersion struct {
	Version   int        `json:"version"`
	Digest    string     `json:"digest"`
	State     string     `json:"state" enum:"draft,offered,active,refused,withdrawn,replaced,expired"`
	DraftedAt time.Time  `json:"drafted_at"`
	OfferedAt *time.Time `json:"offered_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
	EndReason string     `json:"end_reason,omitempty"`
	Parts     []Part     `json:"parts,omitempty" doc:"the parts that the caller signs or reads, when one version is asked for"`
}

// Part is one part of a version as it is signed.
type Part struct {
	ID         string          `json:"id"`
	Digest     string          `json:"digest"`
	RestsOn    []PartDigest    `json:"rests_on"`
	Sign       []string        `json:"sign" doc:"parties that have to sign"`
	Readers    []string        `json:"readers,omitempty"`
	Due        bool            `json:"due" doc:"it is not what is in force already"`
	Form       string          `json:"form"`
	With       []string        `json:"with,omitempty"`
	Signatures []PartSignature `json:"signatures"`
	Open       []OpenSignature `json:"open" doc:"what is still missing"`
}

// PartDigest is a part by id and digest.
type PartDigest struct {
	Part   string `json:"part"`
	Digest string `json:"digest"`
}

// PartSignature is one party's signature under a part.
type PartSignature struct {
	Party     string     `json:"party"`
	Person    string     `json:"person"`
	SignedAt  time.Time  `json:"signed_at"`
	Authority string     `json:"authority,omitempty" doc:"what the person's authority rests on"`
	DeputyFor string     `json:"deputy_for,omitempty"`
	Copy      string     `json:"copy,omitempty" doc:"SHA-256 of the signed copy"`
	Needs     string     `json:"needs,omitempty" doc:"what is missing before it counts"`
	Statement Signed     `json:"statement"`
	Key       string     `json:"key"`
	Words     []PartWord `json:"words,omitempty"`
}

// PartWord is somebody's word for a signature.
type PartWord struct {
	States    string    `json:"states"`
	Party     string    `json:"party"`
	Person    string    `json:"person"`
	GivenAt   time.Time `json:"given_at"`
	Statement Signed    `json:"statement"`
	Key       string    `json:"key"`
}

// OpenSignature is a signature that is still to come or does not count yet.
type OpenSignature struct {
	Party string `json:"party"`
	Needs string `json:"needs,omitempty"`
}

// PartText is a part to be read.
type PartText struct {
	Part      string `json:"part"`
	Digest    string `json:"digest"`
	Canonical string `json:"canonical" doc:"what digest is the SHA-256 of"`
	Text      string `json:"text" doc:"the same in words"`
}

// GivenStatement is a signed statement about a part.
type GivenStatement struct {
	Document  string `json:"document" maxLength:"65536"`
	Signature string `json:"signature" maxLength:"8192"`
	Copy      []byte `json:"copy,omitempty" doc:"the signed copy, with a signature on paper or in a PDF"`
}

// NewDraft brings in the text of a version.
type NewDraft struct {
	Agreement string `json:"agreement" maxLength:"1048576" doc:"the agreement's YAML text"`
}

// NewOffer lets a version be signed.
type NewOffer struct {
	Until string `json:"until" maxLength:"40" doc:"RFC 3339; until when it can be signed"`
}

// PartComment is a remark on a clause of a part.
type PartComment struct {
	ID       string    `json:"id"`
	Part     string    `json:"part"`
	Clause   string    `json:"clause,omitempty"`
	Party    string    `json:"party"`
	Person   string    `json:"person"`
	Text     string    `json:"text"`
	Proposal string    `json:"proposal,omitempty"`
	MadeAt   time.Time `json:"made_at"`
}

// NewPartComment says something about a clause of a part.
type NewPartComment struct {
	Part     string `json:"part" maxLength:"128"`
	Clause   string `json:"clause,omitempty" maxLength:"40"`
	Text     string `json:"text" minLength:"1" maxLength:"4000"`
	Proposal string `json:"proposal,omitempty" maxLength:"8000" doc:"other words for the clause"`
}

// PartReview is a named person's sign-off over a part.
type PartReview struct {
	Part       string    `json:"part"`
	Digest     string    `json:"digest" doc:"of the part as it was read"`
	Party      string    `json:"party"`
	Person     string    `json:"person"`
	Verdict    string    `json:"verdict" enum:"approved,objections"`
	Note       string    `json:"note,omitempty"`
	ReviewedAt time.Time `json:"reviewed_at"`
	Statement  Signed    `json:"statement"`
	Key        string    `json:"key"`
}

// Remarks is what was said about the parts of a version.
type Remarks struct {
	Comments []PartComment `json:"comments"`
	Reviews  []PartReview  `json:"reviews"`
}

// Mandate is an authority on record beside the agreement's text.
type Mandate struct {
	ID          string    `json:"id"`
	Party       string    `json:"party"`
	Person      string    `json:"person"`
	May         []string  `json:"may"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	Proof       string    `json:"proof"`
	ProofDigest string    `json:"proof_digest,omitempty"`
	DeputyFor   string    `json:"deputy_for,omitempty"`
	CallBack    bool      `json:"call_back,omitempty"`
	RecordedBy  string    `json:"recorded_by"`
	RecordedAt  time.Time `json:"recorded_at"`
}

// NewMandate puts an authority on record.
type NewMandate struct {
	Party       string   `json:"party" maxLength:"128"`
	Person      string   `json:"person" maxLength:"128"`
	May         []string `json:"may" maxItems:"16"`
	From        string   `json:"from,omitempty" maxLength:"40" doc:"RFC 3339; left out: from now on"`
	Until       string   `json:"until" maxLength:"40" doc:"RFC 3339"`
	Proof       string   `json:"proof" minLength:"1" maxLength:"1000"`
	ProofDigest string   `json:"proof_digest,omitempty" maxLength:"64"`
	DeputyFor   string   `json:"deputy_for,omitempty" maxLength:"128"`
	CallBack    bool     `json:"call_back,omitempty"`
}

// ActingFact is something on record that bears on who can act.
type ActingFact struct {
	Kind       string     `json:"kind" enum:"insolvent,away"`
	About      string     `json:"about" doc:"a party, or party/person"`
	From       time.Time  `json:"from"`
	Until      *time.Time `json:"until,omitempty"`
	Proof      string     `json:"proof"`
	RecordedBy string     `json:"recorded_by"`
	RecordedAt time.Time  `json:"recorded_at"`
}

// NewActingFact puts such a fact on record, or its end.
type NewActingFact struct {
	Kind  string `json:"kind" enum:"insolvent,away"`
	About string `json:"about" maxLength:"256"`
	From  string `json:"from,omitempty" maxLength:"40" doc:"RFC 3339; left out: now"`
	Until string `json:"until,omitempty" maxLength:"40" doc:"RFC 3339; with the from of a fact on record: it is over"`
	Proof string `json:"proof" minLength:"1" maxLength:"1000"`
}

// Acting is what is on record about who may act.
type Acting struct {
	Mandates []Mandate    `json:"mandates"`
	Facts    []ActingFact `json:"facts"`
}

func versionPath(arrangement string, version int, more ...string) string {
	return path(append([]string{"arrangements", arrangement, "versions", strconv.Itoa(version)}, more...)...)
}

// DraftAgreement brings in the text of a version that is not in force.
func (c *Client) DraftAgreement(ctx context.Context, arrangement string, source []byte) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "versions"), NewDraft{string(source)}, &out)
}

// AgreementVersions lists the texts that came in to be signed.
func (c *Client) AgreementVersions(ctx context.Context, arrangement string) (list []AgreementVersion, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "versions"), nil, &list)
}

// AgreementVersion tells how far the signing of a version is; 0 is the latest.
func (c *Client) AgreementVersion(ctx context.Context, arrangement string, version int) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodGet, versionPath(arrangement, version), nil, &out)
}

// OfferAgreement lets a version be signed until a moment.
func (c *Client) OfferAgreement(ctx context.Context, arrangement string, version int, until string) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "offer"), NewOffer{until}, &out)
}

// WithdrawAgreement takes an offer or a draft back.
func (c *Client) WithdrawAgreement(ctx context.Context, arrangement string, version int, reason string) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "withdraw"), Word{reason}, &out)
}

// RefuseAgreement says that the caller's party does not sign.
func (c *Client) RefuseAgreement(ctx context.Context, arrangement string, version int, reason string) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "refuse"), Word{reason}, &out)
}

// PartText returns a part to be read, in a language or the agreement's own.
func (c *Client) PartText(ctx context.Context, arrangement string, version int, part, lang string) (out PartText, err error) {
	return out, c.call(ctx, http.MethodGet, versionPath(arrangement, version, "parts", part)+"?lang="+lang, nil, &out)
}

// SignParts hands in signatures under parts: all of them count, or none.
func (c *Client) SignParts(ctx context.Context, arrangement string, version int, given []GivenStatement) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "signatures"), given, &out)
}

// AttestPart hands in a word for somebody's signature.
func (c *Client) AttestPart(ctx context.Context, arrangement string, version int, g GivenStatement) (out AgreementVersion, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "words"), g, &out)
}

// SignedCopy returns a signed copy of a part.
func (c *Client) SignedCopy(ctx context.Context, arrangement, part, digest string) (out []byte, err error) {
	var body struct {
		Copy []byte `json:"copy"`
	}
	err = c.call(ctx, http.MethodGet, path("arrangements", arrangement, "parts", part, "copies", digest), nil, &body)
	return body.Copy, err
}

// ReviewPart hands in a sign-off over a part.
func (c *Client) ReviewPart(ctx context.Context, arrangement string, version int, g GivenStatement) (out PartReview, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "reviews"), g, &out)
}

// CommentPart says something about a clause of a part.
func (c *Client) CommentPart(ctx context.Context, arrangement string, version int, in NewPartComment) (out PartComment, err error) {
	return out, c.call(ctx, http.MethodPost, versionPath(arrangement, version, "comments"), in, &out)
}

// Remarks returns what was said about the parts that the caller reads.
func (c *Client) Remarks(ctx context.Context, arrangement string, version int) (out Remarks, err error) {
	return out, c.call(ctx, http.MethodGet, versionPath(arrangement, version, "remarks"), nil, &out)
}

// RecordMandate puts an authority on record.
func (c *Client) RecordMandate(ctx context.Context, arrangement string, in NewMandate) (out Mandate, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "authority"), in, &out)
}

// RecordActingFact puts a fact about who can act on record.
func (c *Client) RecordActingFact(ctx context.Context, arrangement string, in NewActingFact) (out ActingFact, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "authority", "facts"), in, &out)
}

// Acting lists what is on record about who may act.
func (c *Client) Acting(ctx context.Context, arrangement string) (out Acting, err error) {
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "authority"), nil, &out)
}
