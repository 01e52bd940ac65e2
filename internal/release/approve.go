package release

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// Approve takes in one trustee's approval. It counts only for the statement
// whose digest it names, only from the person the key manifest has, and only
// in time. With the approval that completes the quorum the case is in force
// and the epoch ends, in the same transaction: a combined identity opens
// everything of its epoch, so what is deposited later goes to a fresh one.
//
// Further approvals are taken while the case is in force: what is inside an
// approval only its recipients can see, and one that holds nothing must not
// keep them from what was released.
func (r *Releases) Approve(ctx context.Context, actor escrow.Actor, arrangement, id string, document, signature []byte) (escrow.CaseStatus, error) {
	doc, err := evidence.ParseApproval(document)
	if err != nil {
		return escrow.CaseStatus{}, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if doc.Trustee != actor.Party || (actor.Person != "" && doc.Person != actor.Person) {
		return escrow.CaseStatus{}, escrow.Errorf(escrow.Forbidden, "%s may not approve for %s/%s", actor, doc.Trustee, doc.Person)
	}
	now := r.now()
	var result escrow.CaseStatus
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		c, err := tx.Case(ctx, arrangement, id)
		if err != nil {
			return nil, err
		}
		if c.State != escrow.CaseApproving && c.State != escrow.CaseInForce {
			return nil, escrow.Errorf(escrow.Conflict, "case %s is %s and takes no approvals", c.ID, c.State)
		}
		given, err := tx.Approvals(ctx, arrangement, id)
		if err != nil {
			return nil, err
		}
		again := false
		for _, g := range given {
			if g.Trustee != doc.Trustee || g.Person != doc.Person {
				continue
			}
			if again = bytes.Equal(g.Document, document); !again {
				return nil, escrow.Errorf(escrow.Conflict, "%s/%s has approved case %s already", doc.Trustee, doc.Person, c.ID)
			}
		}
		_, m, err := manifestOf(ctx, tx, &c)
		if err != nil {
			return nil, err
		}
		statement, err := evidence.ParseStatement(c.Statement)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
		if again { // the answer was lost on the way: it is given again
			status, err := tally(m, statement, given)
			result = caseStatus(c, status)
			return nil, err
		}
		if _, err := seal.CheckApproval(m, statement, seal.Signed{Document: document, Signature: signature, ReceivedAt: now}); err != nil {
			return nil, err
		}
		approval := escrow.Approval{Arrangement: arrangement, Case: id, Trustee: doc.Trustee, Person: doc.Person,
			Document: document, Signature: signature, ReceivedAt: now}
		if err := tx.PutApproval(ctx, approval); err != nil {
			return nil, err
		}
		status, err := tally(m, statement, append(given, approval))
		if err != nil {
			return nil, err
		}
		acts := []escrow.Act{act(c, "case.approved", actor, now, map[string]any{"trustee": doc.Trustee, "person": doc.Person,
			"statement": doc.Statement, "approval": evidence.Digest(document), "quorum": status.String()})}
		if status.Reached && c.State == escrow.CaseApproving {
			more, err := inForce(ctx, tx, &c, status, now)
			if err != nil {
				return nil, err
			}
			acts = append(acts, more...)
		}
		result = caseStatus(c, status)
		return acts, nil
	})
	return result, err
}

// tally counts approvals of one statement.
func tally(m *evidence.KeyManifest, s *evidence.ApprovalStatement, approvals []escrow.Approval) (seal.Status, error) {
	signed := make([]seal.Signed, len(approvals))
	for i, a := range approvals {
		signed[i] = seal.Signed{Document: a.Document, Signature: a.Signature, ReceivedAt: a.ReceivedAt}
	}
	return seal.Quorum(m, s, signed)
}

func inForce(ctx context.Context, tx Tx, c *escrow.Case, status seal.Status, now time.Time) ([]escrow.Act, error) {
	if err := step(c, escrow.EventQuorum, now); err != nil {
		return nil, err
	}
	c.InForceAt = now
	if err := tx.PutCase(ctx, *c); err != nil {
		return nil, err
	}
	acts := []escrow.Act{{Kind: "case.in_force", At: now, Actor: "server", Arrangement: c.Arrangement, Subject: c.ID,
		Data: map[string]any{"statement": evidence.Digest(c.Statement), "quorum": status.String(), "recipients": c.Recipients}}}
	more, err := endIdentity(ctx, tx, c, now)
	return append(acts, more...), err
}

// endIdentity ends every epoch that lives by the released identity, also one
// to which it was reshared since the statement was fixed: nothing more may be
// sealed to a key that somebody holds whole.
func endIdentity(ctx context.Context, tx Tx, c *escrow.Case, now time.Time) ([]escrow.Act, error) {
	epochs, err := tx.Epochs(ctx, c.Arrangement, c.Compartment)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(epochs, func(e escrow.Epoch) bool { return e.Number == c.Epoch })
	if at < 0 {
		return nil, fmt.Errorf("case %s: compartment %s has no epoch %d", c.ID, c.Compartment, c.Epoch)
	}
	released := epochs[at]
	var acts []escrow.Act
	for _, e := range epochs {
		next := map[escrow.EpochState]escrow.EpochState{escrow.EpochActive: escrow.EpochEnded, escrow.EpochDealt: escrow.EpochAbandoned}[e.State]
		if next == "" || !sameIdentity(e, released) {
			continue
		}
		e.State, e.EndedAt, e.EndReason = next, now, "released by "+c.ID
		if err := tx.PutEpoch(ctx, e); err != nil {
			return nil, err
		}
		acts = append(acts, escrow.Act{Kind: "epoch.ended", At: now, Actor: "server", Arrangement: c.Arrangement,
			Subject: fmt.Sprintf("%s#%d", e.Compartment, e.Number), Data: map[string]string{"reason": e.EndReason}})
	}
	return acts, nil
}

func caseStatus(c escrow.Case, status seal.Status) escrow.CaseStatus {
	out := escrow.CaseStatus{Case: c}
	for _, n := range status.Counted {
		out.Approved = append(out.Approved, n.Trustee)
	}
	if !status.Reached {
		out.Needed = status.String()
	}
	return out
}

// Case returns a case and what its approvals amount to.
func (r *Releases) Case(ctx context.Context, arrangement, id string) (escrow.CaseStatus, error) {
	var out escrow.CaseStatus
	err := r.db.View(ctx, func(tx Tx) error {
		c, err := tx.Case(ctx, arrangement, id)
		if err != nil {
			return err
		}
		out = escrow.CaseStatus{Case: c}
		if c.Statement == nil {
			return nil
		}
		status, err := count(ctx, tx, c)
		if err != nil {
			return err
		}
		out = caseStatus(c, status)
		return nil
	})
	return out, err
}

func count(ctx context.Context, tx Tx, c escrow.Case) (seal.Status, error) {
	_, m, err := manifestOf(ctx, tx, &c)
	if err != nil {
		return seal.Status{}, err
	}
	statement, err := evidence.ParseStatement(c.Statement)
	if err != nil {
		return seal.Status{}, fmt.Errorf("case %s: %w", c.ID, err)
	}
	given, err := tx.Approvals(ctx, c.Arrangement, c.ID)
	if err != nil {
		return seal.Status{}, err
	}
	return tally(m, statement, given)
}

// List returns the cases of an arrangement, oldest first.
func (r *Releases) List(ctx context.Context, arrangement string) ([]escrow.Case, error) {
	var list []escrow.Case
	err := r.db.View(ctx, func(tx Tx) error {
		var err error
		list, err = tx.Cases(ctx, arrangement)
		return err
	})
	return list, err
}

// HandOver gives a recipient of a case in force what it needs to open the
// deposits that the statement names: the key manifest and the re-encrypted
// shares. That it was fetched, and by whom, is recorded first.
func (r *Releases) HandOver(ctx context.Context, actor escrow.Actor, arrangement, id string) (escrow.HandOver, error) {
	now := r.now()
	var h escrow.HandOver
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		c, err := tx.Case(ctx, arrangement, id)
		if err != nil {
			return nil, err
		}
		if !receives(c, actor) {
			return nil, escrow.Errorf(escrow.Forbidden, "case %s opens for %v, not for %s", c.ID, c.Recipients, actor.Party)
		}
		if !opened(c) {
			status := seal.Status{}
			if c.Statement != nil {
				if status, err = count(ctx, tx, c); err != nil {
					return nil, err
				}
			}
			return nil, escrow.Errorf(escrow.BelowQuorum, "case %s is %s: %s", c.ID, c.State, orNone(status.String())).
				WithHint("the hand-over opens when the quorum has approved")
		}
		h.Case = c
		if h.Epoch, _, err = manifestOf(ctx, tx, &c); err != nil {
			return nil, err
		}
		if h.Approvals, err = tx.Approvals(ctx, arrangement, id); err != nil {
			return nil, err
		}
		return []escrow.Act{act(c, "hand_over.fetched", actor, now, map[string]any{"approvals": len(h.Approvals)})}, nil
	})
	return h, err
}

func orNone(s string) string {
	if s == "" {
		return "nothing has been approved"
	}
	return s
}

// receives reports whether the case opens for the actor's party. The agent
// receives too: it carries hand-overs out, and holds no recipient's key.
func receives(c escrow.Case, actor escrow.Actor) bool {
	return slices.Contains(c.Recipients, actor.Party) || actor.Role == escrow.Agent
}

// opened reports whether the case has been in force: what was released cannot
// be taken back, whatever became of the case since.
func opened(c escrow.Case) bool { return !c.InForceAt.IsZero() }

// MayFetch decides whether actor may have an object: one of a deposit that a
// case in force hands over to its party, or that lies in a compartment whose
// key is its own. Everything else is as if it did not exist.
func (r *Releases) MayFetch(ctx context.Context, actor escrow.Actor, arrangement, object string) error {
	return r.db.View(ctx, func(tx Tx) error {
		uses, err := tx.DepositsWithObject(ctx, arrangement, object)
		if err != nil {
			return err
		}
		if len(uses) > 0 && actor.Role == escrow.Agent {
			return nil // for exports; it is ciphertext, and the agent holds no key to it
		}
		cases, err := tx.Cases(ctx, arrangement)
		if err != nil {
			return err
		}
		for _, d := range uses {
			own, err := ownCompartment(ctx, tx, actor, d)
			if err != nil {
				return err
			}
			if own || handedOver(cases, actor, d) {
				return nil
			}
		}
		return escrow.Errorf(escrow.NotFound, "no object %s for %s", object, actor.Party)
	})
}

func handedOver(cases []escrow.Case, actor escrow.Actor, d escrow.Deposit) bool {
	for _, c := range cases {
		if !opened(c) || !receives(c, actor) || c.Compartment != d.Compartment {
			continue
		}
		statement, err := evidence.ParseStatement(c.Statement)
		if err != nil {
			continue // a damaged statement opens nothing; verify names it
		}
		for _, span := range statement.Deposits {
			if span.Module == d.Module && d.Number >= span.From && d.Number <= span.To {
				return true
			}
		}
	}
	return false
}

func ownCompartment(ctx context.Context, tx Tx, actor escrow.Actor, d escrow.Deposit) (bool, error) {
	epochs, err := tx.Epochs(ctx, d.Arrangement, d.Compartment)
	if err != nil {
		return false, err
	}
	for _, e := range epochs {
		if e.Number != d.Epoch {
			continue
		}
		m, err := evidence.ParseKeyManifest(e.Manifest)
		if err != nil {
			return false, fmt.Errorf("stored key manifest of %s#%d: %w", e.Compartment, e.Number, err)
		}
		return m.Kind == evidence.DirectKind && m.Recipients[0].Party == actor.Party, nil
	}
	return false, nil
}
