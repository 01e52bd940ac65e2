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

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Report counts what was checked and held.
type Report struct {
	Entries    int64 `json:"ledger_entries"`
	Opened     int64 `json:"entries_opened"`
	Deposits   int   `json:"deposits"`
	Receipts   int   `json:"receipts"`
	Objects    int   `json:"objects"`
	Bytes      int64 `json:"bytes"`
	Epochs     int   `json:"key_manifests"`
	Approvals  int   `json:"approvals"`
	Signatures int   `json:"signatures"`
}

// Progress is told how many bytes of objects have been read, of how many.
type Progress func(done, total int64)

// Verify checks everything in the export offline: every signature, every
// receipt against the exported ledger, the ledger's tree against its signed
// checkpoint, and every object against its name. The first thing that does
// not hold is the error; it names the file or the index of the entry. The
// ledger must also contain what every pin saw.
func (x *Export) Verify(ctx context.Context, progress Progress, pins ...evidence.Pin) (*Report, error) {
	r := &Report{}
	policy, err := evidence.NewPolicy(x.Index.Server.LedgerKey, nil, 0)
	if err != nil {
		return r, escrow.Errorf(escrow.Damaged, "ledger key of the export: %w", err)
	}
	if err := x.verifyLedger(policy, r, pins); err != nil {
		return r, err
	}
	for _, e := range x.Epochs {
		if err := evidence.Verify(e.Manifest.Dealer.Key, evidence.NamespaceKeys, []byte(e.Signed.Document), []byte(e.Signed.Signature)); err != nil {
			return r, escrow.Errorf(escrow.Damaged, "key manifest of %s, epoch %d: %w", e.Manifest.Compartment, e.Manifest.Epoch, err)
		}
		r.Epochs++
		r.Signatures++
	}
	if err := x.verifyDeposits(policy, r); err != nil {
		return r, err
	}
	if err := x.verifyApprovals(r); err != nil {
		return r, err
	}
	return r, x.verifyObjects(ctx, r, progress)
}

func (x *Export) verifyLedger(policy evidence.Policy, r *Report, pins []evidence.Pin) error {
	checkpoint, err := x.read(checkpointFile)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(x.Dir, entriesFile))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "%s", entriesFile)
	}
	defer f.Close()
	_, entries, err := evidence.ReadExport(f)
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%s: %w", entriesFile, err)
	}
	report, err := evidence.VerifyExport(entries, checkpoint, policy, pins...)
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%w", err)
	}
	r.Entries, r.Opened = report.Checkpoint.Size, report.Open
	r.Signatures++
	return nil
}

func (x *Export) verifyDeposits(policy evidence.Policy, r *Report) error {
	var before OpenDeposit
	for _, d := range x.Deposits {
		m := d.Manifest
		name := fmt.Sprintf("deposit %d of %s", m.Number, m.Module)
		key, err := x.signer(m.By)
		if err != nil {
			return err
		}
		if err := evidence.Verify(key, evidence.NamespaceDeposit, []byte(d.Signed.Document), []byte(d.Signed.Signature)); err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", name, err)
		}
		r.Signatures++
		if p := before.Manifest; p != nil && p.Module == m.Module && m.Predecessor != evidence.Digest([]byte(before.Signed.Document)) {
			return escrow.Errorf(escrow.Damaged, "%s does not follow deposit %d: another predecessor is named", name, p.Number)
		}
		before = d
		if d.Receipt == nil {
			return escrow.Errorf(escrow.Missing, "%s has no receipt", name)
		}
		receipt, err := evidence.ParseReceipt(d.Receipt)
		if err == nil {
			_, err = evidence.VerifyReceipt(receipt, policy, evidence.Digest([]byte(d.Signed.Document)))
		}
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "receipt of %s: %w", name, err)
		}
		r.Receipts++
		r.Deposits++
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

func (x *Export) verifyApprovals(r *Report) error {
	if x.Statement == nil {
		return nil
	}
	epoch, err := x.Epoch(x.Statement.Compartment, x.Statement.Epoch)
	if err != nil {
		return err
	}
	for _, a := range x.Approvals {
		name := fmt.Sprintf("approval of %s/%s", a.Approval.Trustee, a.Approval.Person)
		t := epoch.Manifest.Trustee(a.Approval.Trustee)
		if t == nil || t.Person(a.Approval.Person) == nil {
			return escrow.Errorf(escrow.Damaged, "%s: not in the key manifest", name)
		}
		if a.Approval.Statement != evidence.Digest(x.statement) {
			return escrow.Errorf(escrow.Damaged, "%s is for another statement", name)
		}
		if err := evidence.Verify(t.Person(a.Approval.Person).Key, evidence.NamespaceApproval, []byte(a.Signed.Document), []byte(a.Signed.Signature)); err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", name, err)
		}
		r.Approvals++
		r.Signatures++
	}
	return nil
}

func (x *Export) verifyObjects(ctx context.Context, r *Report, progress Progress) error {
	var total, done int64
	for _, d := range x.Deposits {
		for _, o := range d.Manifest.Objects {
			total += o.Size
		}
	}
	for _, d := range x.Deposits {
		for _, o := range d.Manifest.Objects {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := x.CheckObject(o); err != nil {
				return fmt.Errorf("deposit %d of %s: %w", d.Manifest.Number, d.Manifest.Module, err)
			}
			done += o.Size
			r.Objects++
			r.Bytes += o.Size
			if progress != nil {
				progress(done, total)
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
