package deposit

import (
	"context"
	"fmt"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/vault"
)

// HowResticChecked is what manifests say of the files of a restic repository.
const HowResticChecked = "the hash of every file, and that the repository has its config, a key and an index; what is inside is encrypted by its depositor"

// ResticPassword deposits the password of a restic repository, sealed to the
// compartment: the root of a chain that the repository's files follow in. It
// returns nil when the chain in force is sealed to the active epoch already,
// unless again is set.
func (m Maker) ResticPassword(ctx context.Context, base escrow.DepositBase, password []byte, again bool) (*Made, error) {
	if base.Latest.Number > 0 && base.Latest.Epoch == base.Epoch.Number && !again {
		return nil, nil
	}
	keys, err := evidence.ParseKeyManifest(base.Epoch.Manifest)
	if err != nil {
		return nil, fmt.Errorf("key manifest of %s, epoch %d: %w", base.Epoch.Compartment, base.Epoch.Number, err)
	}
	sealer, err := vault.NewSealer(m.Objects, keys.SealTo())
	if err != nil {
		return nil, err
	}
	sealing, err := sealer.Create(ctx, evidence.RoleResticPassword)
	if err != nil {
		return nil, err
	}
	defer sealing.Abort()
	if _, err := sealing.Write(password); err != nil {
		return nil, err
	}
	if err := sealing.Finish(); err != nil {
		return nil, err
	}
	object, err := sealing.Commit(ctx)
	if err != nil {
		return nil, err
	}
	d := m.next(base, escrow.FullDeposit)
	d.Objects = []evidence.ObjectEntry{object}
	d.Checked.How = "the password is the one in the depositor's file"
	made := &Made{Manifest: d}
	return made, m.sign(made)
}

// Restic deposits files of a restic repository that are in the vault already.
// more says that the snapshots they are for come with a later deposit.
func (m Maker) Restic(base escrow.DepositBase, files []escrow.ResticFile, more bool) (*Made, error) {
	d := m.next(base, escrow.IncrementalDeposit)
	d.Checked.How = HowResticChecked
	d.Restic = &evidence.ResticSummary{Files: len(files), More: more}
	for _, f := range files {
		d.Objects = append(d.Objects, evidence.ObjectEntry{Name: f.Object, Size: f.Size, Role: evidence.ResticRole(string(f.Kind))})
		d.Restic.Bytes += f.Size
		if f.Kind == escrow.ResticSnapshots {
			d.Restic.Snapshots = append(d.Restic.Snapshots, evidence.ResticSnapshot{ID: f.Name, Received: f.ReceivedAt.UTC().Format(time.RFC3339)})
		}
	}
	made := &Made{Manifest: d}
	return made, m.sign(made)
}

// next is the manifest of the deposit that follows the base, without what is
// in it.
func (m Maker) next(base escrow.DepositBase, kind escrow.DepositKind) *evidence.DepositManifest {
	d := &evidence.DepositManifest{
		Format: evidence.DepositFormat, Arrangement: base.Module.Arrangement, Agreement: base.Agreement, Module: base.Module.ID,
		Number: base.Latest.Number + 1, Kind: string(kind), Predecessor: base.Latest.Digest, Chain: base.State.Chain,
		Compartment: base.Module.Compartment, Epoch: base.Epoch.Number, Set: base.Epoch.Set, Completeness: string(escrow.Complete),
		Checked: evidence.Check{By: m.Checked}, Made: m.Now().UTC().Format(time.RFC3339), By: m.By,
	}
	if kind == escrow.FullDeposit {
		d.Chain = d.Number
	}
	return d
}
