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
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/wire"
	"holdfast/internal/seal"
)

// depositCmd makes deposits on the depositor's own machine.
type depositCmd struct {
	Git depositGitCmd `cmd:"" help:"Deposit a local Git repository: sealed here, the server sees ciphertext only."`
}

type depositGitCmd struct {
	scoped
	ownKeys
	Module    string   `required:"" help:"Module id."`
	Receipt   string   `help:"File to keep the receipt in; its manifest goes beside it." type:"path"`
	Outbox    string   `help:"Directory for sealed objects until they are uploaded; keep it to go on after an interruption." type:"path"`
	Exclude   []string `help:"Ref name patterns to leave out."`
	NewDealer bool     `help:"Accept that another person dealt the key than before; compare fingerprints first."`
	Path      string   `arg:"" help:"Repository." type:"existingdir"`
}

func (c *depositGitCmd) Run(ctx context.Context, s *streams) error {
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
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return err
	}
	cl, ledger, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	objects, cleanup, err := c.outbox()
	if err != nil {
		return err
	}
	defer cleanup()
	me := depositor{contact.Party + "/" + contact.Person, evidence.FormatPublicKey(signer.PublicKey())}
	base, seen, err := c.base(ctx, s, cl, objects, me)
	if err != nil {
		return err
	}
	repository, err := known.OpenLocal(ctx, path)
	if err != nil {
		return err
	}
	defer repository.Close()
	bar := newProgress(s, "deposit "+c.Module)
	maker := deposit.Maker{Objects: objects, Identity: identity, Signer: signer, By: me.name, Checked: evidence.CheckedByDepositor, Now: time.Now}
	made, err := maker.Git(ctx, base, git.Options{
		Source: git.Source{Endpoint: wire.Endpoint{URL: path}, Exclude: c.exclude(s, base.Module.Source), Rebase: base.Module.Rebase},
		Wire:   wire.Config{AllowLocal: true},
		Known:  repository,
		Progress: func(n int64) {
			bar.step("sealing", n)
		},
	})
	bar.done()
	if err != nil {
		return err
	}
	var d client.Deposit
	if made == nil {
		d, err = cl.Deposit(ctx, c.Arrangement, c.Module, base.Latest.Number)
	} else {
		d, err = c.hand(ctx, s, cl, objects, made)
	}
	if err != nil {
		return err
	}
	digest := base.Latest.Digest
	if made != nil {
		digest = evidence.Digest(made.Submission.Manifest)
	}
	if err := c.confirm(ctx, cl, ledger, d, digest, seen); err != nil {
		return err
	}
	return c.print(s, made, d)
}

// depositor is who deposits, as manifests name them, and their signing key.
type depositor struct{ name, key string }

// exclude joins the patterns of this command line with those the module was
// configured with, and says which those are: they come from the server.
func (c *depositGitCmd) exclude(s *streams, source escrow.Source) []string {
	if len(source.Exclude) > 0 {
		fmt.Fprintf(s.err, "left out as the module is configured: %s\n", strings.Join(source.Exclude, ", "))
	}
	return append(slices.Clone(source.Exclude), c.Exclude...)
}

// outbox is the store that sealed objects wait in.
func (c *depositGitCmd) outbox() (*file.Store, func(), error) {
	dir, cleanup := c.Outbox, func() {}
	if dir == "" {
		tmp, err := os.MkdirTemp("", "holdfast-outbox-")
		if err != nil {
			return nil, nil, escrow.Wrap(err, escrow.Full, "an outbox for sealed objects")
		}
		dir, cleanup = tmp, func() { _ = os.RemoveAll(tmp) }
	}
	store, err := file.Open(dir)
	if err != nil {
		cleanup()
		return nil, nil, err
	}
	return store, cleanup, nil
}

// base asks what the next deposit builds on, and checks before anything is
// sealed whose key it would be sealed to, and that the module did not go back.
func (c *depositGitCmd) base(ctx context.Context, s *streams, cl *client.Client, objects blob.Store, me depositor) (escrow.DepositBase, *moduleMemory, error) {
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
			Compartment: b.Module.Compartment, Source: escrow.Source{Mode: escrow.SourceMode(b.Module.Mode), Exclude: b.Module.Exclude}, Rebase: b.Module.Rebase}},
		Epoch: escrow.Epoch{Arrangement: c.Arrangement, Compartment: m.Compartment, Number: m.Epoch, Set: m.Set, Recipient: m.Recipient,
			Manifest: []byte(b.Epoch.Manifest.Document)},
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

// hand uploads what the server does not hold yet and submits the deposit.
func (c *depositGitCmd) hand(ctx context.Context, s *streams, cl *client.Client, objects blob.Store, made *deposit.Made) (client.Deposit, error) {
	stateSize, err := objects.Stat(ctx, made.Manifest.State)
	if err != nil {
		return client.Deposit{}, err
	}
	list := append(slices.Clone(made.Manifest.Objects), evidence.ObjectEntry{Name: made.Manifest.State, Size: stateSize})
	bar := newProgress(s, "upload")
	defer bar.done()
	for _, o := range list {
		if err := c.upload(ctx, cl, objects, o, bar); err != nil {
			return client.Deposit{}, err
		}
	}
	return cl.MakeDeposit(ctx, c.Arrangement, c.Module, client.NewDeposit{
		Manifest: client.Signed{Document: string(made.Submission.Manifest), Signature: string(made.Submission.Signature)}})
}

// confirm takes the server's word only with its receipt: the deposit whose
// manifest has this digest is in the ledger that is remembered, or it does
// not count as made.
func (c *depositGitCmd) confirm(ctx context.Context, cl *client.Client, ledger client.Memory, d client.Deposit, digest string, seen *moduleMemory) error {
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

func (c *depositGitCmd) print(s *streams, made *deposit.Made, d client.Deposit) error {
	switch {
	case s.json:
		return s.printJSON(d)
	case made == nil:
		fmt.Fprintf(s.out, "unchanged module %s: deposit %d is up to date\n", c.Module, d.Number)
		return nil
	}
	fmt.Fprintf(s.out, "deposited module %s: deposit %d, %s, %s stored, %s\n", c.Module, d.Number, d.Kind, size(d.StoredBytes), d.Completeness)
	fmt.Fprintf(s.out, "  receipt checked against the ledger\n")
	for _, missing := range made.Manifest.Missing {
		fmt.Fprintf(s.out, "  not held: %s\n", missing)
	}
	return nil
}

func (c *depositGitCmd) upload(ctx context.Context, cl *client.Client, objects blob.Store, o evidence.ObjectEntry, bar *progress) error {
	held, err := cl.HasObject(ctx, c.Arrangement, c.Module, o.Name, o.Size)
	if err != nil || held {
		return err
	}
	r, err := objects.Open(ctx, o.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	return cl.PutObject(ctx, c.Arrangement, c.Module, o.Name, &counting{r: io.NewSectionReader(r, 0, o.Size), total: o.Size, bar: bar}, o.Size)
}

// counting moves a progress bar as it is read.
type counting struct {
	r           io.Reader
	done, total int64
	bar         *progress
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	c.bar.of(c.done, c.total)
	return n, err
}
