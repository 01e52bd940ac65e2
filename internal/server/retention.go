package server

import (
	"context"
	"errors"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	rules "holdfast/internal/escrow/retention"
	"holdfast/internal/retention"
	"holdfast/internal/store"
)

var _ retention.Tx = (*store.Tx)(nil)

// keeper shows the retention engine to the API.
type keeper struct{ *retention.Keeper }

// Standing implements api.Retention.
func (k keeper) Standing(ctx context.Context, arrangement, module string) ([]client.Standing, error) {
	list, err := k.Keeper.Status(ctx, arrangement, module)
	if err != nil {
		return nil, err
	}
	out := make([]client.Standing, len(list))
	for i, s := range list {
		o := client.Standing{Number: s.Number, Kind: string(s.Kind), Digest: s.Digest, AcceptedAt: s.AcceptedAt.UTC(), StoredBytes: s.StoredBytes, Epoch: s.Epoch,
			Keep: s.Verdict.Keep, Due: s.Verdict.Due, Restorable: s.Verdict.Restorable, Level: s.Level, Running: s.Running}
		for _, r := range s.Verdict.Reasons {
			o.Reasons = append(o.Reasons, client.Reason{Why: string(r.Why), Text: r.Text})
		}
		if m := s.Mark; m != nil {
			o.Suspect = m.Reasons
			if !m.FirstAt.IsZero() {
				o.ReleasedBy = append(o.ReleasedBy, m.FirstParty+"/"+m.FirstPerson)
			}
			if m.Released() {
				o.ReleasedBy = append(o.ReleasedBy, m.Party+"/"+m.Person)
			}
		}
		if s.Destroyed != nil {
			o.Destruction = s.Destroyed.Destruction
		}
		out[i] = o
	}
	return out, nil
}

// Retention implements retention.Terms.
func (terms) Retention(source []byte, module string) (rules.Policy, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return rules.Policy{}, agreement.Refusal(problems)
	}
	return parsed.Retention(module), nil
}

// Owner implements retention.Terms.
func (terms) Owner(source []byte, instance string) (string, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return "", agreement.Refusal(problems)
	}
	return parsed.OwnerOf(instance), nil
}

// whatBecame adds to deposits of one module what became of them since.
func whatBecame(ctx context.Context, tx *store.Tx, arrangement, module string, list []escrow.Deposit) error {
	gone, err := tx.Destroyed(ctx, arrangement, module)
	if err != nil {
		return err
	}
	marks, err := tx.Marks(ctx, arrangement, module)
	if err != nil {
		return err
	}
	for i := range list {
		for _, d := range gone {
			if d.Deposit == list[i].Number {
				list[i].Destruction = d.Destruction
			}
		}
		for _, m := range marks {
			if m.Deposit == list[i].Number && !m.Released() {
				list[i].Suspect = m.Reasons
			}
		}
	}
	return nil
}

// finishEvery is how often approved destructions are carried on with. It is
// short, since who approved one waits for the certificate.
const finishEvery = 5 * time.Second

// finish carries on with what two people decided, until ctx ends.
func (s *Server) finish(ctx context.Context) {
	tick := time.NewTicker(finishEvery)
	defer tick.Stop()
	leave := s.leaveDue()
	for {
		if err := s.keeper.Finish(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.options.Log.ErrorContext(ctx, "destroy what was approved", "error", err)
		}
		leave(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// certificatesHold reads every certificate of destruction again: it must be
// signed by this server, and name the objects that the state says are gone.
func certificatesHold(ctx context.Context, db *store.DB, serverKey string) error {
	return db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.DestructionsIn(ctx, escrow.DestructionCertified)
		if err != nil {
			return err
		}
		for _, d := range list {
			c, err := evidence.VerifyCertificate(serverKey, d.Certificate, d.CertificateSig)
			if err != nil {
				return escrow.Errorf(escrow.Damaged, "destruction %s of %s: %w", d.ID, d.Arrangement, err)
			}
			gone, err := tx.DestroyedBy(ctx, d.Arrangement, d.ID)
			if err != nil {
				return err
			}
			named := map[evidence.GoneObject]bool{}
			for _, o := range append(c.Objects, c.Kept...) {
				named[o] = true
			}
			for _, x := range gone {
				for _, o := range x.Objects {
					if !named[evidence.GoneObject{Deposit: x.Deposit, Name: o.Name, Size: o.Size}] {
						return escrow.Errorf(escrow.Damaged, "object %s of deposit %d of %s/%s is gone and not in certificate %s", o.Name, x.Deposit, d.Arrangement, d.Module, d.ID)
					}
				}
			}
		}
		return nil
	})
}
