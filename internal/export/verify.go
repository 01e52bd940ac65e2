package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// Report counts what was checked and held.
type Report struct {
	Entries    int64     `json:"ledger_entries"`
	Opened     int64     `json:"entries_opened"`
	Deposits   int       `json:"deposits"`
	Destroyed  int       `json:"destroyed,omitempty"` // of the deposits: their objects are gone, with certificates
	Receipts   int       `json:"receipts"`
	Objects    int       `json:"objects"`
	Bytes      int64     `json:"bytes"`
	Epochs     int       `json:"key_manifests"`
	Approvals  int       `json:"approvals"`
	Signatures int       `json:"signatures"`
	Trusted    []Trusted `json:"trusted"`
	Notes      []string  `json:"notes,omitempty"`
}

// Trusted is a public key that what was checked rests on.
type Trusted struct {
	Who      string `json:"who"`
	Key      string `json:"key"`
	Compared bool   `json:"compared"` // with what the caller knew from elsewhere
}

// Progress is told how many bytes of objects have been read, of how many.
type Progress func(done, total int64)

// Checks say against what an export is verified.
type Checks struct {
	// LedgerKey is the ledger's key as pinned or published; "" takes the one
	// that came with the export.
	LedgerKey string
	// Pins are states of the ledger seen before: it must contain them.
	Pins []evidence.Pin
	// Cards are contact cards that came another way. Whoever they are of has
	// no other key anywhere in the export.
	Cards []evidence.Contact
	// Lenient takes approvals that do not hold as not there, as long as the
	// others are enough. Otherwise the first that does not hold is the error.
	Lenient bool
	// Module leaves all other modules out: what is wrong with them must not
	// keep somebody from this one.
	Module string
	// WithoutObjects leaves the objects out: whoever opens them next compares
	// them then.
	WithoutObjects bool
	Progress       Progress
}

// Verify checks everything in the export offline: every signature, every
// receipt against the exported ledger, the ledger's tree against its signed
// checkpoint and the pins, keys against the cards and the acts that pinned
// them, that nothing which the ledger or the approved statement names is left
// out, and every object against its name. The first thing that does not hold
// is the error; it names the file or the index of the entry.
func (x *Export) Verify(ctx context.Context, c Checks) (*Report, error) {
	v := &verifier{x: x, checks: c, report: &Report{}, receipts: map[int64][32]byte{}}
	for _, d := range x.Deposits {
		if v.concerns(d.Manifest.Module) {
			v.held = append(v.held, d)
		}
	}
	for _, step := range []func() error{v.parseReceipts, v.ledger, v.agreement, v.keys, v.deposits, v.destroyed, v.complete, v.approvals, v.copies, v.trust} {
		if err := step(); err != nil {
			return v.report, err
		}
	}
	if c.WithoutObjects {
		return v.report, nil
	}
	return v.report, v.objects(ctx)
}

type verifier struct {
	x      *Export
	checks Checks
	report *Report
	policy evidence.Policy

	held     []OpenDeposit      // those that are looked at
	receipts map[int64][32]byte // what receipts say is at an index
	accepted []acceptedAct      // what the ledger says was accepted
	agreed   []string           // digests of the agreements that are named anywhere
	pinned   map[string]string  // party/person → signing key, as the ledger recorded it
}

type acceptedAct struct {
	index  int64
	module string
	number int
	digest string
}

func (v *verifier) concerns(module string) bool {
	return v.checks.Module == "" || v.checks.Module == module
}

func (v *verifier) parseReceipts() error {
	for _, d := range v.held {
		if d.Receipt == nil {
			return escrow.Errorf(escrow.Missing, "%s has no receipt", depositName(d.Manifest))
		}
		r, err := evidence.ParseReceipt(d.Receipt)
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "receipt of %s: %w", depositName(d.Manifest), err)
		}
		act, err := r.Act()
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "receipt of %s: %w", depositName(d.Manifest), err)
		}
		salt, err := hex.DecodeString(r.Salt)
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "receipt of %s: %w", depositName(d.Manifest), err)
		}
		v.receipts[act.Index] = evidence.Commit(salt, []byte(r.Payload))
	}
	return nil
}

func depositName(m *evidence.DepositManifest) string {
	return fmt.Sprintf("deposit %d of %s", m.Number, m.Module)
}

func (v *verifier) ledger() error {
	key := v.x.Index.Server.LedgerKey
	if v.checks.LedgerKey != "" && key != v.checks.LedgerKey {
		return escrow.Errorf(escrow.WrongKey, "the export names ledger key %s, you expect %s", key, v.checks.LedgerKey)
	}
	var err error
	if v.policy, err = evidence.NewPolicy(key, nil, 0); err != nil {
		return escrow.Errorf(escrow.Damaged, "ledger key of the export: %w", err)
	}
	checkpoint, err := v.x.read(checkpointFile)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(v.x.Dir, entriesFile))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "%s", entriesFile)
	}
	defer f.Close()
	_, entries, err := evidence.ReadExport(f)
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%s: %w", entriesFile, err)
	}
	report, err := evidence.VerifyExport(v.watched(entries), checkpoint, v.policy, v.checks.Pins...)
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%w", err)
	}
	for index := range v.receipts {
		if index >= report.Checkpoint.Size {
			return escrow.Errorf(escrow.Missing, "a receipt is of entry %d, but the exported ledger ends at %d", index, report.Checkpoint.Size)
		}
	}
	v.report.Entries, v.report.Opened = report.Checkpoint.Size, report.Open
	v.report.Signatures++
	return nil
}

// agreement checks that the text is one that something signed or recorded
// rests on.
func (v *verifier) agreement() error {
	data, err := v.x.read(canonicalFile)
	if escrow.CodeOf(err) == escrow.Missing {
		return nil // withheld from whoever made the export
	}
	if err != nil {
		return err
	}
	for _, e := range v.x.Epochs {
		v.agreed = append(v.agreed, e.Manifest.Agreement)
	}
	for _, d := range v.held {
		v.agreed = append(v.agreed, d.Manifest.Agreement)
	}
	if v.x.Statement != nil {
		v.agreed = append(v.agreed, v.x.Statement.Agreement)
	}
	if digest := evidence.Digest(data); !slices.Contains(v.agreed, digest) {
		return escrow.Errorf(escrow.Damaged, "%s has digest %s, which nothing in the export rests on", canonicalFile, digest)
	}
	return nil
}

// keys checks every key manifest, and that nobody has two keys.
func (v *verifier) keys() error {
	for _, e := range v.x.Epochs {
		m, err := seal.OpenManifest([]byte(e.Signed.Document), []byte(e.Signed.Signature))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%w", err)
		}
		what := fmt.Sprintf("the key manifest of %s, epoch %d,", m.Compartment, m.Epoch)
		if err := v.sameKey(what, m.Dealer.Party, m.Dealer.Person, "", m.Dealer.Key); err != nil {
			return err
		}
		for _, t := range m.Trustees {
			for _, p := range t.People {
				if err := v.sameKey(what, t.Party, p.Person, p.Recipient, p.Key); err != nil {
					return err
				}
			}
		}
		for _, r := range m.Recipients {
			if err := v.sameKey(what, r.Party, r.Person, r.Recipient, ""); err != nil {
				return err
			}
		}
		v.report.Epochs++
		v.report.Signatures++
	}
	return nil
}

// sameKey compares keys with the cards that are known: those that came with
// the export, those the caller has from elsewhere, and what the ledger
// recorded when a card was pinned.
func (v *verifier) sameKey(what, party, person, recipient, key string) error {
	for _, list := range [][]evidence.Contact{v.checks.Cards, v.x.Contacts} {
		for _, c := range list {
			if c.Party != party || c.Person != person {
				continue
			}
			if key != "" && c.Key != key || recipient != "" && c.Recipient != recipient {
				return escrow.Errorf(escrow.Damaged, "%s has other keys for %s/%s than their contact card", what, party, person).
					WithHint("compare fingerprints with %s over another channel: one of the two is wrong", person)
			}
		}
	}
	if recorded, ok := v.pinned[party+"/"+person]; ok && key != "" && recorded != key {
		return escrow.Errorf(escrow.Damaged, "%s has another signing key for %s/%s than the one the ledger recorded", what, party, person)
	}
	return nil
}

func (v *verifier) deposits() error {
	for _, c := range v.x.Contacts {
		if err := v.sameKey("their contact card", c.Party, c.Person, c.Recipient, c.Key); err != nil {
			return err
		}
	}
	var before *OpenDeposit
	for i := range v.held {
		d := &v.held[i]
		if before != nil && before.Manifest.Module != d.Manifest.Module {
			before = nil
		}
		if err := v.deposit(d, before); err != nil {
			return err
		}
		before = d
	}
	return nil
}

func (v *verifier) deposit(d, before *OpenDeposit) error {
	m, name := d.Manifest, depositName(d.Manifest)
	digest := evidence.Digest([]byte(d.Signed.Document))
	key, err := v.x.signer(m.By)
	if err != nil {
		return err
	}
	if err := evidence.Verify(key, evidence.NamespaceDeposit, []byte(d.Signed.Document), []byte(d.Signed.Signature)); err != nil {
		return escrow.Errorf(escrow.Damaged, "%s: %w", name, err)
	}
	v.report.Signatures++
	epoch, err := v.x.Epoch(m.Compartment, m.Epoch)
	switch {
	case err != nil:
		return err
	case epoch.Manifest.Set != m.Set:
		return escrow.Errorf(escrow.Damaged, "%s names set %.16s…, the key manifest of its epoch %.16s…", name, m.Set, epoch.Manifest.Set)
	case before != nil && m.Predecessor != evidence.Digest([]byte(before.Signed.Document)):
		return escrow.Errorf(escrow.Damaged, "%s does not follow deposit %d: another predecessor is named", name, before.Manifest.Number)
	case before != nil && m.Chain != m.Number && m.Chain != before.Manifest.Chain:
		return escrow.Errorf(escrow.Damaged, "%s builds on chain %d, its predecessor on %d", name, m.Chain, before.Manifest.Chain)
	}
	receipt, err := evidence.ParseReceipt(d.Receipt)
	if err == nil {
		_, err = evidence.VerifyReceipt(receipt, v.policy, digest)
	}
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "receipt of %s: %w", name, err)
	}
	v.report.Receipts++
	v.report.Deposits++
	return nil
}

// complete checks that nothing was left out: what the ledger says was
// accepted is there as it was accepted, and so is all that was approved.
func (v *verifier) complete() error {
	held := map[string]string{} // module and number → digest
	at := func(module string, number int) string { return fmt.Sprintf("%s %d", module, number) }
	for _, d := range v.held {
		held[at(d.Manifest.Module, d.Manifest.Number)] = evidence.Digest([]byte(d.Signed.Document))
	}
	for _, a := range v.accepted {
		switch digest, ok := held[at(a.module, a.number)]; {
		case !v.concerns(a.module):
		case ok && digest != a.digest:
			return escrow.Errorf(escrow.Damaged, "deposit %d of %s is not the one that entry %d of the ledger records", a.number, a.module, a.index)
		case !ok && v.x.Index.Case == "":
			return escrow.Errorf(escrow.Missing, "the export leaves out deposit %d of %s, which entry %d of the ledger records", a.number, a.module, a.index)
		}
	}
	if v.x.Statement == nil {
		return nil
	}
	for _, r := range v.x.Statement.Deposits {
		if !v.concerns(r.Module) {
			continue
		}
		for n := r.From; n <= r.To; n++ {
			if _, ok := held[at(r.Module, n)]; !ok {
				return escrow.Errorf(escrow.Missing, "deposit %d of %s was approved and is not in the export", n, r.Module)
			}
		}
	}
	return nil
}

// signer finds the public key of whoever a manifest says made it.
func (x *Export) signer(by string) (string, error) {
	if by == "server" {
		return x.Index.Server.SigningKey, nil
	}
	for _, c := range x.Contacts {
		if c.Party+"/"+c.Person == by {
			return c.Key, nil
		}
	}
	return "", escrow.Errorf(escrow.Missing, "the export has no contact card of %s, who signed a deposit", by)
}

func (v *verifier) approvals() error {
	if v.x.Statement == nil {
		return nil
	}
	if v.x.Statement.Case != v.x.Index.Case || v.x.Statement.Arrangement != v.x.Index.Arrangement {
		return escrow.Errorf(escrow.Damaged, "%s is about case %s of %s", statementFile, v.x.Statement.Case, v.x.Statement.Arrangement)
	}
	v.report.Signatures += len(v.x.Approvals)
	good, err := v.x.Counted(!v.checks.Lenient)
	v.report.Approvals = len(good)
	return err
}

// Counted returns the approvals that hold and count towards the quorum of the
// statement, or an error with code BelowQuorum that says what is missing.
// Strict makes the first that does not hold the error instead. The time is the
// one each approval states: the server counted by its own clock.
func (x *Export) Counted(strict bool) ([]*evidence.Approval, error) {
	epoch, err := x.Epoch(x.Statement.Compartment, x.Statement.Epoch)
	if err != nil {
		return nil, err
	}
	signed := make([]seal.Signed, len(x.Approvals))
	for i, a := range x.Approvals {
		signed[i] = seal.Signed{Document: []byte(a.Signed.Document), Signature: []byte(a.Signed.Signature)}
		if doc, err := evidence.ParseApproval(signed[i].Document); err == nil {
			signed[i].ReceivedAt = doc.At.Time
		}
		if !strict {
			continue
		}
		if _, err := seal.CheckApproval(epoch.Manifest, x.Statement, signed[i]); err != nil {
			return nil, escrow.Errorf(escrow.Damaged, "%s: %w", filepath.Join(approvalsDir, a.File), err)
		}
	}
	status, err := seal.Quorum(epoch.Manifest, x.Statement, signed)
	if err != nil {
		return nil, err
	}
	if !status.Reached {
		refusal := escrow.Errorf(escrow.BelowQuorum, "%s", status)
		for _, r := range status.Rejected {
			refusal = refusal.WithHint("not counted: %s", r.Reason)
		}
		return nil, refusal
	}
	// All that hold are returned, not only the first of each organisation:
	// what is inside only a recipient can see.
	var good []*evidence.Approval
	for _, s := range signed {
		if doc, err := seal.CheckApproval(epoch.Manifest, x.Statement, s); err == nil {
			good = append(good, doc)
		}
	}
	return good, nil
}

// trust lists the keys that all of it rests on.
func (v *verifier) trust() error {
	add := func(who, key string, compared bool) {
		for _, t := range v.report.Trusted {
			if t.Who == who {
				return
			}
		}
		v.report.Trusted = append(v.report.Trusted, Trusted{who, key, compared})
	}
	carded := func(name string) bool {
		for _, c := range v.checks.Cards {
			if c.Party+"/"+c.Person == name {
				return true
			}
		}
		return false
	}
	add("ledger", v.x.Index.Server.LedgerKey, v.checks.LedgerKey != "")
	for _, e := range v.x.Epochs {
		d := e.Manifest.Dealer
		add("dealer "+d.Party+"/"+d.Person, d.Key, carded(d.Party+"/"+d.Person))
	}
	for _, d := range v.held {
		key, err := v.x.signer(d.Manifest.By)
		if err != nil {
			return err
		}
		add("depositor "+d.Manifest.By, key, carded(d.Manifest.By))
	}
	return nil
}

func (v *verifier) objects(ctx context.Context) error {
	var total, done int64
	for _, d := range v.held {
		if d.certificate != nil {
			continue
		}
		for _, o := range d.Manifest.Objects {
			total += o.Size
		}
	}
	for _, d := range v.held {
		if d.certificate != nil {
			continue
		}
		for _, o := range d.Manifest.Objects {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := v.x.CheckObject(o); err != nil {
				return fmt.Errorf("%s: %w", depositName(d.Manifest), err)
			}
			done += o.Size
			v.report.Objects++
			v.report.Bytes += o.Size
			if v.checks.Progress != nil {
				v.checks.Progress(done, total)
			}
		}
	}
	return nil
}

// CheckObject reads an object and compares it with its name and size.
func (x *Export) CheckObject(o evidence.ObjectEntry) error {
	f, err := x.OpenObject(o)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if n, err := io.Copy(h, f); err != nil {
		return escrow.Wrap(err, escrow.Damaged, "object %s cannot be read past byte %d", o.Name, n)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != o.Name {
		return escrow.Errorf(escrow.Damaged, "object %s is damaged: its bytes have the digest %s", o.Name, got).
			WithHint("fetch the export again, or take the object from another copy")
	}
	return nil
}

// OpenObject opens an object whose size is right. Its bytes are not compared
// with its name.
func (x *Export) OpenObject(o evidence.ObjectEntry) (*os.File, error) {
	f, err := os.Open(filepath.Join(x.Dir, ObjectPath(o.Name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, escrow.Errorf(escrow.Missing, "object %s is not in the export", o.Name)
	}
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "object %s", o.Name)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < o.Size {
		err = escrow.Errorf(escrow.Missing, "object %s is cut off: %d of %d bytes are there", o.Name, info.Size(), o.Size)
	} else if err == nil && info.Size() > o.Size {
		err = escrow.Errorf(escrow.Damaged, "object %s has %d bytes, recorded are %d", o.Name, info.Size(), o.Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
