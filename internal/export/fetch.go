package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Want says what to fetch. Without a case it is the whole arrangement.
type Want struct {
	Arrangement string
	Case        string // a case in force: its compartment, its deposits, its approvals
	Dir         string // must not exist, or be one an interrupted fetch left
	Progress    Progress
}

// Fetch writes an export. Objects that are there already with the right bytes
// are not fetched again, so an interrupted fetch can be repeated. The index is
// written last: a directory without one is not an export.
func Fetch(ctx context.Context, c *client.Client, keys Server, w Want) (*Export, error) {
	f := &fetcher{ctx: ctx, client: c, want: w, index: Index{Format: Format, Arrangement: w.Arrangement, Server: keys, Case: w.Case}}
	if _, err := os.Stat(filepath.Join(w.Dir, indexFile)); err == nil {
		return nil, escrow.Errorf(escrow.Conflict, "%s is a finished export", w.Dir).WithHint("name a new directory")
	}
	_, err := os.Lstat(w.Dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(filepath.Join(w.Dir, objectsDir), 0o700); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	steps := []func() error{f.agreement, f.contacts, f.deposits, f.ledger, f.objects, f.guide, f.writeIndex}
	for _, step := range steps {
		if err := step(); err != nil {
			if made && f.stored == 0 { // nothing that a repetition would be spared
				_ = os.RemoveAll(w.Dir) // what is left is no export, and a repetition goes on with it
			}
			return nil, err
		}
	}
	return Open(w.Dir)
}

type fetcher struct {
	ctx    context.Context
	client *client.Client
	want   Want
	index  Index
	list   []client.Deposit
	open   []OpenDeposit
	stored int // objects
}

func (f *fetcher) write(path string, data []byte) error {
	full := filepath.Join(f.want.Dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", full)
	}
	if err := os.WriteFile(full, data, 0o600); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", full)
	}
	return nil
}

func (f *fetcher) writeSigned(path string, s client.Signed) error {
	return errors.Join(f.write(path, []byte(s.Document)), f.write(path+signatureEnd, []byte(s.Signature)))
}

func (f *fetcher) agreement() error {
	a, err := f.client.Arrangement(f.ctx, f.want.Arrangement)
	if err != nil {
		return err
	}
	return errors.Join(f.write(agreementFile, []byte(a.Source)), f.write(canonicalFile, []byte(a.Canonical)))
}

func (f *fetcher) contacts() error {
	list, err := f.client.Contacts(f.ctx, f.want.Arrangement)
	if err != nil {
		return err
	}
	for _, c := range list {
		if !evidence.IsName(c.Party) || !evidence.IsName(c.Person) {
			return escrow.Errorf(escrow.Damaged, "the server names a contact %.80q/%.80q", c.Party, c.Person)
		}
		if err := f.write(filepath.Join(contactsDir, c.Party+"--"+c.Person+".contact"), []byte(c.Document)); err != nil {
			return err
		}
	}
	return nil
}

// deposits fetches the manifests: those of the case's hand-over, or all.
func (f *fetcher) deposits() error {
	if f.want.Case != "" {
		h, err := f.client.HandOver(f.ctx, f.want.Arrangement, f.want.Case)
		if err != nil {
			return err
		}
		if err := f.caseFiles(h); err != nil {
			return err
		}
		f.list = h.Deposits
	} else {
		modules, err := f.client.Modules(f.ctx, f.want.Arrangement)
		if err != nil {
			return err
		}
		for _, m := range modules {
			list, err := f.client.Deposits(f.ctx, f.want.Arrangement, m.ID)
			if err != nil {
				return err
			}
			f.list = append(f.list, list...)
		}
	}
	compartments := map[string]bool{}
	for _, d := range f.list {
		m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "the server's manifest of deposit %d of %s: %w", d.Number, d.Module, err)
		}
		if m.Arrangement != f.want.Arrangement || m.Module != d.Module || m.Number != d.Number {
			return escrow.Errorf(escrow.Damaged, "the server gives the manifest of %s deposit %d as that of %s deposit %d", m.Module, m.Number, d.Module, d.Number)
		}
		receipt, err := f.client.Receipt(f.ctx, f.want.Arrangement, m.Module, m.Number)
		if err != nil {
			return err
		}
		dir := depositDir(m.Module, m.Number)
		if err := errors.Join(f.writeSigned(filepath.Join(dir, manifestFile), d.Manifest), f.write(filepath.Join(dir, receiptFile), receipt)); err != nil {
			return err
		}
		f.open = append(f.open, OpenDeposit{Manifest: m, Signed: d.Manifest, Receipt: receipt})
		f.addModule(m)
		compartments[m.Compartment] = true
	}
	for compartment := range compartments {
		if err := f.epochs(compartment); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetcher) addModule(m *evidence.DepositManifest) {
	kind := "other"
	if m.Git != nil {
		kind = string(escrow.Repository)
	}
	last := len(f.index.Modules) - 1
	if last >= 0 && f.index.Modules[last].ID == m.Module {
		f.index.Modules[last].To = m.Number
		return
	}
	f.index.Modules = append(f.index.Modules, Module{ID: m.Module, Kind: kind, From: m.Number, To: m.Number})
}

func (f *fetcher) epochs(compartment string) error {
	list, err := f.client.Epochs(f.ctx, f.want.Arrangement, compartment)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := f.writeSigned(filepath.Join(epochDir(compartment, e.Number), manifestFile), e.Manifest); err != nil {
			return err
		}
		f.index.Epochs = append(f.index.Epochs, Epoch{compartment, e.Number})
	}
	return nil
}

func (f *fetcher) caseFiles(h client.HandOver) error {
	if err := f.write(statementFile, []byte(h.Case.Statement)); err != nil {
		return err
	}
	for _, s := range h.Approvals {
		a, err := evidence.ParseApproval([]byte(s.Document))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "an approval from the server: %w", err)
		}
		name := filepath.Join(approvalsDir, a.Trustee+"--"+a.Person)
		if err := errors.Join(f.writeSigned(name+".json", s), f.write(name+".age", []byte(a.Package))); err != nil {
			return err
		}
	}
	return nil
}

// ledgerPage is how many entries are asked for at once.
const ledgerPage = 1000

// ledger exports the whole tree: entries of other arrangements are closed.
func (f *fetcher) ledger() error {
	answer, err := f.client.Consistency(f.ctx, 0)
	if err != nil {
		return err
	}
	checkpoint, err := evidence.PeekCheckpoint([]byte(answer.Checkpoint))
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "the server's checkpoint: %w", err)
	}
	var out bytes.Buffer
	header, err := evidence.ExportHeader{Format: evidence.LedgerFormat, Origin: checkpoint.Origin, Size: checkpoint.Size}.Line()
	if err != nil {
		return err
	}
	out.Write(header)
	for next := int64(0); next < checkpoint.Size; {
		list, err := f.client.LedgerEntries(f.ctx, f.want.Arrangement, next, ledgerPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return escrow.Errorf(escrow.Missing, "the server's ledger ends at entry %d of %d", next, checkpoint.Size)
		}
		for _, e := range list {
			if next >= checkpoint.Size {
				break
			}
			entry := evidence.Entry{Index: e.Index}
			copy(entry.Commitment[:], e.Commitment)
			if e.Payload != "" {
				entry.Payload, entry.Salt = []byte(e.Payload), e.Salt
			}
			line, err := entry.Line()
			if err != nil {
				return err
			}
			out.Write(line)
			next++
		}
	}
	return errors.Join(f.write(entriesFile, out.Bytes()), f.write(checkpointFile, []byte(answer.Checkpoint)))
}

func (f *fetcher) objects() error {
	var total, done int64
	for _, d := range f.open {
		for _, o := range d.Manifest.Objects {
			total += o.Size
		}
	}
	for _, d := range f.open {
		for _, o := range d.Manifest.Objects {
			if err := f.object(o); err != nil {
				return err
			}
			done += o.Size
			if f.want.Progress != nil {
				f.want.Progress(done, total)
			}
		}
	}
	return nil
}

// object fetches one object under a temporary name and gives it its own only
// when every byte is there and hashes to it.
func (f *fetcher) object(o evidence.ObjectEntry) (err error) {
	final := filepath.Join(f.want.Dir, ObjectPath(o.Name))
	if (&Export{Dir: f.want.Dir}).CheckObject(o) == nil {
		f.stored++
		return nil
	}
	body, err := f.client.Object(f.ctx, f.want.Arrangement, o.Name)
	if err != nil {
		return err
	}
	defer body.Close()
	tmp, err := os.CreateTemp(filepath.Dir(final), ".part-*")
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", final)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(tmp.Name())))
		}
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, h), io.LimitReader(body, o.Size+1))
	if err := errors.Join(err, tmp.Close()); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "object %s broke off after %d of %d bytes", o.Name, n, o.Size).WithHint("run the same command again; it goes on where it stopped")
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != o.Size || got != o.Name {
		return escrow.Errorf(escrow.Damaged, "the server sent %d bytes with digest %s as object %s of %d bytes", n, got, o.Name, o.Size)
	}
	f.stored++
	return os.Rename(tmp.Name(), final)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f *fetcher) writeIndex() error {
	data, err := json.MarshalIndent(f.index, "", "  ")
	if err != nil {
		return err
	}
	return f.write(indexFile, append(data, '\n'))
}

// guide writes the combiner and, in Dutch and English, how to open everything
// with stock tools alone.
func (f *fetcher) guide() error {
	if err := f.write(combinerFile, []byte(evidence.CombineScript())); err != nil {
		return err
	}
	for _, language := range []string{"en", "nl"} {
		text, err := f.guideText(language)
		if err != nil {
			return err
		}
		if err := f.write("README."+language+".md", []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetcher) guideText(language string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, guideIntro(language), f.want.Arrangement)
	if f.want.Case != "" {
		b.WriteString(guideShares(language))
	}
	repositories := 0
	for _, m := range f.index.Modules {
		if m.Kind == string(escrow.Repository) {
			repositories++
		}
	}
	for _, m := range f.index.Modules {
		if m.Kind != string(escrow.Repository) {
			continue
		}
		text, err := recipe(language, m.ID, f.open)
		if err != nil {
			return "", fmt.Errorf("guide for module %s: %w", m.ID, err)
		}
		b.WriteString(text)
		if repositories > 1 { // each recipe makes repository.git in the same place
			fmt.Fprintf(&b, "\n```sh\nmkdir -p opened/%s && mv repository.git opened/%s.git\n```\n\n", m.ID, m.ID)
		}
	}
	return b.String(), nil
}
