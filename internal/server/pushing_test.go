package server_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob/file"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/wire"
)

// depositor pushes a repository into a module from its own machine, as
// 'holdfast deposit git' does.
type depositor struct {
	who    *person
	client *client.Client
	outbox *file.Store
	module string
	repo   *gittest.Repo
	doing  func(string) // told each step; may be nil
}

func (in *installation) depositor(t testing.TB, module string, repo *gittest.Repo) *depositor {
	t.Helper()
	outbox, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in.push(module)
	return &depositor{who: in.people["supplier"], client: in.as("supplier"), outbox: outbox, module: module, repo: repo}
}

func (d *depositor) step(name string) {
	if d.doing != nil {
		d.doing(name)
	}
}

// deposit seals what is new and hands it in. The deposit is the zero one when
// nothing is.
func (d *depositor) deposit(ctx context.Context) (client.Deposit, error) {
	defer d.step("")
	d.step("asking")
	base, err := d.base(ctx)
	if err != nil {
		return client.Deposit{}, err
	}
	d.step("sealing")
	local, err := known.OpenLocal(ctx, d.repo.Dir)
	if err != nil {
		return client.Deposit{}, err
	}
	defer local.Close()
	maker := deposit.Maker{Objects: d.outbox, Identity: d.who.identity, Signer: d.who.signer, By: d.who.party + "/" + d.who.name,
		Checked: evidence.CheckedByDepositor, Now: time.Now}
	made, err := maker.Git(ctx, base, git.Options{Source: git.Source{Endpoint: wire.Endpoint{URL: d.repo.Dir}, Rebase: 20},
		Wire: wire.Config{AllowLocal: true}, Known: local})
	if err != nil || made == nil {
		return client.Deposit{}, err
	}
	d.step("uploading")
	names := []string{made.Manifest.State}
	for _, o := range made.Manifest.Objects {
		names = append(names, o.Name)
	}
	for _, name := range names {
		if err := d.upload(ctx, name); err != nil {
			return client.Deposit{}, err
		}
	}
	d.step("submitting")
	return d.client.MakeDeposit(ctx, arrangementID, d.module, client.NewDeposit{
		Manifest: client.Signed{Document: string(made.Submission.Manifest), Signature: string(made.Submission.Signature)}})
}

func (d *depositor) base(ctx context.Context) (escrow.DepositBase, error) {
	b, err := d.client.DepositBase(ctx, arrangementID, d.module)
	if err != nil {
		return escrow.DepositBase{}, err
	}
	base := escrow.DepositBase{Agreement: b.Agreement, Mandatory: escrow.FindableOf(b.Mandatory),
		Module: escrow.ModuleStatus{Module: escrow.Module{Arrangement: arrangementID, ID: d.module, Compartment: b.Module.Compartment}},
		Epoch:  escrow.Epoch{Compartment: b.Module.Compartment, Number: b.Epoch.Number, Set: b.Epoch.Set, Manifest: []byte(b.Epoch.Manifest.Document)}}
	if b.Latest == nil {
		return base, nil
	}
	m, err := evidence.ParseDepositManifest([]byte(b.Latest.Manifest.Document))
	if err != nil {
		return base, err
	}
	base.Latest = escrow.Deposit{Number: m.Number, Epoch: m.Epoch, Digest: b.Latest.Digest}
	if m.State == "" {
		return base, nil
	}
	base.State = escrow.SourceState{State: m.State, Deposit: m.Number, Chain: m.Chain}
	return base, d.fetchState(ctx, m.State)
}

// fetchState brings the sealed state back when the outbox has lost it.
func (d *depositor) fetchState(ctx context.Context, name string) error {
	if _, err := d.outbox.Stat(ctx, name); escrow.CodeOf(err) != escrow.Missing {
		return err
	}
	body, err := d.client.State(ctx, arrangementID, d.module)
	if err != nil {
		return err
	}
	defer body.Close()
	w, err := d.outbox.Create(ctx)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	got, _, err := w.Commit(ctx)
	if err == nil && got != name {
		err = errors.New("the server gave another state than the manifest names")
	}
	return err
}

func (d *depositor) upload(ctx context.Context, name string) error {
	r, err := d.outbox.Open(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	if held, err := d.client.HasObject(ctx, arrangementID, d.module, name, r.Size()); held || err != nil {
		return err
	}
	return d.client.PutObject(ctx, arrangementID, d.module, name, io.NewSectionReader(r, 0, r.Size()), r.Size())
}
