package vault

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// Tx is the state an acceptance reads and writes.
type Tx interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	Module(ctx context.Context, arrangement, id string) (escrow.Module, error)
	Contact(ctx context.Context, arrangement, party, person string) (escrow.Contact, error)
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
	Deposit(ctx context.Context, arrangement, module string, number int) (escrow.Deposit, error)
	LatestDeposit(ctx context.Context, arrangement, module string) (escrow.Deposit, error)
	SourceState(ctx context.Context, arrangement, module string) (escrow.SourceState, error)
	PutDeposit(ctx context.Context, d escrow.Deposit) error
	PutSourceState(ctx context.Context, s escrow.SourceState) error
	// ObjectElsewhere returns the first of the named objects that a deposit
	// or the state of another module refers to, "" if there is none.
	ObjectElsewhere(ctx context.Context, arrangement, module string, names []string) (string, error)
	// DestroyedObject returns the first of names that was destroyed for good.
	DestroyedObject(ctx context.Context, names []string) (string, error)
	Destroyed(ctx context.Context, arrangement, module string) ([]escrow.Destroyed, error)
	PutMark(ctx context.Context, m escrow.Mark) error
	Unchanged(ctx context.Context, arrangement, module string) (escrow.Unchanged, error)
	PutUnchanged(ctx context.Context, u escrow.Unchanged) error
	PutDefects(ctx context.Context, d escrow.FoundDefects) error
	PutDecision(ctx context.Context, d escrow.Decision) error
}

// Terms answers from the text of an agreement.
type Terms interface {
	// Content returns what must be in every deposit of a module that can be
	// looked for, see [escrow.Findable], and whether the check at intake
	// decides: nobody looks at the deposit afterwards.
	Content(source []byte, module string) (items []string, decides bool, err error)
}

// Objects tells whether sealed objects are there; every blob.Store does.
type Objects interface {
	Open(ctx context.Context, name string) (blob.Reader, error)
	Stat(ctx context.Context, name string) (int64, error)
}

// Vault accepts deposits.
type Vault struct {
	db      escrow.Database[Tx]
	objects Objects
	terms   Terms
	now     func() time.Time
	server  string // the server's SSH public key, which signs pulled deposits
}

// New returns a vault over db and objects. serverKey is the SSH public key
// that signs the manifests of pulled deposits.
func New(db escrow.Database[Tx], objects Objects, terms Terms, now func() time.Time, serverKey string) *Vault {
	return &Vault{db: db, objects: objects, terms: terms, now: now, server: serverKey}
}

// ServerName is how manifests name the server as their maker.
const ServerName = "server"

// Accept acknowledges a deposit: everything it names is durable, follows its
// predecessor, is sealed to the active epoch and signed by who may. After
// Accept has returned without an error, the deposit is never lost unseen.
//
// Submitting the latest deposit again returns it unchanged, so that a
// depositor whose connection broke can simply repeat.
func (v *Vault) Accept(ctx context.Context, actor escrow.Actor, arrangement, module string, s escrow.Submission) (escrow.Deposit, error) {
	m, err := evidence.ParseDepositManifest(s.Manifest)
	if err != nil {
		return escrow.Deposit{}, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if m.Arrangement != arrangement || m.Module != module {
		return escrow.Deposit{}, escrow.Errorf(escrow.Invalid, "the manifest is for %s/%s, not %s/%s", m.Arrangement, m.Module, arrangement, module)
	}
	if m.State == "" && len(s.Segments) > 0 {
		return escrow.Deposit{}, escrow.Errorf(escrow.Invalid, "sets of known ids without the state they belong to")
	}
	d := newDeposit(m, s, v.now().UTC().Truncate(time.Microsecond)) // as it is kept
	if old, err := v.repeated(ctx, d); err != nil || old.Number > 0 {
		if err == nil {
			err = v.stillThere(ctx, old)
		}
		return old, err
	}
	// Objects are looked at before the transaction: they never change, and a
	// write transaction must not wait for a disk or a bucket.
	sealTo, err := v.sealedTo(ctx, arrangement, m)
	if err != nil {
		return escrow.Deposit{}, err
	}
	if err := v.checkObjects(ctx, m, s.Segments, len(sealTo)); err != nil {
		return escrow.Deposit{}, err
	}
	_, err = v.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if err := v.fits(ctx, tx, actor, m, s); err != nil {
			return nil, err
		}
		if err := tx.PutDeposit(ctx, d); err != nil {
			return nil, err
		}
		if m.State != "" {
			state := escrow.SourceState{Arrangement: arrangement, Module: module, Deposit: m.Number, State: m.State, Segments: s.Segments, Chain: m.Chain}
			if err := tx.PutSourceState(ctx, state); err != nil {
				return nil, err
			}
		}
		suspicious, err := marked(ctx, tx, actor, m, d)
		if err != nil {
			return nil, err
		}
		lacking, err := v.lacking(ctx, tx, m, d)
		return slices.Concat(acts(actor, m, d), suspicious, lacking), err
	})
	if err != nil {
		return escrow.Deposit{}, err
	}
	return d, nil
}

func newDeposit(m *evidence.DepositManifest, s escrow.Submission, now time.Time) escrow.Deposit {
	d := escrow.Deposit{Arrangement: m.Arrangement, Module: m.Module, Number: m.Number, Kind: escrow.DepositKind(m.Kind), Predecessor: m.Predecessor,
		Digest: evidence.Digest(s.Manifest), Manifest: s.Manifest, Signature: s.Signature, Compartment: m.Compartment, Epoch: m.Epoch,
		Completeness: escrow.Completeness(m.Completeness), StoredBytes: int64(len(s.Manifest) + len(s.Signature)), AcceptedAt: now}
	for _, o := range m.Objects {
		d.Objects = append(d.Objects, escrow.Object{Name: o.Name, Size: o.Size})
		d.StoredBytes += o.Size
	}
	return d
}

// repeated returns the deposit of this number when it is exactly this one, so
// that its time is when it was accepted and not when it was repeated; the zero
// deposit otherwise.
func (v *Vault) repeated(ctx context.Context, d escrow.Deposit) (escrow.Deposit, error) {
	var old escrow.Deposit
	err := v.db.View(ctx, func(tx Tx) error {
		var err error
		old, err = tx.Deposit(ctx, d.Arrangement, d.Module, d.Number)
		return err
	})
	switch {
	case escrow.CodeOf(err) == escrow.NotFound, err == nil && old.Digest != d.Digest:
		return escrow.Deposit{}, nil
	}
	return old, err
}

// stillThere asks for what went missing since a deposit was accepted: whoever
// repeats it still has its objects.
func (v *Vault) stillThere(ctx context.Context, d escrow.Deposit) error {
	for _, o := range d.Objects {
		if _, err := v.objects.Stat(ctx, o.Name); escrow.CodeOf(err) == escrow.Missing {
			return escrow.Errorf(escrow.Conflict, "object %s of the accepted deposit %d is not there any more", o.Name, d.Number).
				WithHint("upload it again, then submit the deposit again")
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) sealedTo(ctx context.Context, arrangement string, m *evidence.DepositManifest) ([]string, error) {
	var sealTo []string
	err := v.db.View(ctx, func(tx Tx) error {
		e, err := ActiveEpoch(ctx, tx, arrangement, m.Compartment)
		if err != nil {
			return err
		}
		if e.Number != m.Epoch || e.Set != m.Set {
			return escrow.Errorf(escrow.Conflict, "the deposit is sealed to epoch %d of %s, but epoch %d is active", m.Epoch, m.Compartment, e.Number).
				WithHint("deposit again: it will be sealed to the active epoch")
		}
		keys, err := evidence.ParseKeyManifest(e.Manifest)
		if err != nil {
			return fmt.Errorf("stored key manifest of %s#%d: %w", e.Compartment, e.Number, err)
		}
		sealTo = keys.SealTo()
		return nil
	})
	return sealTo, err
}

// checkObjects makes sure that what the manifest names is there, as long as it
// says, and sealed the way the epoch asks. Who can open it stays hidden: age
// headers are anonymous. What the maker keeps for the next deposit is sealed
// to the maker alone.
func (v *Vault) checkObjects(ctx context.Context, m *evidence.DepositManifest, segments []string, recipients int) error {
	for _, o := range m.Objects {
		sealedTo := recipients
		if _, ok := evidence.ResticFilePlace(o.Role); ok {
			sealedTo = 0 // encrypted by restic, see [restic]
		}
		if err := v.checkObject(ctx, o.Name, o.Size, sealedTo); err != nil {
			return err
		}
	}
	for _, name := range memory(m, segments) {
		if err := v.checkObject(ctx, name, -1, 1); err != nil {
			return err
		}
	}
	return nil
}

// memory names the objects that the maker keeps for the next deposit.
func memory(m *evidence.DepositManifest, segments []string) []string {
	if m.State == "" {
		return nil
	}
	return append([]string{m.State}, segments...)
}

// checkObject looks at one object; a size of −1 is not compared, and with 0
// recipients it is not one that Holdfast sealed.
func (v *Vault) checkObject(ctx context.Context, name string, size int64, recipients int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := v.objects.Open(ctx, name)
	if escrow.CodeOf(err) == escrow.Missing {
		return escrow.Errorf(escrow.Conflict, "object %s was not uploaded", name).WithHint("upload it, then submit the deposit again")
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if size >= 0 && r.Size() != size {
		return escrow.Errorf(escrow.Invalid, "object %s has %d bytes, the manifest says %d", name, r.Size(), size)
	}
	if recipients == 0 {
		return nil
	}
	if _, err := seal.InspectHeader(io.NewSectionReader(r, 0, r.Size()), recipients); err != nil {
		return fmt.Errorf("object %s: %w", name, err)
	}
	return nil
}

// fits checks, inside the transaction, what only holds at one moment: the
// agreement and epoch in force and the place in the chain.
func (v *Vault) fits(ctx context.Context, tx Tx, actor escrow.Actor, m *evidence.DepositManifest, s escrow.Submission) error {
	a, err := tx.Arrangement(ctx, m.Arrangement)
	if err != nil {
		return err
	}
	if m.Agreement != a.Digest {
		return escrow.Errorf(escrow.Conflict, "the deposit rests on agreement %s, but %s is in force", m.Agreement, a.Digest)
	}
	module, err := tx.Module(ctx, m.Arrangement, m.Module)
	if err != nil {
		return err
	}
	if module.Compartment != m.Compartment {
		return escrow.Errorf(escrow.Invalid, "module %s belongs to compartment %s, not %s", m.Module, module.Compartment, m.Compartment)
	}
	if err := v.signed(ctx, tx, actor, module, m, s); err != nil {
		return err
	}
	if err := asItComes(module, m); err != nil {
		return err
	}
	if err := own(ctx, tx, m, s.Segments); err != nil {
		return err
	}
	if err := standing(ctx, tx, m, s.Segments); err != nil {
		return err
	}
	epoch, err := ActiveEpoch(ctx, tx, m.Arrangement, m.Compartment)
	if err != nil {
		return err
	}
	if epoch.Number != m.Epoch || epoch.Set != m.Set {
		return escrow.Errorf(escrow.Conflict, "epoch %d of %s became active while the deposit was made", epoch.Number, m.Compartment).WithHint("deposit again")
	}
	return follows(ctx, tx, m)
}

// own refuses objects of another module: whoever may read this one would come
// to ciphertext that is not handed over to them.
func own(ctx context.Context, tx Tx, m *evidence.DepositManifest, segments []string) error {
	names := memory(m, segments)
	for _, o := range m.Objects {
		names = append(names, o.Name)
	}
	name, err := tx.ObjectElsewhere(ctx, m.Arrangement, m.Module, names)
	if err == nil && name != "" {
		// The same words as for one that is not there: who does not own it
		// learns nothing.
		err = escrow.Errorf(escrow.Conflict, "object %s was not uploaded", name).WithHint("upload it, then submit the deposit again")
	}
	return err
}

// signed checks who made and signed it: the server what it pulls, a person of
// the actor's own party what is pushed.
func (v *Vault) signed(ctx context.Context, tx Tx, actor escrow.Actor, module escrow.Module, m *evidence.DepositManifest, s escrow.Submission) error {
	key, by, checked := v.server, ServerName, evidence.CheckedByServer
	if actor.Role != escrow.Administrator {
		if err := escrow.MayDeposit(actor, module); err != nil {
			return err
		}
		c, err := tx.Contact(ctx, m.Arrangement, actor.Party, actor.Person)
		if escrow.CodeOf(err) == escrow.NotFound {
			return escrow.Errorf(escrow.Forbidden, "%s has no contact card here, so its signature cannot be checked", actor).
				WithHint("let the agent or the supplier bring the card that 'holdfast key new' wrote")
		}
		if err != nil {
			return err
		}
		key, by, checked = c.SigningKey, c.Party+"/"+c.Person, evidence.CheckedByDepositor
	} else if module.Source.Mode != escrow.Pull && module.Source.Mode != escrow.Restic {
		return escrow.Errorf(escrow.Conflict, "module %s is not pulled any more", m.Module)
	}
	if m.Checked.By != checked {
		return escrow.Errorf(escrow.Invalid, "the manifest says that the content was checked by the %s, but %s made it", m.Checked.By, by)
	}
	if m.By != by {
		return escrow.Errorf(escrow.Invalid, "the manifest says it was made by %q, but %q submits it", m.By, by)
	}
	if err := evidence.Verify(key, evidence.NamespaceDeposit, s.Manifest, s.Signature); err != nil {
		return escrow.Errorf(escrow.Invalid, "deposit manifest of %s: %w", by, err)
	}
	return nil
}

// follows checks the deposit's place: the next number, the right predecessor,
// and a chain that one identity can open from its beginning.
func follows(ctx context.Context, tx Tx, m *evidence.DepositManifest) error {
	last, err := tx.LatestDeposit(ctx, m.Arrangement, m.Module)
	switch {
	case escrow.CodeOf(err) == escrow.NotFound:
		last = escrow.Deposit{}
	case err != nil:
		return err
	}
	if m.Number != last.Number+1 || m.Predecessor != last.Digest {
		return escrow.Errorf(escrow.Conflict, "deposit %d of %s does not follow deposit %d, which is the latest", m.Number, m.Module, last.Number).
			WithHint("another deposit came first; deposit again")
	}
	if m.Kind == string(escrow.FullDeposit) {
		return nil
	}
	before, err := evidence.ParseDepositManifest(last.Manifest)
	if err != nil {
		return fmt.Errorf("stored manifest of deposit %d of %s: %w", last.Number, m.Module, err)
	}
	if before.Chain != m.Chain {
		return escrow.Errorf(escrow.Invalid, "deposit %d builds on chain %d, but its predecessor is in chain %d", m.Number, m.Chain, before.Chain)
	}
	if before.Epoch != m.Epoch {
		return escrow.Errorf(escrow.Conflict, "epoch %d of %s begins with a full deposit: its holders could not open what was sealed to epoch %d", m.Epoch, m.Compartment, before.Epoch).
			WithHint("deposit again; a fresh chain starts by itself")
	}
	return nil
}

// EpochReader lists the epochs of a compartment.
type EpochReader interface {
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
}

// ActiveEpoch returns the epoch that deposits of the compartment are sealed
// to, or a Conflict error that says what has to happen first.
func ActiveEpoch(ctx context.Context, tx EpochReader, arrangement, compartment string) (escrow.Epoch, error) {
	list, err := tx.Epochs(ctx, arrangement, compartment)
	if err != nil {
		return escrow.Epoch{}, err
	}
	hint := "run a key ceremony first: holdfast ceremony deal"
	for _, e := range list {
		switch e.State {
		case escrow.EpochActive:
			return e, nil
		case escrow.EpochDealt:
			hint = fmt.Sprintf("epoch %d was dealt and waits for its trustees to accept their shares", e.Number)
		}
	}
	return escrow.Epoch{}, escrow.Errorf(escrow.Conflict, "compartment %s has no active key: nothing can be sealed to it", compartment).WithHint("%s", hint)
}

func acts(actor escrow.Actor, m *evidence.DepositManifest, d escrow.Deposit) []escrow.Act {
	list := []escrow.Act{{Kind: evidence.ActDepositAccepted, At: d.AcceptedAt, Actor: actor.String(), Arrangement: d.Arrangement, Subject: d.Digest,
		Data: map[string]any{"module": d.Module, "number": d.Number, "kind": string(d.Kind), "compartment": d.Compartment, "epoch": d.Epoch,
			"objects": len(d.Objects), "stored_bytes": d.StoredBytes, "completeness": string(d.Completeness)}}}
	if m.Git != nil {
		if finding := rewrittenHistory(m.Git.Changes); finding != nil {
			finding["module"], finding["deposit"] = d.Module, d.Number
			list = append(list, escrow.Act{Kind: "finding.history", At: d.AcceptedAt, Actor: actor.String(), Arrangement: d.Arrangement, Subject: d.Digest, Data: finding})
		}
	}
	if d.Completeness == escrow.Incomplete {
		list = append(list, escrow.Act{Kind: "finding.incomplete", At: d.AcceptedAt, Actor: actor.String(), Arrangement: d.Arrangement, Subject: d.Digest,
			Data: map[string]any{"module": d.Module, "deposit": d.Number, "missing": shortened(m.Missing)}})
	}
	return list
}

// maxListed and maxText keep an act small, whatever a depositor writes; the
// manifest has the whole list.
const (
	maxListed = 100
	maxText   = 300
)

func shortened(list []string) []string {
	out := []string{}
	for _, s := range list[:min(len(list), maxListed)] {
		out = append(out, shorten(s))
	}
	return out
}

func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// rewrittenHistory picks the changes that take something away from what was
// there before, and says how grave they are together.
func rewrittenHistory(changes []evidence.RefChange) map[string]any {
	listed := []evidence.RefChange{}
	count, lost := 0, 0
	for _, c := range changes {
		if !c.TakesAway() {
			continue
		}
		if count++; count <= maxListed {
			listed = append(listed, evidence.RefChange{Ref: shorten(c.Ref), Kind: c.Kind, Old: shorten(c.Old), New: shorten(c.New)})
		}
		if c.Kind == evidence.RefDeleted && strings.HasPrefix(c.Ref, "refs/tags/") {
			lost++
		}
	}
	if count == 0 {
		return nil
	}
	return map[string]any{"severity": "high", "changes": listed, "count": count, "tags_lost": lost,
		"note": "the objects deposited before stay restorable from the earlier deposits"}
}
