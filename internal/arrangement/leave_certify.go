package arrangement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Remaining is what is still held of a beneficiary that has left.
type Remaining struct {
	Module   string
	Deposits []int    // not destroyed yet
	Holds    []string // legal holds that keep some of them
}

// StillHeld lists what is still held of a beneficiary that has left: what two
// people have yet to destroy.
func (r *Registry) StillHeld(ctx context.Context, l escrow.Leaving) ([]Remaining, error) {
	var out []Remaining
	err := r.db.View(ctx, func(tx Tx) error {
		holds, err := tx.Holds(ctx, l.Arrangement)
		if err != nil {
			return err
		}
		for _, module := range l.Modules {
			_, rest, err := destroyed(ctx, tx, l.Arrangement, module)
			if err != nil {
				return err
			}
			x := Remaining{Module: module, Deposits: rest}
			for _, h := range holds {
				if h.Active(r.now()) && (h.Module == "" || h.Module == module) {
					x.Holds = append(x.Holds, h.ID)
				}
			}
			if len(rest) == 0 && len(x.Holds) == 0 {
				continue
			}
			out = append(out, x)
		}
		return nil
	})
	return out, err
}

// destroyed returns the digests of the certificates by which the deposits of a
// module were destroyed, in their order, and what is not certified yet.
func destroyed(ctx context.Context, tx Tx, arrangement, module string) (certificates []string, rest []int, err error) {
	heads, err := tx.DepositHeads(ctx, arrangement, module)
	if err != nil {
		return nil, nil, err
	}
	gone, err := tx.Destroyed(ctx, arrangement, module)
	if err != nil {
		return nil, nil, err
	}
	by := map[int]string{}
	for _, g := range gone {
		by[g.Deposit] = g.Destruction
	}
	seen := map[string]bool{}
	for _, h := range heads {
		id, ok := by[h.Number]
		if !ok {
			rest = append(rest, h.Number)
			continue
		}
		if seen[id] {
			continue
		}
		d, err := tx.Destruction(ctx, arrangement, id)
		if err != nil {
			return nil, nil, err
		}
		if d.State != escrow.DestructionCertified {
			rest = append(rest, h.Number)
			continue
		}
		seen[id] = true
		certificates = append(certificates, evidence.Digest(d.Certificate))
	}
	return certificates, rest, nil
}

// CertifyLeft writes the certificate of everybody who has left and of whom
// nothing is held any more. It may be stopped at any moment and run again; a
// certificate is made once.
func (r *Registry) CertifyLeft(ctx context.Context, signer ssh.Signer) error {
	var list []escrow.Leaving
	err := r.db.View(ctx, func(tx Tx) (err error) {
		list, err = tx.LeavingsIn(ctx, escrow.LeavingEnded)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range list {
		if err := r.certifyLeft(ctx, l, signer); err != nil {
			errs = append(errs, fmt.Errorf("certificate of leaving of %s from %s: %w", l.Party, l.Arrangement, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (r *Registry) certifyLeft(ctx context.Context, l escrow.Leaving, signer ssh.Signer) error {
	now := r.now()
	if now.Before(l.EndedAt) { // the clock was set back; the order of things was not
		now = l.EndedAt
	}
	var certificate *evidence.LeavingCertificate
	err := r.db.View(ctx, func(tx Tx) (err error) {
		certificate, err = leavingCertificate(ctx, tx, l, now)
		return err
	})
	if err != nil || certificate == nil {
		return err
	}
	document, err := certificate.Bytes()
	if err != nil {
		return err
	}
	signature, err := evidence.Sign(signer, evidence.NamespaceCertificate, document)
	if err != nil {
		return err
	}
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		old, err := tx.Leaving(ctx, l.Arrangement, l.Party)
		if err != nil || old.State == escrow.LeavingCertified {
			return nil, err // another process was first
		}
		part, err := partOf(ctx, tx, old)
		if err != nil {
			return nil, err
		}
		for _, module := range old.Modules {
			if err := tx.ForgetUnfinished(ctx, old.Arrangement, module); err != nil {
				return nil, err
			}
		}
		old.State, old.Certificate, old.CertificateSig, old.CertifiedAt = escrow.LeavingCertified, document, signature, now
		if err := tx.PutLeaving(ctx, old); err != nil {
			return nil, err
		}
		return []escrow.Act{leaveAct("agreement.leave_certified", "server", now, old, part, map[string]any{"certificate": evidence.Digest(document)})}, nil
	})
	return err
}

// leavingCertificate is what there is to certify, or nil while something is
// still held.
func leavingCertificate(ctx context.Context, tx Tx, l escrow.Leaving, now time.Time) (*evidence.LeavingCertificate, error) {
	c := &evidence.LeavingCertificate{Notice: string(l.Document), Key: l.Key, Signature: string(l.Signature), ReceivedAt: evidence.At(l.NoticedAt), Agreement: l.Agreement, Version: l.Version,
		EndedAt: evidence.At(l.EndedAt), DoneAt: evidence.At(now)}
	// A hold keeps everything of a module, also what no deposit is made of.
	if holds, err := holding(ctx, tx, l.Arrangement, l.Modules, now); err != nil || len(holds) > 0 {
		return nil, err
	}
	for _, module := range l.Modules {
		certificates, rest, err := destroyed(ctx, tx, l.Arrangement, module)
		if err != nil || len(rest) > 0 {
			return nil, err
		}
		heads, err := tx.DepositHeads(ctx, l.Arrangement, module)
		if err != nil {
			return nil, err
		}
		c.Modules = append(c.Modules, evidence.LeftModule{Module: module, Deposits: len(heads), Certificates: certificates})
	}
	for _, id := range l.Compartments {
		list, err := tx.Epochs(ctx, l.Arrangement, id)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if e.State != escrow.EpochAbandoned { // nothing was ever sealed to such a one
				c.Epochs = append(c.Epochs, evidence.EndedEpoch{Compartment: id, Number: e.Number})
			}
		}
	}
	return c, nil
}
