// Package release runs cases: somebody says an event has happened, the
// parties are told, trustees approve one exact statement by re-encrypting
// their shares, and with the quorum the hand-over opens.
//
// It may import evidence, escrow and seal. It holds no key and sees no share:
// an approval is ciphertext to the recipients that the statement names. State
// is reached through the interface it declares.
package release

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Tx is the state a case works on.
type Tx interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	DepositSpans(ctx context.Context, arrangement, compartment string) ([]escrow.DepositSpan, error)
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
	PutEpoch(ctx context.Context, e escrow.Epoch) error
	Case(ctx context.Context, arrangement, id string) (escrow.Case, error)
	Cases(ctx context.Context, arrangement string) ([]escrow.Case, error)
	PutCase(ctx context.Context, c escrow.Case) error
	DepositsWithObject(ctx context.Context, arrangement, object string) ([]escrow.Deposit, error)
	Approvals(ctx context.Context, arrangement, id string) ([]escrow.Approval, error)
	PutApproval(ctx context.Context, a escrow.Approval) error
}

// Terms tells what the agreement says about releasing.
type Terms interface {
	// Stage returns what the claimed stage opens for the claimant, and until
	// when a claim made now can be contested, or an error with code NotFound
	// or Invalid that names what the agreement has.
	Stage(source []byte, claim escrow.Claim, claimant escrow.Actor, now time.Time) (Stage, error)

	// Parties returns the parties of the agreement.
	Parties(source []byte) ([]escrow.Party, error)
}

// Stage is one stage of a release as the agreement has it.
type Stage struct {
	Opens       []string  // compartments
	Recipients  []string  // parties it opens for
	ContestEnds time.Time // end of the contest period, zero for none
}

// Releases is the engine.
type Releases struct {
	db     escrow.Database[Tx]
	terms  Terms
	now    func() time.Time
	random io.Reader
}

// New returns the engine over db.
func New(db escrow.Database[Tx], terms Terms, now func() time.Time, random io.Reader) *Releases {
	return &Releases{db: db, terms: terms, now: now, random: random}
}

// Open opens a case. It promises nothing: people with recorded reasons decide
// it, and nothing opens without the quorum.
func (r *Releases) Open(ctx context.Context, actor escrow.Actor, arrangement string, req escrow.Claim) (escrow.Case, error) {
	id, err := r.token(8)
	if err != nil {
		return escrow.Case{}, err
	}
	now := r.now()
	var c escrow.Case
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		stage, err := r.terms.Stage(a.Source, req, actor, now)
		if err != nil {
			return nil, err
		}
		compartment, err := choose(stage.Opens, req)
		if err != nil {
			return nil, err
		}
		epoch, err := epochFor(ctx, tx, arrangement, compartment, req.Epoch)
		if err != nil {
			return nil, err
		}
		c = escrow.Case{Arrangement: arrangement, ID: "case-" + id, Event: req.Event, Stage: req.Stage, Claimant: actor.Party, Reason: req.Reason,
			Compartment: compartment, Epoch: epoch.Number, Recipients: stage.Recipients, State: escrow.CaseOpened, OpenedAt: now}
		if err := tx.PutCase(ctx, c); err != nil {
			return nil, err
		}
		return []escrow.Act{act(c, "case.opened", actor, now, map[string]any{"event": c.Event, "stage": c.Stage, "compartment": c.Compartment,
			"epoch": c.Epoch, "claimant": c.Claimant, "reason": c.Reason, "recipients": c.Recipients})}, nil
	})
	return c, err
}

func choose(opens []string, req escrow.Claim) (string, error) {
	switch {
	case len(opens) == 0:
		return "", escrow.Errorf(escrow.Invalid, "stage %q opens nothing: there is nothing to release", req.Stage).
			WithHint("stages that only tell or pay are not part of the minimal release yet")
	case req.Compartment == "" && len(opens) == 1:
		return opens[0], nil
	case slices.Contains(opens, req.Compartment):
		return req.Compartment, nil
	}
	return "", escrow.Errorf(escrow.Invalid, "stage %q opens %v; name one of them as the compartment", req.Stage, opens)
}

// epochFor finds the epoch a claim is about: the one it names, or the newest
// under which something was deposited. It may have ended: what was deposited
// before a rotation, or before a release to somebody else, can be released
// like what is deposited now.
func epochFor(ctx context.Context, tx Tx, arrangement, compartment string, wanted int) (escrow.Epoch, error) {
	list, err := tx.Epochs(ctx, arrangement, compartment)
	if err != nil {
		return escrow.Epoch{}, err
	}
	spans, err := tx.DepositSpans(ctx, arrangement, compartment)
	if err != nil {
		return escrow.Epoch{}, err
	}
	for _, e := range slices.Backward(list) {
		if e.State != escrow.EpochActive && e.State != escrow.EpochEnded || wanted != 0 && e.Number != wanted {
			continue
		}
		if len(heldUnder(list, spans, e)) == 0 {
			continue
		}
		m, err := evidence.ParseKeyManifest(e.Manifest)
		if err != nil {
			return escrow.Epoch{}, fmt.Errorf("stored key manifest of %s#%d: %w", compartment, e.Number, err)
		}
		if m.Kind == evidence.DirectKind {
			return escrow.Epoch{}, escrow.Errorf(escrow.Invalid, "compartment %s is opened on demand by %s: there is nothing to release", compartment, m.Recipients[0].Party).
				WithHint("its holder exports and opens it without a case")
		}
		return e, nil
	}
	if wanted != 0 {
		return escrow.Epoch{}, escrow.Errorf(escrow.Conflict, "nothing was deposited under epoch %d of %s", wanted, compartment)
	}
	return escrow.Epoch{}, escrow.Errorf(escrow.Conflict, "nothing was deposited in compartment %s: there is nothing to release", compartment)
}

// Notice records that a party was told. A case is noticed when the supplier
// was, or the curator who stands in its place; the contest period runs from
// then on, and no shorter because the notice came late.
func (r *Releases) Notice(ctx context.Context, actor escrow.Actor, arrangement, id, to, channel, text string) (escrow.Case, error) {
	return r.change(ctx, actor, arrangement, id, func(tx Tx, c *escrow.Case, now time.Time) (string, any, error) {
		if c.State.Ended() {
			return "", nil, escrow.Errorf(escrow.Conflict, "case %s is %s", c.ID, c.State)
		}
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return "", nil, err
		}
		role, err := r.roleOf(a.Source, to)
		if err != nil {
			return "", nil, err
		}
		data := map[string]string{"to": to, "channel": channel, "text": text}
		if c.State != escrow.CaseOpened || role != escrow.Supplier && role != escrow.Curator {
			return "case.noticed", data, nil // others are told too, and again
		}
		stage, err := r.terms.Stage(a.Source, escrow.Claim{Event: c.Event, Stage: c.Stage, Compartment: c.Compartment}, escrow.Actor{Party: c.Claimant}, now)
		if err != nil {
			return "", nil, err
		}
		c.NoticedAt, c.ContestEnds = now, stage.ContestEnds
		return "case.noticed", data, step(c, escrow.EventNotice, now)
	})
}

func (r *Releases) roleOf(source []byte, party string) (escrow.Role, error) {
	parties, err := r.terms.Parties(source)
	if err != nil {
		return "", err
	}
	for _, p := range parties {
		if p.ID == party {
			return p.Role, nil
		}
	}
	return "", escrow.Errorf(escrow.Invalid, "the agreement has no party %q to tell", party)
}

// Step moves the case on by one event of the procedure.
func (r *Releases) Step(ctx context.Context, actor escrow.Actor, arrangement, id string, event escrow.CaseEvent, reason string) (escrow.Case, error) {
	if !event.ByHand() {
		return escrow.Case{}, escrow.Errorf(escrow.Invalid, "%q cannot be said: it follows from what was done", event)
	}
	return r.change(ctx, actor, arrangement, id, func(_ Tx, c *escrow.Case, now time.Time) (string, any, error) {
		from := c.State
		if err := step(c, event, now); err != nil {
			return "", nil, err
		}
		if c.State.Ended() {
			c.EndedAt = now
		}
		return "case.moved", map[string]string{"event": string(event), "from": string(from), "to": string(c.State), "reason": reason}, nil
	})
}

// DefaultExpiry is how long trustees have when the request does not say.
const DefaultExpiry = 14 * 24 * time.Hour

const maxExpiry = 90 * 24 * time.Hour

// RequestApprovals fixes the statement that trustees approve: from here on
// every word of it is bound by its digest, and a changed request is a new case.
func (r *Releases) RequestApprovals(ctx context.Context, actor escrow.Actor, arrangement, id, purpose string, expires time.Time) (escrow.Case, error) {
	nonce, err := r.token(32)
	if err != nil {
		return escrow.Case{}, err
	}
	return r.change(ctx, actor, arrangement, id, func(tx Tx, c *escrow.Case, now time.Time) (string, any, error) {
		if expires.IsZero() {
			expires = now.Add(DefaultExpiry)
		}
		if !expires.After(now) || expires.After(now.Add(maxExpiry)) {
			return "", nil, escrow.Errorf(escrow.Invalid, "expiry %s is not within the next %d days", expires.UTC().Format(time.RFC3339), int(maxExpiry.Hours()/24))
		}
		if err := step(c, escrow.EventRequestApprove, now); err != nil {
			return "", nil, err
		}
		statement, err := r.statement(ctx, tx, c, purpose, nonce, expires)
		if err != nil {
			return "", nil, err
		}
		c.Statement = statement
		return "case.approvals_requested", map[string]string{"statement": evidence.Digest(statement)}, nil
	})
}

func (r *Releases) statement(ctx context.Context, tx Tx, c *escrow.Case, purpose, nonce string, expires time.Time) ([]byte, error) {
	a, err := tx.Arrangement(ctx, c.Arrangement)
	if err != nil {
		return nil, err
	}
	epoch, m, err := manifestOf(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	s := evidence.ApprovalStatement{Arrangement: c.Arrangement, Agreement: a.Digest, Compartment: c.Compartment, Epoch: c.Epoch, Set: epoch.Set,
		Case: c.ID, Stage: c.Stage, Purpose: purpose, Expires: evidence.At(expires), Nonce: nonce}
	for _, p := range m.Recipients { // in the manifest's order, which is the statement's
		if slices.Contains(c.Recipients, p.Party) {
			s.Recipients = append(s.Recipients, evidence.StatementRecipient{Party: p.Party, Person: p.Person, Fingerprint: evidence.Fingerprint(p.Recipient)})
		}
	}
	if len(s.Recipients) == 0 {
		return nil, escrow.Errorf(escrow.Conflict, "the key manifest of %s pins nobody of %v", c.Compartment, c.Recipients).
			WithHint("a release can only open for people pinned at the ceremony; deal a new epoch that names them")
	}
	epochs, err := tx.Epochs(ctx, c.Arrangement, c.Compartment)
	if err != nil {
		return nil, err
	}
	spans, err := tx.DepositSpans(ctx, c.Arrangement, c.Compartment)
	if err != nil {
		return nil, err
	}
	s.Deposits = heldUnder(epochs, spans, epoch)
	body, err := s.Bytes()
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	return body, nil
}

// heldUnder lists what the release identity of epoch opens: for every module
// the deposits sealed to that same identity, also those of an epoch whose
// shares were redistributed since. spans are in the order of the modules.
func heldUnder(epochs []escrow.Epoch, spans []escrow.DepositSpan, epoch escrow.Epoch) []evidence.DepositRange {
	same := map[int]bool{}
	for _, e := range epochs {
		same[e.Number] = sameIdentity(e, epoch)
	}
	var out []evidence.DepositRange
	for _, s := range spans {
		if !same[s.Epoch] {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].Module == s.Module {
			out[last].From, out[last].To = min(out[last].From, s.From), max(out[last].To, s.To)
			continue
		}
		out = append(out, evidence.DepositRange{Module: s.Module, From: s.From, To: s.To})
	}
	return out
}

// sameIdentity reports whether two epochs of a compartment share one release
// identity, as they do after a resharing.
func sameIdentity(a, b escrow.Epoch) bool {
	return a.Number == b.Number || a.Recipient != "" && a.Recipient == b.Recipient
}

func manifestOf(ctx context.Context, tx Tx, c *escrow.Case) (escrow.Epoch, *evidence.KeyManifest, error) {
	list, err := tx.Epochs(ctx, c.Arrangement, c.Compartment)
	if err != nil {
		return escrow.Epoch{}, nil, err
	}
	at := slices.IndexFunc(list, func(e escrow.Epoch) bool { return e.Number == c.Epoch })
	if at < 0 {
		return escrow.Epoch{}, nil, fmt.Errorf("case %s: compartment %s has no epoch %d", c.ID, c.Compartment, c.Epoch)
	}
	m, err := evidence.ParseKeyManifest(list[at].Manifest)
	if err != nil {
		return escrow.Epoch{}, nil, fmt.Errorf("case %s: %w", c.ID, err)
	}
	return list[at], m, nil
}

// change loads a case, lets fn alter it, and stores it with the act that fn
// names, all in one transaction.
func (r *Releases) change(ctx context.Context, actor escrow.Actor, arrangement, id string, fn func(Tx, *escrow.Case, time.Time) (kind string, data any, err error)) (escrow.Case, error) {
	now := r.now()
	var c escrow.Case
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		var err error
		if c, err = tx.Case(ctx, arrangement, id); err != nil {
			return nil, err
		}
		kind, data, err := fn(tx, &c, now)
		if err != nil {
			return nil, err
		}
		if err := tx.PutCase(ctx, c); err != nil {
			return nil, err
		}
		return []escrow.Act{act(c, kind, actor, now, data)}, nil
	})
	return c, err
}

func step(c *escrow.Case, event escrow.CaseEvent, now time.Time) error {
	next, err := c.State.Next(event, now, c.ContestEnds)
	if err != nil {
		return fmt.Errorf("case %s: %w", c.ID, err)
	}
	c.State = next
	return nil
}

func act(c escrow.Case, kind string, actor escrow.Actor, now time.Time, data any) escrow.Act {
	return escrow.Act{Kind: kind, At: now, Actor: actor.String(), Arrangement: c.Arrangement, Subject: c.ID, Data: data}
}

func (r *Releases) token(n int) (string, error) {
	raw := make([]byte, n)
	if _, err := io.ReadFull(r.random, raw); err != nil {
		return "", fmt.Errorf("random bytes for a case: %w", err)
	}
	return hex.EncodeToString(raw), nil
}
