// Package export writes and reads the directory in which an arrangement, or
// what a case released, leaves Holdfast: ciphertext, manifests, proofs, shares
// and a guide, enough to check and open everything with stock tools and no
// server.
//
// It may import evidence, client, escrow and seal, and git's restore recipe.
package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// The places in an export. docs/formats.md describes them.
const (
	indexFile      = "index.json"
	combinerFile   = "combine.py"
	filesScript    = "files.py"
	agreementFile  = "agreement.yaml"
	canonicalFile  = "agreement.json"
	entriesFile    = "ledger/entries.jsonl"
	checkpointFile = "ledger/checkpoint"
	manifestFile   = "manifest.json"
	receiptFile    = "receipt.json"
	statementFile  = "case/statement.json"
	approvalsDir   = "case/approvals"
	objectsDir     = "objects"
	contactsDir    = "contacts"
	signatureEnd   = ".sig"
)

// Format names the layout.
const Format = "holdfast-export/v1"

// Index says what an export holds. It is a convenience, not evidence: every
// claim in it is checked against signed documents when the export is opened.
type Index struct {
	Format      string   `json:"format"`
	Arrangement string   `json:"arrangement"`
	Server      Server   `json:"server"`
	Case        string   `json:"case,omitempty"`
	Epochs      []Epoch  `json:"epochs"`
	Modules     []Module `json:"modules"`
}

// Server is what the server that made the deposits signs with. Compare both
// with what was published or pinned before.
type Server struct {
	LedgerKey  string `json:"ledger_key"`
	SigningKey string `json:"signing_key"`
}

// Epoch names a key manifest of the export.
type Epoch struct {
	Compartment string `json:"compartment"`
	Number      int    `json:"number"`
}

// Module names the deposits of one module in the export.
type Module struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

func depositDir(module string, number int) string {
	return filepath.Join("deposits", filepath.FromSlash(module), fmt.Sprintf("%06d", number))
}

func epochDir(compartment string, number int) string {
	return filepath.Join("keys", filepath.FromSlash(compartment), fmt.Sprintf("%06d", number))
}

// ObjectPath is where an object lies, relative to the export.
func ObjectPath(name string) string { return filepath.Join(objectsDir, name) }

// Export is an export that was opened. Its documents are parsed and its index
// agrees with them; signatures and proofs are checked by [Export.Verify].
type Export struct {
	Dir       string
	Index     Index
	Epochs    []OpenEpoch
	Deposits  []OpenDeposit // by module, then number
	Contacts  []evidence.Contact
	Statement *evidence.ApprovalStatement // nil without a case
	statement []byte
	Approvals []OpenApproval // as they are there; see [Export.Counted]
}

// OpenEpoch is a key manifest of an export.
type OpenEpoch struct {
	Manifest *evidence.KeyManifest
	Signed   client.Signed
}

// OpenDeposit is a deposit manifest of an export.
type OpenDeposit struct {
	Manifest *evidence.DepositManifest
	Signed   client.Signed
	Receipt  []byte // nil when the export has none

	certificate *evidence.Certificate // of its destruction, nil while its objects are held
	certified   client.Signed
}

// OpenApproval is an approval of an export's case. Whether it is one at all
// has not been looked at: whoever made the export could put anything there,
// and one bad file must not keep the good ones from being used.
type OpenApproval struct {
	File   string
	Signed client.Signed
}

// Open reads an export. Every error names the file.
func Open(dir string) (*Export, error) {
	x := &Export{Dir: dir}
	data, err := x.read(indexFile)
	if err != nil {
		return nil, err
	}
	var index Index
	if err := json.Unmarshal(data, &index); err != nil || index.Format != Format {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not the index of a %s", filepath.Join(dir, indexFile), Format)
	}
	return open(dir, index)
}

func open(dir string, index Index) (*Export, error) {
	x := &Export{Dir: dir, Index: index}
	for _, step := range []func() error{x.openEpochs, x.openDeposits, x.openContacts, x.openCase} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// maxDeposits bounds the deposits of one module in an export.
const maxDeposits = 1 << 20

// maxDocument bounds one document of an export.
const maxDocument = 32 << 20

func (x *Export) read(path string) ([]byte, error) {
	full := filepath.Join(x.Dir, path)
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, escrow.Errorf(escrow.Missing, "the export has no %s", path)
	case err != nil:
		return nil, escrow.Wrap(err, escrow.Invalid, "%s", full)
	case info.Size() > maxDocument:
		return nil, escrow.Errorf(escrow.Invalid, "%s is larger than a document can be", full)
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "%s", full)
	}
	return data, nil
}

func (x *Export) signed(path string) (client.Signed, error) {
	document, err := x.read(path)
	if err != nil {
		return client.Signed{}, err
	}
	signature, err := x.read(path + signatureEnd)
	return client.Signed{Document: string(document), Signature: string(signature)}, err
}

func (x *Export) openEpochs() error {
	for _, e := range x.Index.Epochs {
		if !evidence.IsID(e.Compartment) {
			return escrow.Errorf(escrow.Damaged, "%s names compartment %q", indexFile, e.Compartment)
		}
		path := filepath.Join(epochDir(e.Compartment, e.Number), manifestFile)
		signed, err := x.signed(path)
		if err != nil {
			return err
		}
		m, err := evidence.ParseKeyManifest([]byte(signed.Document))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", path, err)
		}
		if m.Arrangement != x.Index.Arrangement || m.Compartment != e.Compartment || m.Epoch != e.Number {
			return escrow.Errorf(escrow.Damaged, "%s is the key manifest of %s/%s, epoch %d", path, m.Arrangement, m.Compartment, m.Epoch)
		}
		x.Epochs = append(x.Epochs, OpenEpoch{m, signed})
	}
	return nil
}

func (x *Export) openDeposits() error {
	for _, m := range x.Index.Modules {
		if m.From < 1 || m.To < m.From || m.To-m.From >= maxDeposits {
			return escrow.Errorf(escrow.Damaged, "%s names deposits %d to %d of a module", indexFile, m.From, m.To)
		}
		if !evidence.IsID(m.ID) {
			return escrow.Errorf(escrow.Damaged, "%s names module %q", indexFile, m.ID)
		}
		for n := m.From; n <= m.To; n++ {
			dir := depositDir(m.ID, n)
			signed, err := x.signed(filepath.Join(dir, manifestFile))
			if err != nil {
				return err
			}
			d, err := evidence.ParseDepositManifest([]byte(signed.Document))
			if err != nil {
				return escrow.Errorf(escrow.Damaged, "%s: %w", dir, err)
			}
			if d.Module != m.ID || d.Number != n || d.Arrangement != x.Index.Arrangement {
				return escrow.Errorf(escrow.Damaged, "%s holds the manifest of %s/%s deposit %d", dir, d.Arrangement, d.Module, d.Number)
			}
			receipt, err := x.read(filepath.Join(dir, receiptFile))
			if err != nil && escrow.CodeOf(err) != escrow.Missing {
				return err
			}
			open := OpenDeposit{Manifest: d, Signed: signed, Receipt: receipt}
			if err := x.openDestroyed(&open, dir); err != nil {
				return err
			}
			x.Deposits = append(x.Deposits, open)
		}
	}
	return nil
}

func (x *Export) openContacts() error {
	entries, err := os.ReadDir(filepath.Join(x.Dir, contactsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", contactsDir)
	}
	for _, e := range entries {
		data, err := x.read(filepath.Join(contactsDir, e.Name()))
		if err != nil {
			return err
		}
		c, err := evidence.ParseContact(data)
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", e.Name(), err)
		}
		x.Contacts = append(x.Contacts, *c)
	}
	return nil
}

func (x *Export) openCase() error {
	if x.Index.Case == "" {
		return nil
	}
	var err error
	if x.statement, err = x.read(statementFile); err != nil {
		return err
	}
	if x.Statement, err = evidence.ParseStatement(x.statement); err != nil {
		return escrow.Errorf(escrow.Damaged, "%s: %w", statementFile, err)
	}
	entries, err := os.ReadDir(filepath.Join(x.Dir, approvalsDir))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "%s", approvalsDir)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		signed, err := x.signed(filepath.Join(approvalsDir, e.Name()))
		if err != nil {
			return err
		}
		x.Approvals = append(x.Approvals, OpenApproval{e.Name(), signed})
	}
	return nil
}

// Epoch returns the key manifest of an epoch.
func (x *Export) Epoch(compartment string, number int) (OpenEpoch, error) {
	for _, e := range x.Epochs {
		if e.Manifest.Compartment == compartment && e.Manifest.Epoch == number {
			return e, nil
		}
	}
	return OpenEpoch{}, escrow.Errorf(escrow.Missing, "the export has no key manifest of %s, epoch %d", compartment, number)
}

// Module returns the deposits of a module up to number at (0: all), in order.
func (x *Export) Module(id string, at int) ([]OpenDeposit, error) {
	var out []OpenDeposit
	for _, d := range x.Deposits {
		if d.Manifest.Module == id && (at == 0 || d.Manifest.Number <= at) {
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		return nil, escrow.Errorf(escrow.NotFound, "the export has no deposit of module %q", id)
	}
	if at > 0 && out[len(out)-1].Manifest.Number != at {
		return nil, escrow.Errorf(escrow.NotFound, "the export has no deposit %d of module %q; the last is %d", at, id, out[len(out)-1].Manifest.Number)
	}
	return out, nil
}

// Modules returns the ids of the modules held, in order.
func (x *Export) Modules() []string {
	var ids []string
	for _, m := range x.Index.Modules {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}
