package server

import (
	"context"
	"log/slog"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/retention"
	"holdfast/internal/store"
	"holdfast/internal/vault"
)

// deposits serves the API's questions about deposits from vault, store and
// ledger.
type deposits struct {
	*vault.Vault
	db    *store.DB
	queue store.Queue
	now   func() time.Time
	log   *slog.Logger
}

// Base implements api.Deposits.
func (d *deposits) Base(ctx context.Context, actor escrow.Actor, arrangement, module string) (escrow.DepositBase, error) {
	b, err := depositBase(ctx, d.db, d.now(), arrangement, module)
	if err == nil {
		err = escrow.MayDeposit(actor, b.Module.Module)
	}
	return b, err
}

// Accept implements api.Deposits. With the password of a restic repository a
// chain begins that needs all of the repository again.
func (d *deposits) Accept(ctx context.Context, actor escrow.Actor, arrangement, module string, s escrow.Submission) (escrow.Deposit, error) {
	out, err := d.Vault.Accept(ctx, actor, arrangement, module, s)
	if err != nil {
		return out, err
	}
	_, err = d.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil || m.Source.Mode != escrow.Restic {
			return nil, err
		}
		if n, err := tx.ResticSnapshotsWaiting(ctx, arrangement, module, out.Number); err != nil || n == 0 {
			return nil, err
		}
		const reason = "the repository's password is deposited anew"
		return []escrow.Act{{Kind: "sync.requested", Actor: "server", Arrangement: arrangement, Subject: module, Data: map[string]string{"reason": reason}}},
			tx.EnqueueSync(ctx, d.queue, arrangement, module, reason)
	})
	if err != nil {
		// The deposit stands; the next snapshot asks for the same.
		d.log.WarnContext(ctx, "restic: no deposit of the repository was asked for", "module", module, "error", err)
	}
	return out, nil
}

// depositBase reads what the next deposit builds on, at one moment.
func depositBase(ctx context.Context, db *store.DB, now time.Time, arrangement, module string) (escrow.DepositBase, error) {
	var b escrow.DepositBase
	err := db.View(ctx, func(tx *store.Tx) error {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return err
		}
		b.Agreement = a.Digest
		if b.Mandatory, _, err = (terms{}).Content(a.Source, module); err != nil {
			return err
		}
		if b.Module.Module, err = tx.Module(ctx, arrangement, module); err != nil {
			return err
		}
		if b.Epoch, err = vault.ActiveEpoch(ctx, tx, arrangement, b.Module.Compartment); err != nil {
			return err
		}
		if b.Latest, err = tx.LatestDeposit(ctx, arrangement, module); err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return err
		}
		b.Module.Latest = b.Latest.Number
		if b.State, err = tx.SourceState(ctx, arrangement, module); err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return err
		}
		if b.Full, err = retention.FullNeeded(ctx, tx, terms{}, now, arrangement, module); err != nil || b.Full {
			return err
		}
		b.Full, err = chainLost(ctx, tx, b)
		return err
	})
	return b, err
}

// chainLost reports whether an object of the present chain has no good copy
// anywhere: what the chain's indexes list is then not all there, and only a
// deposit that stands alone brings it back.
func chainLost(ctx context.Context, tx *store.Tx, b escrow.DepositBase) (bool, error) {
	if b.Latest.Number == 0 {
		return false, nil
	}
	m, err := evidence.ParseDepositManifest(b.Latest.Manifest)
	if err != nil {
		return false, err
	}
	lost, err := tx.LostObjects(ctx, b.Latest.Arrangement, b.Latest.Module, m.Chain, 1)
	return len(lost) > 0, err
}

// A page of deposits: a manifest can have megabytes.
const (
	pageDeposits = 500
	pageBytes    = 16 << 20
)

// List implements api.Deposits.
func (d *deposits) List(ctx context.Context, arrangement, module string, after int) ([]escrow.Deposit, error) {
	var list []escrow.Deposit
	err := d.db.View(ctx, func(tx *store.Tx) error {
		if _, err := tx.Module(ctx, arrangement, module); err != nil {
			return err
		}
		var err error
		if list, err = tx.DepositsAfter(ctx, arrangement, module, after, pageDeposits, pageBytes); err != nil {
			return err
		}
		return whatBecame(ctx, tx, arrangement, module, list)
	})
	return list, err
}

// Deposit implements api.Deposits.
func (d *deposits) Deposit(ctx context.Context, arrangement, module string, number int) (escrow.Deposit, error) {
	var dep escrow.Deposit
	err := d.db.View(ctx, func(tx *store.Tx) (err error) {
		if dep, err = tx.Deposit(ctx, arrangement, module, number); err != nil {
			return err
		}
		list := []escrow.Deposit{dep}
		err = whatBecame(ctx, tx, arrangement, module, list)
		dep = list[0]
		return err
	})
	return dep, err
}

// Receipt implements api.Deposits.
func (d *deposits) Receipt(ctx context.Context, arrangement, module string, number int) ([]byte, error) {
	dep, err := d.Deposit(ctx, arrangement, module, number)
	if err != nil {
		return nil, err
	}
	index, err := d.db.EntryAbout(ctx, evidence.ActDepositAccepted, dep.Digest)
	if err != nil {
		return nil, err
	}
	r, err := d.db.Ledger().Receipt(ctx, index)
	if err != nil {
		return nil, err
	}
	return evidence.Canonical(r)
}

// RequestSync implements api.Deposits: the request and its job are there
// together or not at all.
func (d *deposits) RequestSync(ctx context.Context, actor escrow.Actor, arrangement, module string) error {
	return requestSync(ctx, d.db, d.queue, actor.String(), arrangement, module, "asked for by "+actor.String())
}

func requestSync(ctx context.Context, db *store.DB, queue store.Queue, actor, arrangement, module, reason string) error {
	_, err := db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return nil, err
		}
		pulled := m.Source.Mode == escrow.Pull && (m.Kind == escrow.Repository || m.Kind == escrow.Images)
		if !pulled && m.Source.Mode != escrow.Restic && m.Source.Mode != escrow.Organisation {
			return nil, escrow.Errorf(escrow.Conflict, "module %s is not pulled by the server", module).
				WithHint("its depositor runs 'holdfast deposit git', or set its source first with 'holdfast module set'")
		}
		if err := tx.EnqueueSync(ctx, queue, arrangement, module, reason); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "sync.requested", Actor: actor, Arrangement: arrangement, Subject: module, Data: map[string]string{"reason": reason}}}, nil
	})
	return err
}
