package server

import (
	"context"

	"holdfast/evidence"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/egress"
	"holdfast/internal/intake/images"
	"holdfast/internal/store"
	"holdfast/internal/vault"
)

// images pulls container images and deposits what is new.
func (y *syncs) images(ctx context.Context, arrangement, module string) (*escrow.Deposit, error) {
	base, err := depositBase(ctx, y.db, y.now(), arrangement, module)
	if err != nil {
		return nil, err
	}
	m := base.Module.Module
	credential, err := y.registryCredential(ctx, m)
	if err != nil {
		return nil, err
	}
	registry, err := images.NewRegistry(images.RegistryOptions{Address: m.Source.URL, Credential: credential,
		Transport: y.guard.Client(egress.ClientOptions{}).Transport})
	if err != nil {
		return nil, err
	}
	maker := deposit.Maker{Objects: y.places.forArrangement(arrangement, ""), Identity: y.keys.Identity, Signer: y.keys.Signer, By: vault.ServerName, Checked: evidence.CheckedByServer, Now: y.now}
	made, err := maker.Images(ctx, base, images.Options{Source: registry, Exclude: m.Source.Exclude, MaxBlob: y.config.MaxObject, MaxBytes: y.config.MaxPack})
	if err != nil || made == nil {
		return nil, err
	}
	d, err := y.vault.Accept(ctx, serverActor(), arrangement, module, made.Submission)
	if err != nil {
		return nil, err
	}
	y.log.InfoContext(ctx, "deposit accepted", "arrangement", arrangement, "module", module, "number", d.Number, "kind", d.Kind,
		"stored_bytes", d.StoredBytes, "images", made.Manifest.Images.Images, "new_blobs", made.Manifest.Images.Blobs)
	return &d, nil
}

// registryCredential opens the module's credential for the moment it is used,
// together with the address that it is for.
func (y *syncs) registryCredential(ctx context.Context, m escrow.Module) (string, error) {
	var secret []byte
	err := y.db.View(ctx, func(tx *store.Tx) error {
		now, err := tx.Module(ctx, m.Arrangement, m.ID)
		if err != nil {
			return err
		}
		if now.Source.URL != m.Source.URL || now.Source.Mode != m.Source.Mode {
			return escrow.Errorf(escrow.Conflict, "the source of module %s was changed just now", m.ID).WithHint("ask for the sync again")
		}
		c, err := tx.Credential(ctx, m.Arrangement, m.ID, escrow.SourceToken)
		if escrow.CodeOf(err) == escrow.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		secret, err = secrets{y.keys.Identity}.open(c)
		return err
	})
	return string(secret), err
}
