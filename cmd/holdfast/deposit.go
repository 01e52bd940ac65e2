package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	objects, cleanup, err := c.outbox()
	if err != nil {
		return err
	}
	defer cleanup()
	base, err := c.base(ctx, cl, objects)
	if err != nil {
		return err
	}
	repository, err := known.OpenLocal(ctx, path)
	if err != nil {
		return err
	}
	defer repository.Close()
	bar := newProgress(s, "deposit "+c.Module)
	maker := deposit.Maker{Objects: objects, Identity: identity, Signer: signer, By: contact.Party + "/" + contact.Person, Checked: "depositor", Now: time.Now}
	made, err := maker.Git(ctx, base, git.Options{
		Source: git.Source{Endpoint: wire.Endpoint{URL: path}, Exclude: append(base.Module.Source.Exclude, c.Exclude...), Rebase: base.Module.Rebase},
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
	if made == nil {
		_, err := fmt.Fprintf(s.out, "unchanged module %s: deposit %d is up to date\n", c.Module, base.Latest.Number)
		return err
	}
	return c.hand(ctx, s, cl, objects, made)
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

// base asks what the next deposit builds on and checks, before anything is
// sealed, whose key it would be sealed to.
func (c *depositGitCmd) base(ctx context.Context, cl *client.Client, objects blob.Store) (escrow.DepositBase, error) {
	b, err := cl.DepositBase(ctx, c.Arrangement, c.Module)
	if err != nil {
		return escrow.DepositBase{}, err
	}
	m, err := seal.OpenManifest([]byte(b.Epoch.Manifest.Document), []byte(b.Epoch.Manifest.Signature))
	if err != nil {
		return escrow.DepositBase{}, err
	}
	if m.Arrangement != c.Arrangement || m.Compartment != b.Module.Compartment || m.Epoch != b.Epoch.Number || m.Agreement != b.Agreement {
		return escrow.DepositBase{}, escrow.Errorf(escrow.Damaged, "the server gave the key manifest of %s/%s, epoch %d, for module %s", m.Arrangement, m.Compartment, m.Epoch, c.Module)
	}
	if err := c.pinKey(m, []byte(b.Epoch.Manifest.Document)); err != nil {
		return escrow.DepositBase{}, err
	}
	base := escrow.DepositBase{
		Agreement: b.Agreement,
		Module: escrow.ModuleStatus{Module: escrow.Module{Arrangement: c.Arrangement, ID: c.Module, Kind: escrow.ModuleKind(b.Module.Kind),
			Compartment: b.Module.Compartment, Source: escrow.Source{Mode: escrow.SourceMode(b.Module.Mode), Exclude: b.Module.Exclude}, Rebase: b.Module.Rebase}},
		Epoch: escrow.Epoch{Arrangement: c.Arrangement, Compartment: m.Compartment, Number: m.Epoch, Set: m.Set, Recipient: m.Recipient,
			Manifest: []byte(b.Epoch.Manifest.Document)},
	}
	if base.Module.Source.Mode != escrow.Push {
		return base, escrow.Errorf(escrow.Conflict, "module %s is pulled by the server", c.Module).WithHint("set it to push with 'holdfast module set --mode push' first")
	}
	if b.Latest == nil {
		return base, nil
	}
	latest, err := evidence.ParseDepositManifest([]byte(b.Latest.Manifest.Document))
	if err != nil {
		return base, escrow.Errorf(escrow.Damaged, "the server's manifest of deposit %d: %w", b.Latest.Number, err)
	}
	base.Latest = escrow.Deposit{Number: latest.Number, Epoch: latest.Epoch, Digest: evidence.Digest([]byte(b.Latest.Manifest.Document))}
	if b.State != "" {
		if err := fetchState(ctx, cl, c.scoped, c.Module, objects); err != nil {
			return base, err
		}
		base.State = escrow.SourceState{State: b.State, Deposit: latest.Number, Chain: latest.Chain}
	}
	return base, nil
}

// fetchState brings the sealed state back into the outbox.
func fetchState(ctx context.Context, cl *client.Client, r scoped, module string, objects blob.Store) error {
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
	if _, err := io.Copy(w, body); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "the state of module %s broke off", module)
	}
	_, _, err = w.Commit(ctx)
	return err
}

// pinnedKey is what is remembered of the key a compartment is sealed to.
type pinnedKey struct {
	Epoch    int    `json:"epoch"`
	Manifest string `json:"manifest"` // digest
	Dealer   string `json:"dealer"`   // SSH key of the dealer
}

// pinKey compares the key with what was seen before. The server relays it, so
// it could relay another one: the same epoch with another manifest is
// refused, an older epoch too, and a newer one must come from the same dealer.
func (c *depositGitCmd) pinKey(m *evidence.KeyManifest, document []byte) error {
	path, err := c.memoryPath()
	if err != nil {
		return err
	}
	path = strings.TrimSuffix(path, ".json") + "-keys-" + evidence.Digest([]byte(c.Arrangement + "\n" + m.Compartment))[:16] + ".json"
	now := pinnedKey{Epoch: m.Epoch, Manifest: evidence.Digest(document), Dealer: m.Dealer.Key}
	var before pinnedKey
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return escrow.Wrap(err, escrow.Invalid, "%s", path)
	default:
		if err := json.Unmarshal(data, &before); err != nil {
			return escrow.Errorf(escrow.Damaged, "%s cannot be read: %w", path, err)
		}
	}
	refuse := func(what string) error {
		return escrow.Errorf(escrow.Damaged, "the server offers a key for %s that %s", m.Compartment, what).
			WithHint("seal nothing to it; compare the fingerprint %s with the dealer over another channel", evidence.Fingerprint(m.SealTo()[0]))
	}
	switch {
	case before.Epoch == 0 || now == before:
	case now.Epoch < before.Epoch:
		return refuse(fmt.Sprintf("belongs to epoch %d, after epoch %d was seen", now.Epoch, before.Epoch))
	case now.Epoch == before.Epoch:
		return refuse("is not the one seen before for the same epoch")
	case now.Dealer != before.Dealer && !c.NewDealer:
		return refuse("was dealt by somebody else than before (--new-dealer accepts it)")
	}
	encoded, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return writeAtomically(path, encoded)
}

// hand uploads what the server does not hold yet and submits the deposit.
func (c *depositGitCmd) hand(ctx context.Context, s *streams, cl *client.Client, objects blob.Store, made *deposit.Made) error {
	list := append([]evidence.ObjectEntry(nil), made.Manifest.Objects...)
	stateSize, err := objects.Stat(ctx, made.Submission.State)
	if err != nil {
		return err
	}
	list = append(list, evidence.ObjectEntry{Name: made.Submission.State, Size: stateSize})
	bar := newProgress(s, "upload")
	defer bar.done()
	for _, o := range list {
		if err := c.upload(ctx, cl, objects, o, bar); err != nil {
			return err
		}
	}
	bar.done()
	d, err := cl.MakeDeposit(ctx, c.Arrangement, c.Module, client.NewDeposit{State: made.Submission.State,
		Manifest: client.Signed{Document: string(made.Submission.Manifest), Signature: string(made.Submission.Signature)}})
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(d)
	}
	fmt.Fprintf(s.out, "deposited module %s: deposit %d, %s, %s stored, %s\n", c.Module, d.Number, d.Kind, size(d.StoredBytes), d.Completeness)
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
