package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// registerCmd registers an agreement with a server.
type registerCmd struct {
	remote
	File string `arg:"" help:"Agreement." type:"existingfile"`
}

func (c *registerCmd) Run(ctx context.Context, s *streams) error {
	source, err := readText(s, c.File)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	a, err := cl.RegisterAgreement(ctx, source)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(a)
	}
	_, err = fmt.Fprintf(s.out, "registered %s, version %d\n  digest    %s\n", a.ID, a.Version, a.Digest)
	return err
}

// contactCmd pins and lists contact cards.
type contactCmd struct {
	Add  contactAddCmd  `cmd:"" help:"Pin contact cards made with 'holdfast key new'."`
	List contactListCmd `cmd:"" help:"List the pinned cards with their fingerprints."`
}

type contactAddCmd struct {
	scoped
	Files []string `arg:"" help:"Contact cards." type:"existingfile"`
}

func (c *contactAddCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	var pinned []client.Contact
	for _, f := range c.Files {
		data, err := readFile(f, maxKeyFile)
		if err != nil {
			return err
		}
		out, err := cl.AddContact(ctx, c.Arrangement, data)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		pinned = append(pinned, out)
		if !s.json {
			fmt.Fprintf(s.out, "pinned    %s/%s %s\n", out.Party, out.Person, evidence.Fingerprint(out.Recipient)[:16])
		}
	}
	if s.json {
		return s.printJSON(pinned)
	}
	return nil
}

type contactListCmd struct{ scoped }

func (c *contactListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Contacts(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	for _, k := range list {
		fmt.Fprintf(s.out, "%-32s %s\n", k.Party+"/"+k.Person, evidence.Fingerprint(k.Recipient))
	}
	return nil
}

// ceremonyPublishCmd hands a ceremony's output to a server. It carries sealed
// shares only.
type ceremonyPublishCmd struct {
	scoped
	Dir string `arg:"" help:"Directory that 'holdfast ceremony deal' wrote." type:"existingdir"`
}

func (c *ceremonyPublishCmd) Run(ctx context.Context, s *streams) error {
	manifest, err := readSigned(filepath.Join(c.Dir, "manifest.json"))
	if err != nil {
		return err
	}
	m, err := evidence.ParseKeyManifest([]byte(manifest.Document))
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	in := client.NewEpoch{Manifest: manifest}
	for _, t := range m.Trustees {
		for _, p := range t.People {
			if p.Package == "" {
				continue
			}
			sealed, err := os.ReadFile(filepath.Join(c.Dir, packageName(t.Party, p.Person)))
			if err != nil {
				return escrow.Wrap(err, escrow.Missing, "package of %s/%s", t.Party, p.Person)
			}
			in.Packages = append(in.Packages, client.SharePackage{Trustee: t.Party, Person: p.Person, Sealed: string(sealed)})
		}
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	e, err := cl.PublishEpoch(ctx, c.Arrangement, in)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(e)
	}
	_, err = fmt.Fprintf(s.out, "published epoch %d of %s: %s, %d acceptances needed\n", e.Number, e.Compartment, e.State, e.Required)
	return err
}

// shareFetchCmd fetches what a trustee checks.
type shareFetchCmd struct {
	scoped
	Compartment string `required:"" help:"Compartment id."`
	Epoch       int    `help:"Epoch; default the latest."`
	Out         string `required:"" help:"Directory to write to." type:"path"`
}

func (c *shareFetchCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Epochs(ctx, c.Arrangement, c.Compartment)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return escrow.Errorf(escrow.NotFound, "compartment %s has no epoch yet", c.Compartment)
	}
	epoch := c.Epoch
	if epoch == 0 {
		epoch = list[len(list)-1].Number
	}
	files := map[string]string{}
	own, err := shareFiles(ctx, cl, c.Arrangement, c.Compartment, epoch, files)
	if err != nil {
		return err
	}
	if err := writeFiles(c.Out, files); err != nil {
		return err
	}
	what := "share"
	if own {
		what = "manifest"
	}
	return s.result(map[string]any{"compartment": c.Compartment, "epoch": epoch, "written": c.Out, "own_share": own},
		"fetched   %s of %s, epoch %d to %s%s\n", what, c.Compartment, epoch, c.Out, ownShare(own))
}

// shareAcceptCmd hands in an acceptance made with 'holdfast share check'.
type shareAcceptCmd struct {
	scoped
	Acceptance string `arg:"" help:"Acceptance file; its signature lies beside it." type:"existingfile"`
}

func (c *shareAcceptCmd) Run(ctx context.Context, s *streams) error {
	signed, err := readSigned(c.Acceptance)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	e, err := cl.AcceptShare(ctx, c.Arrangement, signed)
	if err != nil {
		return err
	}
	return s.result(e, "accepted  epoch %d of %s is %s\n", e.Number, e.Compartment, e.State)
}

// tokenCmd issues and revokes bearer tokens.
type tokenCmd struct {
	Issue  tokenIssueCmd  `cmd:"" help:"Issue a bearer token into a file."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token by its id."`
}

type tokenIssueCmd struct {
	scoped
	Party   string `required:"" help:"Party it acts for."`
	Person  string `help:"Person it belongs to."`
	Module  string `help:"Limit it to deposits of this module."`
	Expires string `help:"How long it lives." default:"720h"`
	Out     string `required:"" help:"File to write it to; it is shown nowhere else." type:"path"`
}

func (c *tokenIssueCmd) Run(ctx context.Context, s *streams) (err error) {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	// The file is made first: a token that cannot be kept is not asked for.
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return escrow.Errorf(escrow.Conflict, "%s exists already and is not overwritten", c.Out).WithHint("name another file with --out")
	}
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = escrow.Wrap(cerr, escrow.Full, "%s", c.Out)
		}
		if err != nil {
			_ = os.Remove(c.Out) // an empty file, and the error says why
		}
	}()
	t, err := cl.IssueToken(ctx, c.Arrangement, client.NewToken{Party: c.Party, Person: c.Person, Module: c.Module, ExpiresIn: c.Expires})
	if err != nil {
		return err
	}
	if _, err := f.WriteString(t.Token + "\n"); err != nil {
		return escrow.Wrap(err, escrow.Full, "%s", c.Out)
	}
	who := strings.TrimSuffix(c.Party+"/"+c.Person, "/")
	return s.result(map[string]any{"id": t.ID, "party": c.Party, "person": c.Person, "expires_at": t.ExpiresAt, "written": c.Out},
		"issued    token %s for %s, valid until %s, in %s\n", t.ID, who, t.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC"), c.Out)
}

type tokenRevokeCmd struct {
	scoped
	ID string `arg:"" help:"Token id."`
}

func (c *tokenRevokeCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.RevokeToken(ctx, c.Arrangement, c.ID); err != nil {
		return err
	}
	return s.result(map[string]string{"revoked": c.ID}, "revoked   token %s\n", c.ID)
}
