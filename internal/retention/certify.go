package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Finish deletes the objects of every approved destruction and certifies those
// whose objects are gone everywhere. It may be stopped at any moment and run
// again: what was deleted stays deleted, and a certificate is made once. One
// that cannot be finished does not keep the others; all errors come back.
func (k *Keeper) Finish(ctx context.Context) error {
	var list []escrow.Destruction
	err := k.db.View(ctx, func(tx Tx) (err error) {
		list, err = tx.DestructionsIn(ctx, escrow.DestructionApproved)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range list {
		if err := k.finish(ctx, d); err != nil {
			errs = append(errs, fmt.Errorf("destruction %s of %s: %w", d.ID, d.Arrangement, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (k *Keeper) finish(ctx context.Context, d escrow.Destruction) error {
	request, err := evidence.ParseDestruction(d.Document)
	if err != nil {
		return fmt.Errorf("stored request: %w", err)
	}
	var gone []escrow.Destroyed
	var held map[string]int
	err = k.db.View(ctx, func(tx Tx) (err error) {
		if gone, err = tx.DestroyedBy(ctx, d.Arrangement, d.ID); err != nil {
			return err
		}
		var names []string
		for _, x := range gone {
			for _, o := range x.Objects {
				if !o.Kept {
					names = append(names, o.Name)
				}
			}
		}
		held, err = tx.HeldObjects(ctx, names)
		return err
	})
	if err != nil {
		return err
	}
	if len(held) > 0 { // no deposit can take them up again, so this is a fault of the state
		return escrow.Errorf(escrow.Damaged, "%d of its objects are part of a deposit again", len(held)).WithHint("run holdfast verify")
	}
	for _, x := range gone {
		for _, o := range x.Objects {
			if o.Kept {
				continue
			}
			// A location that keeps what it holds for a while does not stop a
			// destruction by the end of the key.
			if err := k.objects.Delete(ctx, o.Name); err != nil && (request.Method != evidence.MethodEpoch || ctx.Err() != nil) {
				return err
			}
		}
	}
	return k.certify(ctx, d, gone)
}

// certify writes and signs the certificate.
func (k *Keeper) certify(ctx context.Context, d escrow.Destruction, gone []escrow.Destroyed) error {
	now := k.now()
	if now.Before(d.ApprovedAt) { // the clock was set back; the order of things was not
		now = d.ApprovedAt
	}
	c := evidence.Certificate{Request: string(d.Document), DecidedAt: evidence.At(d.ApprovedAt), DoneAt: evidence.At(now),
		Requester: evidence.Decider{Party: d.Party, Person: d.Person, Key: d.Key, Signature: string(d.Signature), At: evidence.At(d.RequestedAt)},
		Approver:  evidence.Decider{Party: d.ApproverParty, Person: d.ApproverPerson, Key: d.ApproverKey, Signature: string(d.ApproverSignature), At: evidence.At(d.ApprovedAt)}}
	var bytes int64
	for _, x := range gone {
		for _, o := range x.Objects {
			entry := evidence.GoneObject{Deposit: x.Deposit, Name: o.Name, Size: o.Size}
			if o.Kept {
				c.Kept = append(c.Kept, entry)
				continue
			}
			c.Objects = append(c.Objects, entry)
			bytes += o.Size
		}
	}
	order := func(a, b evidence.GoneObject) int {
		return cmp.Or(cmp.Compare(a.Deposit, b.Deposit), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(c.Objects, order)
	slices.SortFunc(c.Kept, order)
	document, err := c.Bytes()
	if err != nil {
		return err
	}
	signature, err := evidence.Sign(k.signer, evidence.NamespaceCertificate, document)
	if err != nil {
		return err
	}
	d.State, d.Certificate, d.CertificateSig, d.CertifiedAt = escrow.DestructionCertified, document, signature, now
	_, err = k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		old, err := tx.Destruction(ctx, d.Arrangement, d.ID)
		if err != nil || old.State == escrow.DestructionCertified {
			return nil, err // another process was first
		}
		if err := tx.PutDestruction(ctx, d); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: evidence.ActDestructionCertified, At: now, Actor: "server", Arrangement: d.Arrangement, Subject: evidence.Digest(document),
			Data: map[string]any{"id": d.ID, "module": d.Module, "objects": len(c.Objects), "kept": len(c.Kept), "bytes": bytes}}}, nil
	})
	return err
}
