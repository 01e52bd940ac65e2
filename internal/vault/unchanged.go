package vault

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// How far a depositor's clock may be from this one when it reports that
// nothing changed. Within it a report counts as much as it is old; what is
// older could be one that somebody kept back.
const (
	reportBehind = 15 * time.Minute
	reportAhead  = 5 * time.Minute
)

// Unchanged takes a depositor's word that its source holds nothing that is not
// deposited. It counts only for the newest deposit, from who made that, about
// the state that it left, and once: a report that is older than one that is
// here is refused, and the same one changes nothing.
//
// The word takes nothing away: the next deposit is compared with the very
// state that it names, so what was rewritten or shrank is found then.
func (v *Vault) Unchanged(ctx context.Context, actor escrow.Actor, arrangement, module string, document, signature []byte) (escrow.Unchanged, error) {
	u, err := evidence.ParseUnchanged(document)
	if err != nil {
		return escrow.Unchanged{}, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if u.Arrangement != arrangement || u.Module != module {
		return escrow.Unchanged{}, escrow.Errorf(escrow.Invalid, "the report is about %s/%s, not %s/%s", u.Arrangement, u.Module, arrangement, module)
	}
	now := v.now().UTC().Truncate(time.Microsecond)
	out := escrow.Unchanged{Arrangement: arrangement, Module: module, Deposit: u.Number, Document: document, Signature: signature,
		Party: actor.Party, Person: actor.Person, At: u.At.Time, ReceivedAt: now}
	_, err = v.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		before, err := tx.Unchanged(ctx, arrangement, module)
		if err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return nil, err
		}
		if bytes.Equal(before.Document, document) && before.Party == actor.Party && before.Person == actor.Person {
			out = before // the answer was lost on the way: it is given again
			return nil, nil
		}
		if u.At.Before(now.Add(-reportBehind)) || u.At.After(now.Add(reportAhead)) {
			return nil, escrow.Errorf(escrow.Invalid, "the report was made at %s and here it is %s", u.At, evidence.At(now)).
				WithHint("set the depositor's clock right and run it again")
		}
		// About a newer deposit it is news whatever its time, which is in whole
		// seconds. One of the future was taken when this clock stood wrong.
		if u.Number <= before.Deposit && !u.At.After(before.At) && !before.At.After(now.Add(reportAhead)) {
			return nil, escrow.Errorf(escrow.Conflict, "module %s was reported unchanged at %s already; a report of %s adds nothing", module, evidence.At(before.At), u.At)
		}
		if err := v.mayReport(ctx, tx, actor, u, document, signature); err != nil {
			return nil, err
		}
		if err := tx.PutUnchanged(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: evidence.ActDepositUnchanged, At: now, Actor: actor.String(), Arrangement: arrangement, Subject: u.Deposit,
			Data: map[string]any{"module": module, "number": u.Number, "state": u.State, "report": string(document), "signature": string(signature)}}}, nil
	})
	return out, err
}

// mayReport checks who reports and that what it names is what is here.
func (v *Vault) mayReport(ctx context.Context, tx Tx, actor escrow.Actor, u *evidence.Unchanged, document, signature []byte) error {
	a, err := tx.Arrangement(ctx, u.Arrangement)
	if err != nil {
		return err
	}
	if u.Agreement != a.Digest {
		return escrow.Errorf(escrow.Conflict, "the report rests on agreement %s, but %s is in force", u.Agreement, a.Digest)
	}
	m, err := tx.Module(ctx, u.Arrangement, u.Module)
	if err != nil {
		return err
	}
	if err := escrow.MayDeposit(actor, m); err != nil {
		return err
	}
	if m.Source.Mode == escrow.Restic {
		return escrow.Errorf(escrow.Conflict, "module %s is written by restic, which makes a snapshot whether anything changed or not", m.ID)
	}
	c, err := tx.Contact(ctx, u.Arrangement, actor.Party, actor.Person)
	if escrow.CodeOf(err) == escrow.NotFound {
		return escrow.Errorf(escrow.Forbidden, "%s has no contact card here, so its signature cannot be checked", actor).
			WithHint("let the agent or the supplier bring the card that 'holdfast key new' wrote")
	}
	if err != nil {
		return err
	}
	if by := c.Party + "/" + c.Person; u.By != by {
		return escrow.Errorf(escrow.Invalid, "the report says it is by %q, but %q submits it", u.By, by)
	}
	if err := evidence.Verify(c.SigningKey, evidence.NamespaceDeposit, document, signature); err != nil {
		return escrow.Errorf(escrow.Invalid, "report of %s that nothing changed: %w", u.By, err)
	}
	last, err := tx.LatestDeposit(ctx, u.Arrangement, u.Module)
	if err != nil {
		return err
	}
	if last.Number != u.Number || last.Digest != u.Deposit {
		return escrow.Errorf(escrow.Conflict, "deposit %d of %s is the newest, not the deposit %d that the report names", last.Number, u.Module, u.Number).
			WithHint("run the deposit again")
	}
	d, err := evidence.ParseDepositManifest(last.Manifest)
	if err != nil {
		return fmt.Errorf("stored manifest of deposit %d of %s: %w", last.Number, u.Module, err)
	}
	if d.By != u.By || d.State != u.State {
		return escrow.Errorf(escrow.Invalid, "deposit %d of %s was made by %s, and the report is not about the state that it left", last.Number, u.Module, d.By).
			WithHint("only who made the newest deposit can tell that nothing changed since; anybody else deposits anew")
	}
	epoch, err := ActiveEpoch(ctx, tx, u.Arrangement, m.Compartment)
	if err != nil {
		return err
	}
	if epoch.Number != d.Epoch || epoch.Set != d.Set || m.Compartment != d.Compartment {
		return escrow.Errorf(escrow.Conflict, "epoch %d of %s is active, and deposit %d was sealed to epoch %d of %s", epoch.Number, m.Compartment, last.Number, d.Epoch, d.Compartment).
			WithHint("deposit again: a fresh chain starts by itself, though nothing changed")
	}
	return nil
}
