// Package deposit makes deposits: the one code path from a source to a signed
// manifest, run by the server for pulls and by the depositor's own machine
// for pushes. What differs is only where sealed objects go and who signs.
//
// It composes intake, vault and seal, and may import evidence, escrow and
// blob. It acknowledges nothing: that is the vault's to do.
package deposit

import (
	"context"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/vault"
)

// Maker is whoever makes deposits: the server, or a depositor.
type Maker struct {
	Objects  blob.Store          // where sealed objects go
	Identity *age.HybridIdentity // the maker's own: what it remembers between deposits is sealed to it
	Signer   ssh.Signer          // signs manifests
	By       string              // how manifests name the maker
	Checked  string              // who looked at the content, see evidence.Check
	Now      func() time.Time
}

// Made is a deposit that waits to be acknowledged.
type Made struct {
	Submission escrow.Submission
	Manifest   *evidence.DepositManifest
	Result     *git.Result
}

// Git deposits what changed in a repository since the base. o says where it
// comes from and how it is fetched and checked; the rest of it is filled in
// here, except for Known, which a maker with the repository at hand gives
// itself. Without it the maker keeps sealed sets of the ids it has deposited.
//
// Git returns nil when nothing changed.
func (m Maker) Git(ctx context.Context, base escrow.DepositBase, o git.Options) (*Made, error) {
	made, broken, err := m.git(ctx, base, o, false)
	if err == nil || !broken || ctx.Err() != nil {
		return made, err
	}
	// The sets were found broken only while they were used. A deposit that
	// stands alone does without them.
	made, _, err = m.git(ctx, base, o, true)
	return made, err
}

// git makes one try, without the sets of known ids if they are known to be
// lost. broken says that what is remembered could not be read to its end.
func (m Maker) git(ctx context.Context, base escrow.DepositBase, o git.Options, lost bool) (made *Made, broken bool, err error) {
	keys, err := evidence.ParseKeyManifest(base.Epoch.Manifest)
	if err != nil {
		return nil, false, fmt.Errorf("key manifest of %s, epoch %d: %w", base.Epoch.Compartment, base.Epoch.Number, err)
	}
	sealer, err := vault.NewSealer(m.Objects, keys.SealTo())
	if err != nil {
		return nil, false, err
	}
	o.Vault, o.Now = envelopes{sealer}, m.Now
	o.Full = o.Full || base.Full
	memory := memory{objects: m.Objects, identity: m.Identity}
	defer memory.close()
	defer func() { broken = memory.broken.Load() }()
	if remembers(base) {
		// A new epoch begins a new chain, since its holders could not open the
		// old one; what became of the refs is told all the same.
		o.Full = o.Full || base.Latest.Epoch != base.Epoch.Number
		if o.Previous, err = memory.state(ctx, base); err != nil {
			return nil, false, err
		}
		if o.Known == nil && o.Previous != nil && !lost {
			if o.Known, err = memory.known(ctx, base.State.Segments, o.Previous.Format); err != nil {
				return nil, false, err
			}
		}
		o.Full = o.Full || o.Known == nil // nothing to check an increment against
	}
	if o.Known == nil {
		if o.Known, err = known.NewSet(); err != nil {
			return nil, false, err
		}
	}
	r, err := git.Sync(ctx, o)
	if err != nil || r.Unchanged {
		return nil, false, err
	}
	made = &Made{Result: r, Manifest: m.manifest(base, r)}
	if made.Manifest.Content, err = gitContent(ctx, base.Mandatory, r.State, o.Known); err != nil {
		return nil, false, err
	}
	if err := m.remember(ctx, base, made, &memory); err != nil {
		return nil, false, err
	}
	return made, false, m.sign(made)
}

// remembers reports whether what is remembered belongs to the latest deposit.
func remembers(base escrow.DepositBase) bool {
	return base.Latest.Number > 0 && base.State.State != "" && base.State.Deposit == base.Latest.Number
}

func (m Maker) manifest(base escrow.DepositBase, r *git.Result) *evidence.DepositManifest {
	d := m.next(base, r.Kind)
	d.Objects, d.Git, d.Completeness, d.Missing = r.Objects, &r.Summary, string(r.Completeness()), r.Missing
	d.Checked.How = git.HowChecked
	return d
}

// remember seals what the next deposit needs to know. The set of known ids
// goes with it where the maker has no repository to ask.
func (m Maker) remember(ctx context.Context, base escrow.DepositBase, made *Made, mem *memory) error {
	r := made.Result
	r.State.Deposit = made.Manifest.Number
	encoded, err := r.State.Encode()
	if err != nil {
		return err
	}
	own, err := vault.NewSealer(m.Objects, []string{m.Identity.Recipient().String()})
	if err != nil {
		return err
	}
	if made.Manifest.State, err = put(ctx, own, func(w io.Writer) error { _, err := w.Write(encoded); return err }); err != nil {
		return err
	}
	if m.Checked != evidence.CheckedByServer {
		return nil
	}
	var before []string
	if r.Kind == escrow.IncrementalDeposit {
		before = base.State.Segments
	}
	made.Submission.Segments, err = mem.grow(ctx, own, before, r.Report)
	return err
}

// put seals what write writes and returns the object's name.
func put(ctx context.Context, s *vault.Sealer, write func(io.Writer) error) (string, error) {
	sealing, err := s.Create(ctx, "state")
	if err != nil {
		return "", err
	}
	defer sealing.Abort()
	if err := write(sealing); err != nil {
		return "", err
	}
	if err := sealing.Finish(); err != nil {
		return "", err
	}
	entry, err := sealing.Commit(ctx)
	return entry.Name, err
}

func (m Maker) sign(made *Made) error {
	document, err := evidence.Canonical(made.Manifest)
	if err != nil {
		return fmt.Errorf("deposit %d of %s: %w", made.Manifest.Number, made.Manifest.Module, err)
	}
	made.Submission.Manifest = document
	made.Submission.Signature, err = evidence.Sign(m.Signer, evidence.NamespaceDeposit, document)
	return err
}

// envelopes shows a sealer to the Git intake as it wants to see it.
type envelopes struct{ *vault.Sealer }

// Create implements git.Vault.
func (e envelopes) Create(ctx context.Context, role string) (git.Envelope, error) {
	return e.Sealer.Create(ctx, role)
}
