package deposit

import (
	"context"
	"fmt"
	"io"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
	"holdfast/internal/vault"
)

// MadeFiles is a deposit of directories that waits to be acknowledged, and
// what its maker alone is told about it.
type MadeFiles struct {
	Made
	Files *files.Result
}

// Files deposits what changed in directories since the base. o says which
// they are and what of them; the rest of it is filled in here. Made is nil
// when nothing changed.
func (m Maker) Files(ctx context.Context, base escrow.DepositBase, o files.Options) (*MadeFiles, error) {
	keys, err := evidence.ParseKeyManifest(base.Epoch.Manifest)
	if err != nil {
		return nil, fmt.Errorf("key manifest of %s, epoch %d: %w", base.Epoch.Compartment, base.Epoch.Number, err)
	}
	sealer, err := vault.NewSealer(m.Objects, keys.SealTo())
	if err != nil {
		return nil, err
	}
	o.Vault, o.Now, o.Number = fileEnvelopes{sealer}, m.Now, base.Latest.Number+1
	if o.Rebase == 0 {
		o.Rebase = base.Module.Rebase
	}
	if remembers(base) {
		o.Full = o.Full || base.Latest.Epoch != base.Epoch.Number
		memory := memory{objects: m.Objects, identity: m.Identity}
		o.Previous, err = memory.filesState(ctx, base)
		memory.close()
		if err != nil {
			return nil, err
		}
	}
	r, err := files.Sync(ctx, o)
	if err != nil {
		return nil, err
	}
	out := &MadeFiles{Files: r}
	if r.Unchanged {
		return out, nil
	}
	d := m.next(base, r.Kind)
	d.Objects, d.Files, d.Missing, d.Completeness = r.Objects, &r.Summary, r.Missing, string(escrow.Complete)
	if len(r.Missing) > 0 {
		d.Completeness = string(escrow.Incomplete)
	}
	d.Content = filesContent(base.Mandatory, r.State)
	d.Checked.How = files.HowChecked
	own, err := vault.NewSealer(m.Objects, []string{m.Identity.Recipient().String()})
	if err != nil {
		return nil, err
	}
	if d.State, err = put(ctx, own, func(w io.Writer) error { return files.Compress(w, r.State.Encode) }); err != nil {
		return nil, err
	}
	out.Manifest = d
	return out, m.sign(&out.Made)
}

// filesState reads the last deposit's state. One that is gone, cannot be read
// or is of another kind of deposit makes the next deposit a full one.
func (m *memory) filesState(ctx context.Context, base escrow.DepositBase) (*files.State, error) {
	r, size, err := m.plain(ctx, base.State.State)
	if lost(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := files.Decompress(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, nil
	}
	defer plain.Close()
	s, err := files.ParseState(plain)
	if err != nil || s.Deposit != base.State.Deposit {
		return nil, nil
	}
	return s, nil
}

// fileEnvelopes shows a sealer to the files intake as it wants to see it.
type fileEnvelopes struct{ *vault.Sealer }

// Create implements files.Vault.
func (e fileEnvelopes) Create(ctx context.Context, role string) (files.Envelope, error) {
	return e.Sealer.Create(ctx, role)
}
