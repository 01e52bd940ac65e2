package export

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
)

// Want says what to fetch. Without a case it is the whole arrangement.
type Want struct {
	Arrangement string
	Case        string         // a case in force: its compartment, its deposits, its approvals
	Dir         string         // must not exist, or be one an interrupted fetch left
	Again       bool           // take a finished export of the same in Dir up again: approvals may have come in
	Pins        []evidence.Pin // states of the ledger seen before
	Progress    Progress
}

// Fetch writes an export and verifies it. Objects that are there already with
// the right bytes are not fetched again, so an interrupted fetch can be
// repeated. The index is written last, when everything holds: a directory
// without one is not an export.
func Fetch(ctx context.Context, c *client.Client, keys Server, w Want) (*Export, error) {
	f := &fetcher{ctx: ctx, client: c, want: w, index: Index{Format: Format, Arrangement: w.Arrangement, Server: keys, Case: w.Case}}
	made, err := f.prepare()
	if err != nil {
		return nil, err
	}
	steps := []func() error{f.agreement, f.contacts, f.ledger, f.deposits, f.objects, f.guide, f.verify, f.writeIndex}
	for _, step := range steps {
		if err := step(); err != nil {
			if made && f.stored == 0 && !f.begun { // nothing that a repetition would be spared
				_ = os.RemoveAll(w.Dir) // what is left is no export, and a repetition goes on with it
			}
			return nil, err
		}
	}
	return Open(w.Dir)
}

// prepare makes the directory, or clears of an earlier fetch what could
// outlive its reason; objects stay.
func (f *fetcher) prepare() (made bool, err error) {
	dir := f.want.Dir
	if index, err := Open(dir); err == nil || escrow.CodeOf(err) != escrow.Missing {
		if !f.want.Again || err == nil && (index.Index.Case != f.want.Case || index.Index.Arrangement != f.want.Arrangement) {
			return false, escrow.Errorf(escrow.Conflict, "%s is a finished export", dir).WithHint("name a new directory")
		}
	}
	_, err = os.Lstat(dir)
	made = errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(filepath.Join(dir, objectsDir), 0o700); err != nil {
		return made, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	parts, err := filepath.Glob(filepath.Join(dir, objectsDir, partPrefix+"*"))
	if err != nil {
		return made, err
	}
	parts = slices.DeleteFunc(parts, func(path string) bool { // goes on where it stopped
		return evidence.IsDigest(strings.TrimPrefix(filepath.Base(path), partPrefix))
	})
	for _, path := range append(parts, filepath.Join(dir, indexFile)) {
		if err := ignoreMissing(os.Remove(path)); err != nil {
			return made, escrow.Wrap(err, escrow.Invalid, "%s", path)
		}
	}
	for _, sub := range []string{contactsDir, approvalsDir} {
		if err := os.RemoveAll(filepath.Join(dir, sub)); err != nil {
			return made, escrow.Wrap(err, escrow.Invalid, "%s", filepath.Join(dir, sub))
		}
	}
	return made, nil
}

// partPrefix begins the name of an object that is still being fetched.
const partPrefix = ".part-"

type fetcher struct {
	ctx    context.Context
	client *client.Client
	want   Want
	index  Index
	list   []client.Deposit
	open   []OpenDeposit
	size   int64 // of the exported ledger

	mu     sync.Mutex // of what follows, while objects are fetched
	stored int        // objects
	begun  bool       // part of an object is there
}

func (f *fetcher) write(path string, data []byte) error {
	full := filepath.Join(f.want.Dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", full)
	}
	if err := os.WriteFile(full, data, 0o600); err != nil {
		return cannotWrite(err, full)
	}
	return nil
}

// cannotWrite tells a full disk from one that refuses.
func cannotWrite(err error, path string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return escrow.Wrap(err, escrow.Full, "%s", path).WithHint("make room and run the same command again; it goes on where it stopped")
	}
	return escrow.Wrap(err, escrow.Invalid, "%s", path)
}

func (f *fetcher) writeSigned(path string, s client.Signed) error {
	return errors.Join(f.write(path, []byte(s.Document)), f.write(path+signatureEnd, []byte(s.Signature)))
}

func (f *fetcher) agreement() error {
	a, err := f.client.Arrangement(f.ctx, f.want.Arrangement)
	if err != nil {
		return err
	}
	if a.Canonical == "" {
		return nil // it has parts that are not for this reader
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
		if err := f.approved(h); err != nil {
			return err
		}
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
		if later, err := f.later(receipt); err != nil || later {
			if err != nil {
				return escrow.Errorf(escrow.Damaged, "the server's receipt of deposit %d of %s: %w", m.Number, m.Module, err)
			}
			continue
		}
		dir := depositDir(m.Module, m.Number)
		if err := errors.Join(f.writeSigned(filepath.Join(dir, manifestFile), d.Manifest), f.write(filepath.Join(dir, receiptFile), receipt)); err != nil {
			return err
		}
		gone, err := f.certificate(d)
		if err != nil {
			return err
		}
		f.open = append(f.open, OpenDeposit{Manifest: m, Signed: d.Manifest, Receipt: receipt, certificate: gone})
		f.addModule(m)
		compartments[m.Compartment] = true
	}
	for _, compartment := range slices.Sorted(maps.Keys(compartments)) {
		if err := f.epochs(compartment); err != nil {
			return err
		}
	}
	return nil
}

// later reports whether a deposit came in after the ledger was fetched: it is
// for the next export.
func (f *fetcher) later(receipt []byte) (bool, error) {
	r, err := evidence.ParseReceipt(receipt)
	if err != nil {
		return false, err
	}
	act, err := r.Act()
	if err != nil {
		return false, err
	}
	return f.want.Case == "" && act.Index >= f.size, nil
}

func (f *fetcher) addModule(m *evidence.DepositManifest) {
	kind := "other"
	switch {
	case m.Git != nil:
		kind = string(escrow.Repository)
	case m.Files != nil:
		kind = kindFiles
	case m.Images != nil:
		kind = kindImages
	case m.Restic != nil, m.Objects[0].Role == evidence.RoleResticPassword:
		kind = kindRestic
	}
	last := len(f.index.Modules) - 1
	if last >= 0 && f.index.Modules[last].ID == m.Module {
		f.index.Modules[last].To, f.index.Modules[last].Kind = m.Number, kind
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

// approved lists the deposits that the case's statement names.
func (f *fetcher) approved(h client.HandOver) error {
	statement, err := evidence.ParseStatement([]byte(h.Case.Statement))
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "the server's statement of case %s: %w", f.want.Case, err)
	}
	for _, r := range statement.Deposits {
		list, err := f.client.DepositsBetween(f.ctx, f.want.Arrangement, r.Module, r.From, r.To)
		if err != nil {
			return err
		}
		f.list = append(f.list, list...)
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

// ledger exports the whole tree: entries of other arrangements are closed. It
// may be long, so it is written as it comes.
func (f *fetcher) ledger() (err error) {
	policy, err := evidence.NewPolicy(f.index.Server.LedgerKey, nil, 0)
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "ledger key: %w", err)
	}
	answer, err := f.client.Consistency(f.ctx, 0)
	if err != nil {
		return err
	}
	checkpoint, err := policy.Open([]byte(answer.Checkpoint))
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "the server's checkpoint: %w", err)
	}
	f.size = checkpoint.Size
	if err := f.write(checkpointFile, []byte(answer.Checkpoint)); err != nil {
		return err
	}
	path := filepath.Join(f.want.Dir, entriesFile)
	file, err := os.Create(path)
	if err != nil {
		return cannotWrite(err, path)
	}
	out := bufio.NewWriter(file)
	defer func() {
		if werr := errors.Join(out.Flush(), file.Close()); err == nil && werr != nil {
			err = cannotWrite(werr, path)
		}
	}()
	header, err := evidence.ExportHeader{Format: evidence.LedgerFormat, Origin: checkpoint.Origin, Size: checkpoint.Size}.Line()
	if err != nil {
		return err
	}
	_, _ = out.Write(header) // an error stays until Flush
	for next := int64(0); next < checkpoint.Size; {
		list, err := f.client.LedgerEntries(f.ctx, f.want.Arrangement, next, ledgerPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return escrow.Errorf(escrow.Missing, "the server's ledger ends at entry %d of %d", next, checkpoint.Size)
		}
		for _, e := range list[:min(int64(len(list)), checkpoint.Size-next)] {
			entry := evidence.Entry{Index: e.Index}
			copy(entry.Commitment[:], e.Commitment)
			if e.Payload != "" {
				entry.Payload, entry.Salt = []byte(e.Payload), e.Salt
			}
			line, err := entry.Line()
			if err != nil {
				return err
			}
			_, _ = out.Write(line)
			next++
		}
	}
	return nil
}

// verify checks all that was fetched before it becomes an export. The objects
// were compared with their names as they came.
func (f *fetcher) verify() error {
	x, err := open(f.want.Dir, f.index)
	if err != nil {
		return err
	}
	_, err = x.Verify(f.ctx, Checks{LedgerKey: f.index.Server.LedgerKey, Pins: f.want.Pins, Lenient: true, WithoutObjects: true})
	return err
}

// fetchers is how many objects are fetched at once: one that waits for its disk
// or its connection does not keep the others.
const fetchers = 4

func (f *fetcher) objects() error {
	var list []evidence.ObjectEntry
	var total, done int64
	seen := map[string]bool{} // two at once would write into one file
	for _, d := range f.open {
		if d.certificate != nil {
			continue
		}
		for _, o := range d.Manifest.Objects {
			if !seen[o.Name] {
				seen[o.Name] = true
				list, total = append(list, o), total+o.Size
			}
		}
	}
	group, ctx := errgroup.WithContext(f.ctx)
	group.SetLimit(fetchers)
	for _, o := range list {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err // another one failed, and said why
			}
			if err := f.object(ctx, o); err != nil {
				return err
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.stored++
			done += o.Size
			if f.want.Progress != nil {
				f.want.Progress(done, total)
			}
			return nil
		})
	}
	return group.Wait()
}

// failing remembers that it was the source that failed, and not the disk.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
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
	tmp := filepath.Join(objectsDir, partPrefix+indexFile)
	if err := f.write(tmp, append(data, '\n')); err != nil {
		return err
	}
	return os.Rename(filepath.Join(f.want.Dir, tmp), filepath.Join(f.want.Dir, indexFile))
}

// guide writes the combiner and, in Dutch and English, how to open everything
// with stock tools alone.
func (f *fetcher) guide() error {
	if err := f.write(combinerFile, []byte(evidence.CombineScript())); err != nil {
		return err
	}
	if slices.ContainsFunc(f.index.Modules, func(m Module) bool { return m.Kind == kindFiles }) {
		if err := f.write(filesScript, []byte(files.RestoreScript())); err != nil {
			return err
		}
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
		if m.Kind == kindFiles {
			text, err := filesRecipe(language, m.ID, f.open)
			if err != nil {
				return "", fmt.Errorf("guide for module %s: %w", m.ID, err)
			}
			b.WriteString(text)
		}
		if m.Kind == kindImages {
			b.WriteString(imagesRecipe(language, m.ID, f.open))
		}
		if m.Kind == kindRestic {
			b.WriteString(resticRecipe(language, m.ID, f.open))
		}
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
