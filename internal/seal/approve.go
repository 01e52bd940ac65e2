package seal

import (
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// ApproveRequest is what a trustee's person approves, and with what.
type ApproveRequest struct {
	Manifest  *evidence.KeyManifest // opened with [OpenManifest]
	Agreement string                // digest the person expects; "" means the manifest's own
	Statement []byte                // the statement's bytes as received
	Share     *Share                // opened with [OpenShare]
	Holder    Holder
	Signer    ssh.Signer
	Now       time.Time
}

// Approve approves: it seals the trustee's share text, unchanged, to the
// recipients of the statement and signs that. It refuses a statement about
// another arrangement, agreement, compartment, epoch or set, an expired one,
// and a recipient that is not pinned both in the key manifest and inside the
// share text, which a server that relays both cannot change.
func Approve(r ApproveRequest) (approval, signature []byte, err error) {
	s, err := evidence.ParseStatement(r.Statement)
	if err != nil {
		return nil, nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("fetch the statement again, and approve nothing that does not parse")
	}
	pinned, err := CheckStatement(r.Manifest, s)
	if err != nil {
		return nil, nil, err
	}
	agreement := r.Agreement
	if agreement == "" {
		agreement = r.Manifest.Agreement
	}
	switch {
	case s.Agreement != agreement:
		return nil, nil, escrow.Errorf(escrow.Conflict, "the statement of case %s rests on agreement %s, you expect %s", s.Case, short(s.Agreement), short(agreement)).
			WithHint("if a newer version of the agreement was signed, name it; otherwise do not approve")
	case !r.Now.Before(s.Expires.Time):
		return nil, nil, escrow.Errorf(escrow.Conflict, "the statement of case %s expired at %s", s.Case, s.Expires).WithHint("ask for a new statement")
	}
	if err := mayAct(r.Manifest, r.Share, r.Holder, r.Signer); err != nil {
		return nil, nil, err
	}
	// The share is checked once more: what is sealed must be what was dealt.
	share, err := CheckShare(r.Manifest, r.Share.Text)
	if err != nil {
		return nil, nil, err
	}
	list := make([]string, len(pinned))
	for i, p := range pinned {
		if !share.Permits(p.Party, s.Recipients[i].Fingerprint) {
			return nil, nil, escrow.Errorf(escrow.Forbidden, "your share does not permit %s/%s with key %s", p.Party, p.Person, short(s.Recipients[i].Fingerprint)).
				WithHint("do not approve: the recipient was not agreed when the key was dealt")
		}
		list[i] = p.Recipient
	}
	recipients, err := parseRecipients(list)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := sealText(share.Text, recipients...)
	if err != nil {
		return nil, nil, err
	}
	approval, err = evidence.Approval{
		Statement: evidence.Digest(r.Statement), Set: s.Set, Trustee: r.Holder.Trustee, Person: r.Holder.Person,
		Share: share.Digest, Package: string(sealed), PackageDigest: evidence.Digest(sealed), At: evidence.At(r.Now),
	}.Bytes()
	if err != nil {
		return nil, nil, err
	}
	signature, err = evidence.Sign(r.Signer, evidence.NamespaceApproval, approval)
	return approval, signature, err
}

// OpenApproval opens the package in an approval for one of its recipients and
// returns the share text. sealedTo are the recipients of the statement, nil
// when unknown.
func OpenApproval(a *evidence.Approval, sealedTo []string, identity *age.HybridIdentity) ([]byte, error) {
	what := "the approval of " + Holder{a.Trustee, a.Person}.String()
	text, err := openText(what, []byte(a.Package), sealedTo, identity)
	if err != nil {
		return nil, err
	}
	_, digest, err := parseShare(text)
	if err != nil {
		return nil, err
	}
	if digest != a.Share {
		return nil, escrow.Errorf(escrow.Damaged, "%s holds another text than it names: digest %s, not %s", what, short(digest), short(a.Share)).
			WithHint("ask %s to approve again; keep this one as evidence", a.Trustee)
	}
	return text, nil
}

// OpenPackage opens any armored package for an identity, without knowing
// what should be in it. what names it in errors.
func OpenPackage(what string, sealed []byte, identity *age.HybridIdentity) ([]byte, error) {
	return openText(what, sealed, nil, identity)
}
