package escrow

import "time"

// Actor is who asks for something: a person or machine acting for a party of
// one arrangement, or the administrator of the installation.
type Actor struct {
	Token       string // id of the token, never the token
	Person      string
	Party       string
	Role        Role
	Arrangement string // "" only for an administrator
}

// String names the actor the way acts and logs do.
func (a Actor) String() string {
	who := a.Party
	if a.Person != "" {
		who += "/" + a.Person
	}
	if who == "" {
		who = string(a.Role)
	}
	return who
}

// Token is the record of a bearer token. The token itself is shown once and
// not kept; Hash is the SHA-256 of it.
type Token struct {
	ID          string
	Hash        []byte
	Person      string
	Party       string
	Role        Role
	Arrangement string
	Module      string // when set, the token may deposit into this module and nothing else
	CreatedAt   time.Time
	ExpiresAt   time.Time
	RevokedAt   time.Time // zero while valid
}

// Valid reports whether the token may be used at now.
func (t Token) Valid(now time.Time) bool {
	return t.RevokedAt.IsZero() && now.Before(t.ExpiresAt)
}

// Action is something an actor may be allowed to do.
type Action string

// The actions. Every request of the API names exactly one.
const (
	ReadArrangement    Action = "arrangement.read"
	RegisterAgreement  Action = "agreement.register"
	AddContact         Action = "contact.add"
	DealEpoch          Action = "epoch.deal"
	AcceptShare        Action = "share.accept"
	FetchPackage       Action = "share.fetch"
	ConfigureModule    Action = "module.configure"
	SetCredential      Action = "credential.set"
	MakeDeposit        Action = "deposit.make"
	ReportUnchanged    Action = "deposit.unchanged"
	RequestSync        Action = "deposit.sync"
	ReadDeposits       Action = "deposit.read"
	FetchObject        Action = "object.fetch"
	OpenCase           Action = "case.open"
	ReadCase           Action = "case.read"
	RecordNotice       Action = "case.notice"
	RequestApprovals   Action = "case.request_approvals"
	Approve            Action = "case.approve"
	FetchHandOver      Action = "case.hand_over"
	CloseCase          Action = "case.close"
	IssueToken         Action = "token.issue"
	RevokeToken        Action = "token.revoke"
	ReadLedger         Action = "ledger.read"
	ErasePayload       Action = "ledger.erase"
	ExportArrangement  Action = "arrangement.export"
	PlaceHold          Action = "hold.place"
	LiftHold           Action = "hold.lift"
	RequestDestruction Action = "destruction.request"
	ApproveDestruction Action = "destruction.approve"
	CancelDestruction  Action = "destruction.cancel"
	ReleaseSuspect     Action = "deposit.release"
	RecordVerification Action = "deposit.verify"
	StateRunning       Action = "running.state"
	DecideDeposit      Action = "deposit.decide"
	AnnounceRelease    Action = "release.announce"
	DraftAgreement     Action = "agreement.draft"
	OfferAgreement     Action = "agreement.offer"
	ReadVersions       Action = "agreement.read"
	SignPart           Action = "agreement.sign"
	CommentPart        Action = "agreement.comment"
	RecordAuthority    Action = "authority.record"
	JoinBeneficiary    Action = "agreement.join"
	LeaveArrangement   Action = "agreement.leave"
	ReadNotice         Action = "notice.read"
	SetChannel         Action = "notice.channel"
	RecordDelivery     Action = "notice.deliver"
	ReadTerms          Action = "term.read"
	RecordTerm         Action = "term.record"
	ReadWatch          Action = "watch.read"
	SetWatch           Action = "watch.set"
	ReportBeat         Action = "watch.beat"
	PublishStatus      Action = "status.publish"
	TellIncident       Action = "incident.tell"
	ReadInstallation   Action = "installation.read"
	ManageInstallation Action = "installation.manage"
)

// Actions lists every action in the order above. It returns a fresh slice.
func Actions() []Action {
	return []Action{ReadArrangement, RegisterAgreement, AddContact, DealEpoch, AcceptShare, FetchPackage, ConfigureModule, SetCredential, MakeDeposit, ReportUnchanged, RequestSync, ReadDeposits, FetchObject, OpenCase, ReadCase, RecordNotice, RequestApprovals, Approve, FetchHandOver, CloseCase, IssueToken, RevokeToken, ReadLedger, ErasePayload, ExportArrangement, PlaceHold, LiftHold, RequestDestruction, ApproveDestruction, CancelDestruction, ReleaseSuspect, RecordVerification, StateRunning, DecideDeposit, AnnounceRelease, DraftAgreement, OfferAgreement, ReadVersions, SignPart, CommentPart, RecordAuthority, JoinBeneficiary, LeaveArrangement, ReadNotice, SetChannel, RecordDelivery, ReadTerms, RecordTerm, ReadWatch, SetWatch, ReportBeat, PublishStatus, TellIncident, ReadInstallation, ManageInstallation}
}

// Allow decides whether actor may do action on the named arrangement. It is
// the only place where a permission rule is written. nil means yes; a refusal
// is an [Error] with code Forbidden, or NotFound where even the existence of
// the arrangement is not the actor's business.
//
// An administrator runs the machine: he registers agreements and issues the
// first tokens, but fetches no package, approves nothing and opens nothing.
func Allow(actor Actor, action Action, arrangement string) error {
	if actor.Role == Administrator {
		if administratorMay(action) {
			return nil
		}
		return Errorf(Forbidden, "an administrator may not do %q; it takes a party of the arrangement", action)
	}
	if arrangement == "" { // about the installation
		return Errorf(Forbidden, "%s (%s) may not do %q; it takes the administrator", actor, actor.Role, action)
	}
	if actor.Arrangement != arrangement {
		return Errorf(NotFound, "no arrangement %q", arrangement)
	}
	if partyMay(actor.Role, action) {
		return nil
	}
	return Errorf(Forbidden, "%s (%s) may not do %q in arrangement %q", actor, actor.Role, action, arrangement)
}

func administratorMay(action Action) bool {
	switch action {
	case ReadTerms, ReadArrangement, RegisterAgreement, ConfigureModule, IssueToken, RevokeToken,
		ReadLedger, ErasePayload, ReadInstallation, ManageInstallation, ReadDeposits, RequestSync,
		DraftAgreement, OfferAgreement, ReadVersions, RecordAuthority, JoinBeneficiary, ReadWatch:
		return true
	}
	return false
}

func partyMay(role Role, action Action) bool {
	switch action {
	case ReadArrangement, ReadDeposits, ReadLedger, ReadCase, AddContact:
		return true
	case ReadWatch:
		// What is everybody's and its own; the operation says which.
		return true
	case SetWatch:
		return role == Agent
	case PublishStatus:
		// Not the supplier: the page has to outlive it.
		return role == Agent || role == Foundation
	case TellIncident:
		return role == Agent || role == Foundation || role == Supplier || role == Operator || role == Host
	case ReportBeat:
		return role == Supplier || role == Operator || role == Host || role == Agent
	case ReadNotice, SetChannel, ReadTerms, RecordTerm:
		// Each its own; the agent may speak for others where the engine says so.
		return true
	case ReadVersions, SignPart, CommentPart:
		// Which parts somebody reads and signs is settled by the text.
		return true
	case DraftAgreement:
		return role == Supplier || role == Agent
	case OfferAgreement, JoinBeneficiary:
		return role == Agent
	case LeaveArrangement:
		// Its own accession only: nobody ends that of another.
		return role == Beneficiary
	case RecordAuthority:
		return role == Agent || role == Foundation
	case AcceptShare, FetchPackage, Approve:
		// Whoever holds a share may act on it: which share is whose is
		// settled by the key manifest, not by the role.
		return role != Supplier && role != Host && role != Regulator && role != Auditor
	case DealEpoch, SetCredential:
		return role == Supplier
	case ConfigureModule, RequestSync:
		return role == Supplier || role == Agent
	case MakeDeposit, ReportUnchanged:
		return role == Supplier || role == Beneficiary
	case OpenCase:
		return role == Beneficiary || role == Foundation || role == Agent || role == Curator || role == Regulator
	case RecordNotice, RequestApprovals, CloseCase, IssueToken, RevokeToken, ErasePayload, ExportArrangement:
		return role == Agent
	case PlaceHold, LiftHold:
		return role == Supplier || role == Beneficiary || role == Foundation || role == Agent || role == Curator || role == Regulator || role == Arbiter
	case RequestDestruction, ApproveDestruction, CancelDestruction, ReleaseSuspect:
		// Which two of them may do it together is settled by TwoPeople.
		return role == Supplier || role == Beneficiary || role == Foundation || role == Agent
	case RecordVerification:
		return role == Agent || role == Auditor
	case DecideDeposit, RecordDelivery:
		return role == Agent
	case AnnounceRelease:
		return role == Supplier || role == Beneficiary || role == Agent
	case StateRunning:
		return role == Beneficiary || role == Operator
	case FetchHandOver, FetchObject:
		return role == Beneficiary || role == Operator || role == Foundation || role == Agent || role == Acquirer
	}
	return false
}

// MayDeposit decides whether actor, whose role may make deposits, may make
// those of module m: what the server fetches comes from the server alone, and
// a beneficiary brings only what belongs to it.
func MayDeposit(actor Actor, m Module) error {
	if m.Source.Mode != Push && m.Source.Mode != Restic {
		return Errorf(Conflict, "module %s is pulled by the server", m.ID).
			WithHint("set it to push with 'holdfast module set --mode push' first")
	}
	if actor.Role == Beneficiary && m.Instance != actor.Party {
		return Errorf(Forbidden, "%s may not make deposits of module %s, which is not its own", actor, m.ID)
	}
	return nil
}

// Erasable reports whether the content of a ledger entry of this kind may be
// erased for the sake of somebody's data. The acts that agreements, keys,
// deposits and releases rest on may not: erasing them would take the proof
// from those who rely on it, or hide what was done.
func Erasable(kind string) bool {
	switch kind {
	case "contact.added", "token.issued", "token.revoked", "share.fetched", "share.accepted", "hand_over.fetched", "attempt.refused",
		"case.opened", "case.noticed", "case.moved", "sync.requested", "sync.failed", "sync.unchanged", "sync.deposited":
		return true
	}
	return false
}
