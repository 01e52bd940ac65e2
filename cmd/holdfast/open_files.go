package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/export"
	"holdfast/internal/intake/files"
	"holdfast/internal/intake/files/restore"
	"holdfast/internal/seal"
)

// openedFiles is what is printed about directories.
type openedFiles struct {
	Files   int      `json:"files"`
	Bytes   int64    `json:"bytes"`
	Tree    string   `json:"tree_digest"`
	Skipped []string `json:"links_skipped,omitempty"`
}

// files restores the directories of a module. What is needed of each pack is
// read in parallel; every chunk is compared with the digest that the signed
// list names, so that the packs need not be hashed whole as well.
func (c *openCmd) files(ctx context.Context, s *streams, keys *keyRing, list []export.OpenDeposit, id, dir string) (openedModule, error) {
	o := restore.Options{Dir: dir, Links: restore.Links(c.OutsideLinks)}
	for _, d := range list {
		if d.Manifest.Files == nil { // what it was before it held directories
			o.Deposits = nil
			continue
		}
		one, err := keys.filesDeposit(d.Manifest)
		if err != nil {
			return openedModule{}, err
		}
		o.Deposits = append(o.Deposits, one)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return openedModule{}, escrow.Wrap(err, escrow.Invalid, "%s", dir)
	}
	bar := newProgress(s, id)
	o.Progress = bar.of
	r, err := restore.Rebuild(ctx, o)
	bar.done()
	if err != nil {
		return openedModule{}, err
	}
	out := openedModule{Module: id, Dir: filepath.Join(c.To, filepath.FromSlash(id)), Deposit: r.Number, Deposits: r.Deposits,
		Files: &openedFiles{r.Files, r.Bytes, r.Tree, r.Skipped}}
	out.Missing = list[len(list)-1].Manifest.Missing
	for _, clash := range r.Clashes {
		out.Notes = append(out.Notes, "differ in case only: "+clash)
	}
	return out, nil
}

func (k *keyRing) filesDeposit(m *evidence.DepositManifest) (restore.Deposit, error) {
	d := restore.Deposit{Number: m.Number, Kind: escrow.DepositKind(m.Kind), Files: m.Files.Files, Bytes: m.Files.Bytes}
	for _, o := range m.Objects {
		switch o.Role {
		case files.ListRole:
			d.List = func(context.Context) (io.ReadCloser, error) { return k.open(m, o) }
		case files.PackRole:
			d.Packs = append(d.Packs, restore.Object{Name: o.Name, Open: func(context.Context) (restore.Pack, error) { return k.openAt(m, o) }})
		}
	}
	if d.List == nil {
		return d, escrow.Errorf(escrow.Invalid, "deposit %d of %s has no list of its files", m.Number, m.Module)
	}
	return d, nil
}

// openAt decrypts one object where it is read.
func (k *keyRing) openAt(m *evidence.DepositManifest, o evidence.ObjectEntry) (restore.Pack, error) {
	f, opts, identity, err := k.sealed(m, o)
	if err != nil {
		return nil, err
	}
	plain, _, err := seal.OpenAt(f, opts, identity)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return pack{plain, f}, nil
}

type pack struct {
	io.ReaderAt
	io.Closer
}

func (o *openedModule) printFiles(s *streams) {
	fmt.Fprintf(s.out, "  deposit %d, built from %s\n", o.Deposit, numbers(o.Deposits))
	fmt.Fprintf(s.out, "  files   %d, %s, equal to the deposit (%s)\n", o.Files.Files, size(o.Files.Bytes), o.Files.Tree[:16])
	for _, l := range o.Files.Skipped {
		fmt.Fprintf(s.out, "  skipped %s\n", l)
	}
	for _, m := range o.Missing {
		fmt.Fprintf(s.out, "  missing %s\n", m)
	}
	for _, n := range o.Notes {
		fmt.Fprintf(s.out, "  note    %s\n", n)
	}
	fmt.Fprintf(s.out, "  in      %s\n", o.Dir)
}
