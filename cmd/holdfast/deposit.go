package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/wire"
	"holdfast/internal/seal"
)

// depositCmd makes deposits on the depositor's own machine.
type depositCmd struct {
	Git    depositGitCmd    `cmd:"" help:"Deposit a local Git repository: sealed here, the server sees ciphertext only."`
	Files  depositFilesCmd  `cmd:"" help:"Deposit directories: compressed and sealed here, only what changed."`
	Images depositImagesCmd `cmd:"" help:"Deposit container images: by digest, sealed here, only new layers."`
	Restic depositResticCmd `cmd:"" help:"Let your restic write into a module, under a password that is sealed to the compartment."`
}

type depositGitCmd struct {
	depositFlags
	Exclude []string `help:"Ref name patterns to leave out."`
	Path    string   `arg:"" help:"Repository." type:"existingdir"`
}

func (c *depositGitCmd) Run(ctx context.Context, s *streams) error {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return err
	}
	return c.deposit(ctx, s, func(ctx context.Context, d *depositing, maker deposit.Maker, bar *progress) (*deposit.Made, error) {
		repository, err := known.OpenLocal(ctx, path)
		if err != nil {
			return nil, err
		}
		defer repository.Close()
		source := d.base.Module.Source
		return maker.Git(ctx, d.base, git.Options{
			Source:   git.Source{Endpoint: wire.Endpoint{URL: path}, LFS: source.LFS, Exclude: exclude(s, source, c.Exclude), Rebase: d.base.Module.Rebase},
			Wire:     wire.Config{AllowLocal: true},
			Known:    repository,
			Progress: func(n int64) { bar.step("sealing", n) },
		})
	})
}

// depositFlags are what every deposit made on this machine asks for.
type depositFlags struct {
	scoped
	ownKeys
	Module    string `required:"" help:"Module id."`
	Receipt   string `help:"File to keep the receipt in; its manifest goes beside it." type:"path"`
	Outbox    string `help:"Directory for sealed objects until they are uploaded; keep it to go on after an interruption." type:"path"`
	NewDealer bool   `help:"Accept that another person dealt the key than before; compare fingerprints first."`
}

// makeDeposit seals what changed since the base; nil means that nothing did.
type makeDeposit func(ctx context.Context, d *depositing, maker deposit.Maker, bar *progress) (*deposit.Made, error)

// deposit is the way of every deposit made on this machine: what an earlier
// run left is handed in first, then make seals, then it is uploaded, and it
// counts when its receipt was checked.
func (c *depositFlags) deposit(ctx context.Context, s *streams, make makeDeposit) error {
	identity, err := c.identity()
	if err != nil {
		return err
	}
	signer, err := c.signer()
	if err != nil {
		return err
	}
	contact, err := readContact(strings.TrimSuffix(c.Key, identityExt) + contactExt)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Receipt); c.Receipt != "" && err == nil { // known now, not after the deposit
		return escrow.Errorf(escrow.Conflict, "%s exists already and is not overwritten", c.Receipt).WithHint("name another file with --receipt")
	}
	cl, ledger, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	box, err := openOutbox(c.Outbox)
	if err != nil {
		return err
	}
	defer box.close()
	if err := box.sweep(ctx); err != nil {
		return err
	}
	d := &depositing{c: c, s: s, client: cl, ledger: ledger, box: box, signer: signer, me: depositor{contact.Party + "/" + contact.Person, evidence.FormatPublicKey(signer.PublicKey())}}
	if err := d.begin(ctx); err != nil {
		return err
	}
	waited, err := d.resume(ctx)
	if err != nil {
		return err
	}
	bar := newProgress(s, "deposit "+c.Module)
	maker := deposit.Maker{Objects: box, Identity: identity, Signer: signer, By: d.me.name, Checked: evidence.CheckedByDepositor, Now: time.Now}
	made, err := make(ctx, d, maker, bar)
	bar.done()
	switch {
	case err != nil:
		return err
	case made == nil && waited != nil:
		return c.print(s, waited.manifest, waited.deposit, "handed in as an earlier run had sealed it")
	case made == nil:
		return d.unchanged(ctx)
	}
	out, err := d.hand(ctx, client.Signed{Document: string(made.Submission.Manifest), Signature: string(made.Submission.Signature)}, made.Manifest)
	if err != nil {
		return err
	}
	return c.print(s, made.Manifest, out, "")
}

// depositing is one run.
type depositing struct {
	c      *depositFlags
	s      *streams
	client *client.Client
	ledger client.Memory
	box    *outbox
	signer ssh.Signer
	me     depositor
	base   escrow.DepositBase
	seen   *moduleMemory

	mu   sync.Mutex
	sent map[string]bool // objects that the server has taken in this run
}

// begin asks what the next deposit builds on.
func (d *depositing) begin(ctx context.Context) (err error) {
	d.base, d.seen, err = d.c.base(ctx, d.s, d.client, d.box, d.me)
	return err
}

// acknowledged is a deposit that an earlier run made and this one handed in.
type acknowledged struct {
	manifest *evidence.DepositManifest
	deposit  client.Deposit
}

// resume hands in what an interrupted run left in the outbox, if it still
// follows what the server has. It returns nil when nothing waited.
func (d *depositing) resume(ctx context.Context) (*acknowledged, error) {
	w, err := d.box.waits(ctx, d.c.Arrangement, d.c.Module)
	if err != nil {
		return nil, err
	}
	if w == nil || !d.fits(w) {
		return nil, d.box.forget(d.c.Arrangement, d.c.Module)
	}
	fmt.Fprintf(d.s.err, "deposit %d of module %s waits in %s since %s; it is handed in first\n", w.manifest.Number, d.c.Module, d.box.dir, w.manifest.Made)
	out, err := d.hand(ctx, w.Signed, w.manifest)
	if err != nil {
		return nil, err
	}
	return &acknowledged{w.manifest, out}, d.begin(ctx)
}

// fits reports whether a waiting deposit is this depositor's own and next in
// line, or the latest already: then only its acknowledgement was missed.
func (d *depositing) fits(w *waiting) bool {
	m := w.manifest
	if m.Arrangement != d.c.Arrangement || m.Module != d.c.Module || m.By != d.me.name ||
		evidence.Verify(d.me.key, evidence.NamespaceDeposit, []byte(w.Signed.Document), []byte(w.Signed.Signature)) != nil {
		return false
	}
	if d.base.Latest.Digest == evidence.Digest([]byte(w.Signed.Document)) {
		return true
	}
	return m.Predecessor == d.base.Latest.Digest && m.Number == d.base.Latest.Number+1 &&
		m.Epoch == d.base.Epoch.Number && m.Set == d.base.Epoch.Set && m.Agreement == d.base.Agreement
}

// unchanged confirms the latest deposit anew.
func (d *depositing) unchanged(ctx context.Context) error {
	out, err := d.client.Deposit(ctx, d.c.Arrangement, d.c.Module, d.base.Latest.Number)
	if err != nil {
		return err
	}
	if err := d.c.confirm(ctx, d.client, d.ledger, out, d.base.Latest.Digest, d.seen); err != nil {
		return err
	}
	return d.report(ctx, out)
}

// depositor is who deposits, as manifests name them, and their signing key.
type depositor struct{ name, key string }

// exclude joins the patterns of this command line with those the module was
// configured with, and says which those are: they come from the server.
func exclude(s *streams, source escrow.Source, asked []string) []string {
	if len(source.Exclude) > 0 {
		fmt.Fprintf(s.err, "left out as the module is configured: %s\n", strings.Join(source.Exclude, ", "))
	}
	return append(slices.Clone(source.Exclude), asked...)
}

// base asks what the next deposit builds on, and checks before anything is
// sealed whose key it would be sealed to, and that the module did not go back.
func (c *depositFlags) base(ctx context.Context, s *streams, cl *client.Client, objects blob.Store, me depositor) (escrow.DepositBase, *moduleMemory, error) {
	b, err := cl.DepositBase(ctx, c.Arrangement, c.Module)
	if err != nil {
		return escrow.DepositBase{}, nil, err
	}
	m, err := seal.OpenManifest([]byte(b.Epoch.Manifest.Document), []byte(b.Epoch.Manifest.Signature))
	if err != nil {
		return escrow.DepositBase{}, nil, err
	}
	if m.Arrangement != c.Arrangement || m.Compartment != b.Module.Compartment || m.Epoch != b.Epoch.Number {
		return escrow.DepositBase{}, nil, escrow.Errorf(escrow.Damaged, "the server gave the key manifest of %s/%s, epoch %d, for module %s", m.Arrangement, m.Compartment, m.Epoch, c.Module)
	}
	base := escrow.DepositBase{
		Agreement: b.Agreement,
		Module: escrow.ModuleStatus{Module: escrow.Module{Arrangement: c.Arrangement, ID: c.Module, Kind: escrow.ModuleKind(b.Module.Kind),
			Compartment: b.Module.Compartment, Source: escrow.Source{Mode: escrow.SourceMode(b.Module.Mode), LFS: b.Module.LFS, Exclude: b.Module.Exclude}, Rebase: b.Module.Rebase}},
		Epoch: escrow.Epoch{Arrangement: c.Arrangement, Compartment: m.Compartment, Number: m.Epoch, Set: m.Set, Recipient: m.Recipient,
			Manifest: []byte(b.Epoch.Manifest.Document)},
		Full: b.Full, Mandatory: escrow.FindableOf(b.Mandatory),
	}
	var latest *evidence.DepositManifest
	if b.Latest != nil {
		if latest, err = evidence.ParseDepositManifest([]byte(b.Latest.Manifest.Document)); err != nil || latest.Arrangement != c.Arrangement || latest.Module != c.Module {
			return base, nil, escrow.Errorf(escrow.Damaged, "the server's manifest of deposit %d is not one of module %s: %w", b.Latest.Number, c.Module, err)
		}
		base.Latest = escrow.Deposit{Number: latest.Number, Epoch: latest.Epoch, Digest: evidence.Digest([]byte(b.Latest.Manifest.Document))}
	}
	seen, err := c.recall()
	if err != nil {
		return base, nil, err
	}
	if err := seen.keyFits(s, m, []byte(b.Epoch.Manifest.Document), me, c.NewDealer); err != nil {
		return base, nil, err
	}
	if err := seen.follows(ctx, cl, c.scoped, c.Module, base.Latest); err != nil {
		return base, nil, err
	}
	if err := seen.keep(); err != nil {
		return base, nil, err
	}
	// An increment is only built on what this very person signed before:
	// whoever else says what has been deposited could leave things out.
	if latest == nil || latest.State == "" || latest.By != me.name ||
		evidence.Verify(me.key, evidence.NamespaceDeposit, []byte(b.Latest.Manifest.Document), []byte(b.Latest.Manifest.Signature)) != nil {
		return base, seen, nil
	}
	if err := fetchState(ctx, cl, c.scoped, c.Module, latest.State, objects); err != nil {
		return base, nil, err
	}
	base.State = escrow.SourceState{State: latest.State, Deposit: latest.Number, Chain: latest.Chain}
	return base, seen, nil
}

// maxState bounds the sealed state that is fetched back: that of a repository
// with a few million refs.
const maxState = 1 << 30

// fetchState brings the sealed state back into the outbox. One that is gone
// or is not the one that was signed is left there: the deposit then is full.
func fetchState(ctx context.Context, cl *client.Client, r scoped, module, name string, objects blob.Store) error {
	if _, err := objects.Stat(ctx, name); err == nil {
		return nil
	}
	body, err := cl.State(ctx, r.Arrangement, module)
	if err != nil {
		return err
	}
	defer body.Close()
	w, err := objects.Create(ctx)
	if err != nil {
		return err
	}
	defer w.Abort()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(body, maxState)); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "the state of module %s broke off", module)
	}
	if hex.EncodeToString(sum.Sum(nil)) != name {
		return nil
	}
	_, _, err = w.Commit(ctx)
	return err
}

// hand uploads what the server does not hold yet, submits the deposit, and
// takes the acknowledgement with its receipt.
func (d *depositing) hand(ctx context.Context, signed client.Signed, m *evidence.DepositManifest) (client.Deposit, error) {
	if err := d.box.wait(signed, m); err != nil {
		return client.Deposit{}, err
	}
	bar := newProgress(d.s, "upload")
	defer bar.done()
	for _, name := range objectNames(m) {
		if err := d.upload(ctx, name, bar); err != nil {
			return client.Deposit{}, err
		}
	}
	out, err := d.client.MakeDeposit(ctx, d.c.Arrangement, d.c.Module, client.NewDeposit{Manifest: signed})
	if err != nil {
		return out, err
	}
	if err := d.c.confirm(ctx, d.client, d.ledger, out, evidence.Digest([]byte(signed.Document)), d.seen); err != nil {
		return out, err
	}
	if err := d.box.forget(m.Arrangement, m.Module); err != nil {
		return out, err
	}
	return out, d.box.sweep(ctx)
}

// confirm takes the server's word only with its receipt: the deposit whose
// manifest has this digest is in the ledger that is remembered, or it does
// not count as made.
func (c *depositFlags) confirm(ctx context.Context, cl *client.Client, ledger client.Memory, d client.Deposit, digest string, seen *moduleMemory) error {
	if evidence.Digest([]byte(d.Manifest.Document)) != digest {
		return escrow.Errorf(escrow.Damaged, "the server shows another manifest as deposit %d than the one that was made", d.Number)
	}
	receipt, err := cl.Receipt(ctx, c.Arrangement, c.Module, d.Number)
	if err != nil {
		return err
	}
	if _, err := c.believe(ctx, cl, ledger, receipt, digest); err != nil {
		return err
	}
	if c.Receipt != "" {
		if err := newFiles(receiptFiles(c.Receipt, receipt, d.Manifest)); err != nil {
			return err
		}
	}
	seen.Number, seen.Digest = d.Number, digest
	return seen.keep()
}

func (c *depositFlags) print(s *streams, m *evidence.DepositManifest, d client.Deposit, note string) error {
	if s.json {
		return s.printJSON(d)
	}
	fmt.Fprintf(s.out, "deposited module %s: deposit %d, %s, %s stored, %s\n", c.Module, d.Number, d.Kind, size(d.StoredBytes), d.Completeness)
	if note != "" {
		fmt.Fprintf(s.out, "  %s\n", note)
	}
	if m.Files != nil {
		fmt.Fprintf(s.out, "  %s, %s in all\n", files.Words(m.Files), size(m.Files.Bytes))
	}
	if m.Images != nil {
		fmt.Fprintf(s.out, "  %s\n", wordsImages(m.Images))
	}
	fmt.Fprintf(s.out, "  receipt checked against the ledger\n")
	for _, missing := range m.Missing {
		fmt.Fprintf(s.out, "  not held: %s\n", missing)
	}
	if m.Content != nil {
		for _, name := range m.Content.Missing {
			fmt.Fprintf(s.out, "  lacks what the agreement demands: %s\n", name)
		}
	}
	return nil
}

func (d *depositing) upload(ctx context.Context, name string, bar *progress) error {
	d.mu.Lock()
	sent := d.sent[name]
	d.mu.Unlock()
	if sent {
		return nil
	}
	r, err := d.box.Open(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	return d.send(ctx, name, r, r.Size(), bar)
}

// send uploads an object that the server does not hold yet. bar may be nil.
func (d *depositing) send(ctx context.Context, name string, r io.ReaderAt, size int64, bar *progress) error {
	var progress func(int64)
	if bar != nil {
		progress = func(sent int64) { bar.of(sent, size) }
	}
	if err := d.client.Upload(ctx, d.c.Arrangement, d.c.Module, name, r, size, progress); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sent == nil {
		d.sent = make(map[string]bool)
	}
	d.sent[name] = true
	return nil
}
