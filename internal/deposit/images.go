package deposit

import (
	"context"
	"fmt"
	"io"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/images"
	"holdfast/internal/vault"
)

// Images deposits what is new in container images since the base. o says
// where they come from and what is left out; the rest of it is filled in
// here. Images returns nil when nothing changed.
func (m Maker) Images(ctx context.Context, base escrow.DepositBase, o images.Options) (*Made, error) {
	keys, err := evidence.ParseKeyManifest(base.Epoch.Manifest)
	if err != nil {
		return nil, fmt.Errorf("key manifest of %s, epoch %d: %w", base.Epoch.Compartment, base.Epoch.Number, err)
	}
	sealer, err := vault.NewSealer(m.Objects, keys.SealTo())
	if err != nil {
		return nil, err
	}
	o.Vault = imageEnvelopes{sealer}
	if remembers(base) {
		o.Full = o.Full || base.Full || base.Latest.Epoch != base.Epoch.Number
		memory := memory{objects: m.Objects, identity: m.Identity}
		o.Previous, err = memory.imagesState(ctx, base)
		memory.close()
		if err != nil {
			return nil, err
		}
	}
	r, err := images.Sync(ctx, o)
	if err != nil || r.Unchanged {
		return nil, err
	}
	d := m.next(base, r.Kind)
	d.Objects, d.Images, d.Missing, d.Completeness = r.Objects, &r.Summary, r.Missing, string(escrow.Complete)
	if len(r.Missing) > 0 {
		d.Completeness = string(escrow.Incomplete)
	}
	d.Content = imagesContent(base.Mandatory, &r.State)
	d.Checked.How = images.HowChecked
	r.State.Deposit = d.Number
	state, err := r.State.Encode()
	if err != nil {
		return nil, err
	}
	own, err := vault.NewSealer(m.Objects, []string{m.Identity.Recipient().String()})
	if err != nil {
		return nil, err
	}
	if d.State, err = put(ctx, own, func(w io.Writer) error { _, err := w.Write(state); return err }); err != nil {
		return nil, err
	}
	made := &Made{Manifest: d}
	return made, m.sign(made)
}

// maxImagesState bounds the state: that of some millions of blobs.
const maxImagesState = 256 << 20

// imagesState reads the last deposit's state. One that is gone, cannot be read
// or is of another kind of deposit makes the next deposit a full one.
func (m *memory) imagesState(ctx context.Context, base escrow.DepositBase) (*images.State, error) {
	r, size, err := m.plain(ctx, base.State.State)
	if lost(err) || err == nil && size > maxImagesState {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, nil
	}
	s, err := images.ParseState(data)
	if err != nil || s.Deposit != base.Latest.Number {
		return nil, nil
	}
	return s, nil
}

// imageEnvelopes shows a sealer to the images intake as it wants to see it.
type imageEnvelopes struct{ *vault.Sealer }

// Create implements images.Vault.
func (e imageEnvelopes) Create(ctx context.Context, role string) (images.Envelope, error) {
	return e.Sealer.Create(ctx, role)
}
