package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/export"
	"holdfast/internal/intake/git/restore"
	"holdfast/internal/seal"
)

// openCmd is the beneficiary's verb: from a hand-over to a working repository.
type openCmd struct {
	From       string `help:"Export or hand-over directory made before; without it one is fetched." type:"existingdir" xor:"from"`
	Case       string `help:"Case to fetch the hand-over of." xor:"from"`
	Key        string `help:"Your key file (NAME.key)." required:"" type:"existingfile"`
	Passphrase string `name:"passphrase-file" help:"File with the passphrase of the key file." type:"existingfile"`
	To         string `help:"Directory to make; it must not exist." required:"" type:"path"`
	Module     string `help:"Open this module only."`
	At         int    `help:"Open the state at this deposit number instead of the latest."`
	Bare       bool   `help:"Make bare repositories, without a working tree."`

	OutsideLinks string `help:"Symbolic links that lead out of what was deposited: refuse to open, skip them, or keep them as they are." enum:"refuse,skip,keep" default:"refuse"`

	LedgerKey string   `help:"Verifier key of the ledger, as pinned or published (for --from)."`
	Contact   []string `help:"Contact cards you have from another channel, of the dealer and of who deposits: they have no other key in what is opened." type:"existingfile"`

	Server      string `help:"Server, such as https://escrow.example." env:"HOLDFAST_SERVER"`
	TokenFile   string `help:"File that holds the bearer token." env:"HOLDFAST_TOKEN_FILE" type:"existingfile"`
	Pins        string `help:"Directory that remembers the ledgers seen." env:"HOLDFAST_PINS" type:"path"`
	Arrangement string `short:"a" help:"Arrangement id." env:"HOLDFAST_ARRANGEMENT"`
}

func (openCmd) Help() string {
	return `Verifies every signature, receipt and approval first: anybody could seal something to
a public key. Then combines the re-encrypted shares, decrypts every deposit, rebuilds each
repository with stock git, or each directory from its list, and compares every hash with what
was deposited. Nothing appears under --to before it is whole.

Exit codes: 7 below quorum, 8 wrong key, 9 damaged data, 10 missing data.`
}

func (c *openCmd) Run(ctx context.Context, s *streams) error {
	if _, err := os.Lstat(c.To); err == nil {
		return escrow.Errorf(escrow.Conflict, "%s exists already", c.To).WithHint("name a new directory with --to")
	}
	identity, err := readIdentity(c.Key, c.Passphrase)
	if err != nil {
		return err
	}
	cards, err := readCards(c.Contact)
	if err != nil {
		return err
	}
	x, err := c.handOver(ctx, s)
	if err != nil {
		return err
	}
	checks := export.Checks{LedgerKey: c.LedgerKey, Cards: cards, Module: c.Module, Lenient: true, WithoutObjects: true}
	if c.Case != "" {
		checks.LedgerKey = x.Index.Server.LedgerKey // the one that is remembered
	}
	verified, err := x.Verify(ctx, checks)
	if err != nil {
		return err
	}
	keys := newKeyRing(x, identity)
	modules := x.Modules()
	if c.Module != "" {
		modules = []string{c.Module}
	}
	// Everything is built beside the target and gets its name at the end.
	work := c.To + ".opening"
	if err := os.Mkdir(work, 0o700); err != nil {
		return escrow.Wrap(err, escrow.Conflict, "%s cannot be made", work).WithHint("remove what an interrupted run left there")
	}
	defer os.RemoveAll(work)
	var opened []openedModule
	for _, id := range modules {
		o, err := c.module(ctx, s, x, keys, id, filepath.Join(work, filepath.FromSlash(id)))
		if err != nil {
			return fmt.Errorf("module %s: %w", id, err)
		}
		opened = append(opened, o)
	}
	if err := os.Rename(work, c.To); err != nil {
		return escrow.Wrap(err, escrow.Conflict, "%s", c.To)
	}
	return c.report(s, opened, verified, keys.findings)
}

// handOver opens the export that was named, or fetches the case's.
func (c *openCmd) handOver(ctx context.Context, s *streams) (*export.Export, error) {
	if c.From != "" {
		return export.Open(c.From)
	}
	if c.Case == "" || c.Server == "" || c.TokenFile == "" || c.Arrangement == "" {
		return nil, escrow.Errorf(escrow.Invalid, "nothing to open").
			WithHint("give --from DIR, or --case with --server, --token-file and --arrangement")
	}
	return fetchExport(ctx, s, scoped{remote{c.Server, c.TokenFile, c.Pins}, c.Arrangement}, export.Want{Case: c.Case, Dir: c.To + ".handover", Again: true})
}

// openedModule is what is printed about one module.
type openedModule struct {
	Module   string   `json:"module"`
	Dir      string   `json:"dir"`
	Deposit  int      `json:"deposit"`
	Deposits []int    `json:"built_from"`
	Refs     int      `json:"refs"`
	Digest   string   `json:"refs_digest,omitempty"`
	Head     string   `json:"head,omitempty"`
	LFS      int      `json:"lfs_held,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	Notes    []string `json:"notes,omitempty"`

	Restic *openedRestic `json:"restic,omitempty"`
	Images *openedImages `json:"images,omitempty"`
	failed bool          // something that was tried did not go well, as the notes say

	Files *openedFiles `json:"files,omitempty"`
}

func (c *openCmd) module(ctx context.Context, s *streams, x *export.Export, keys *keyRing, id, dir string) (openedModule, error) {
	list, err := x.Module(id, c.At)
	if err != nil {
		return openedModule{}, err
	}
	if err := export.CanOpen(list); err != nil {
		return openedModule{}, err
	}
	if isRestic(list) {
		return c.restic(ctx, s, x, keys, list, id, dir)
	}
	last := list[len(list)-1].Manifest
	if last.Files != nil {
		return c.files(ctx, s, keys, list, id, dir)
	}
	if last.Images != nil {
		return c.images(ctx, s, keys, list, id, dir)
	}
	if last.Git == nil {
		return openedModule{}, escrow.Errorf(escrow.Invalid, "deposit %d is not of a repository; this version opens repositories", last.Number)
	}
	var deposits []restore.Deposit
	for _, d := range list {
		if d.Destroyed() == nil {
			deposits = append(deposits, keys.deposit(d.Manifest))
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return openedModule{}, escrow.Wrap(err, escrow.Invalid, "%s", dir)
	}
	bar := newProgress(s, id)
	r, err := restore.Rebuild(ctx, restore.Options{Dir: dir, WorkTree: !c.Bare, Deposits: deposits, Progress: func(p restore.Progress) {
		bar.step(string(p.Step), p.Bytes)
	}})
	bar.done()
	if err != nil {
		return openedModule{}, err
	}
	o := openedModule{Module: id, Dir: filepath.Join(c.To, filepath.FromSlash(id)), Deposit: r.Number, Deposits: r.Deposits, Refs: r.Refs,
		Digest: r.RefsDigest, Head: r.Head, LFS: r.LFS.Held, Notes: r.Notes}
	for _, m := range r.LFS.Missing {
		o.Missing = append(o.Missing, "LFS object "+m.OID)
	}
	return o, nil
}

// keyRing finds the identity that opens each deposit: the holder's own for
// compartments sealed to it, the combined one for released ones. Combining
// happens once, when it is first needed.
type keyRing struct {
	x        *export.Export
	own      *age.HybridIdentity
	combined *age.HybridIdentity
	findings []string // approvals that were of no use, and why
}

func newKeyRing(x *export.Export, own *age.HybridIdentity) *keyRing { return &keyRing{x: x, own: own} }

func (k *keyRing) deposit(m *evidence.DepositManifest) restore.Deposit {
	d := restore.Deposit{Number: m.Number, Kind: escrow.DepositKind(m.Kind)}
	for _, o := range m.Objects {
		open := func(ctx context.Context) (io.ReadCloser, error) { return k.open(m, o) }
		switch o.Role {
		case "git":
			d.Open = open
		case "lfs":
			d.LFS = append(d.LFS, restore.LFSObject{Name: o.Name, Open: open})
		}
	}
	return d
}

// open decrypts one object and compares every sealed byte with the name in
// the manifest on the way.
func (k *keyRing) open(m *evidence.DepositManifest, o evidence.ObjectEntry) (io.ReadCloser, error) {
	f, opts, identity, err := k.sealed(m, o)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	plain, err := seal.Open(io.TeeReader(f, sum), opts, identity)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &checkedReader{plain: plain, file: f, sum: func() string { return hex.EncodeToString(sum.Sum(nil)) }, name: o.Name}, nil
}

// sealed opens the file of an object and finds the identity for it.
func (k *keyRing) sealed(m *evidence.DepositManifest, o evidence.ObjectEntry) (*os.File, seal.OpenOptions, *age.HybridIdentity, error) {
	epoch, err := k.x.Epoch(m.Compartment, m.Epoch)
	if err != nil {
		return nil, seal.OpenOptions{}, nil, err
	}
	identity, err := k.identity(epoch.Manifest)
	if err != nil {
		return nil, seal.OpenOptions{}, nil, err
	}
	f, err := k.x.OpenObject(o)
	return f, seal.OpenOptions{Name: "object " + o.Name, Size: o.Size, SealedTo: epoch.Manifest.SealTo()}, identity, err
}

type checkedReader struct {
	plain io.Reader
	file  *os.File
	sum   func() string
	name  string
}

func (r *checkedReader) Read(p []byte) (int, error) {
	n, err := r.plain.Read(p)
	if err == io.EOF {
		if got := r.sum(); got != r.name {
			return n, escrow.Errorf(escrow.Damaged, "object %s is damaged: its bytes have the digest %s", r.name, got)
		}
	}
	return n, err
}

func (r *checkedReader) Close() error { return r.file.Close() }

func (k *keyRing) identity(m *evidence.KeyManifest) (*age.HybridIdentity, error) {
	if m.Kind == evidence.DirectKind {
		return k.own, nil
	}
	if k.x.Statement == nil {
		return nil, escrow.Errorf(escrow.BelowQuorum, "compartment %s was not released in this export", m.Compartment).
			WithHint("open a case and fetch its hand-over")
	}
	epoch, err := k.x.Epoch(k.x.Statement.Compartment, k.x.Statement.Epoch)
	if err != nil {
		return nil, err
	}
	if epoch.Manifest.Recipient != m.Recipient {
		return nil, escrow.Errorf(escrow.WrongKey, "epoch %d of %s has another key than the epoch %d that was released", m.Epoch, m.Compartment, epoch.Manifest.Epoch)
	}
	if k.combined == nil {
		k.combined, err = k.combine(epoch.Manifest)
	}
	return k.combined, err
}

// combine opens each approval with the recipient's key and puts the release
// identity together. An approval that holds no good share is left out and
// named: one trustee must not be able to keep what the others released.
func (k *keyRing) combine(m *evidence.KeyManifest) (*age.HybridIdentity, error) {
	approvals, err := k.x.Counted(false)
	if err != nil {
		return nil, err
	}
	var sealedTo []string
	for _, r := range k.x.Statement.Recipients {
		if p := m.Pinned(r.Fingerprint); p != nil {
			sealedTo = append(sealedTo, p.Recipient)
		}
	}
	var offered []seal.Offered
	var wrongKey error
	for _, a := range approvals {
		text, err := seal.OpenApproval(a, sealedTo, k.own)
		if err == nil {
			_, err = seal.CheckShare(m, text)
		}
		if err != nil {
			if escrow.CodeOf(err) == escrow.WrongKey {
				wrongKey = err
			}
			k.findings = append(k.findings, fmt.Sprintf("approval of %s/%s is of no use: %v", a.Trustee, a.Person, err))
			continue
		}
		offered = append(offered, seal.Offered{Name: a.Trustee, Text: text})
	}
	if len(offered) == 0 && wrongKey != nil {
		return nil, wrongKey // the key file is not the recipient's
	}
	combined, err := seal.Combine(offered, m)
	if err != nil {
		if e, ok := errors.AsType[*escrow.Error](err); ok && len(k.findings) > 0 {
			return nil, e.WithHint("ask another trustee to approve and fetch again; %s", strings.Join(k.findings, "; "))
		}
		return nil, err
	}
	return combined.Identity, nil
}

func (c *openCmd) report(s *streams, opened []openedModule, verified *export.Report, findings []string) error {
	var failed error
	if slices.ContainsFunc(opened, func(o openedModule) bool { return o.failed }) {
		failed = errFindings
	}
	if s.json {
		for _, f := range findings {
			fmt.Fprintf(s.err, "note: %s\n", f)
		}
		return errors.Join(s.printJSON(opened), failed)
	}
	fmt.Fprintf(s.out, "verified  %d signatures, %d receipts, %d ledger entries\n", verified.Signatures, verified.Receipts, verified.Entries)
	for _, f := range findings {
		fmt.Fprintf(s.out, "  note      %s\n", f)
	}
	printTrusted(s, verified.Trusted)
	for _, o := range opened {
		fmt.Fprintf(s.out, "opened    %s\n", o.Module)
		if o.Files != nil {
			o.printFiles(s)
			continue
		}
		fmt.Fprintf(s.out, "  deposit %d, built from %s\n", o.Deposit, numbers(o.Deposits))
		switch {
		case o.Restic != nil:
			o.printRestic(s)
		case o.Images != nil:
			o.printImages(s)
		default:
			fmt.Fprintf(s.out, "  refs    %d, equal to the deposit (%s)\n", o.Refs, o.Digest[:16])
		}
		if o.Head != "" {
			fmt.Fprintf(s.out, "  HEAD    %s\n", o.Head)
		}
		if o.LFS > 0 {
			fmt.Fprintf(s.out, "  LFS     %d objects\n", o.LFS)
		}
		for _, m := range o.Missing {
			fmt.Fprintf(s.out, "  missing %s\n", m)
		}
		for _, n := range o.Notes {
			fmt.Fprintf(s.out, "  note    %s\n", n)
		}
		fmt.Fprintf(s.out, "  in      %s\n", o.Dir)
	}
	return failed
}

func numbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprint(n)
	}
	if len(words) > 6 {
		words = append(append(words[:3:3], "…"), words[len(words)-1])
	}
	return strings.Join(words, ", ")
}
