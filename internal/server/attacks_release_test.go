package server_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"filippo.io/age/armor"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
	"holdfast/internal/server"
)

// TestContestRunsFromTheNotice: a supplier that hears late has the whole
// period all the same, and telling somebody else does not start it.
func TestContestRunsFromTheNotice(t *testing.T) {
	now := time.Now()
	in := installWith(t, nil, server.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	text := strings.Replace(string(agreementText(t)), "contest: 0d", "contest: 2d", 1)
	text = strings.Replace(text, "version: 1", "version: 2\nreplaces: "+in.digest, 1)
	a, err := in.admin.RegisterAgreement(ctx, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in.digest = a.Digest
	in.ceremony(1)
	supplier, agent := in.as("supplier"), in.as("agent")
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "one", nil)); err != nil {
		t.Fatal(err)
	}
	c, err := in.as("customer").OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(10 * 24 * time.Hour) // the case lay in a drawer
	if _, err := agent.RecordNotice(ctx, arrangementID, c.ID, client.Notice{To: "nobody", Channel: "mail", Text: "x"}); code(err) != escrow.Invalid {
		t.Errorf("notice to nobody: %v", err)
	}
	if c, err = agent.RecordNotice(ctx, arrangementID, c.ID, client.Notice{To: "customer", Channel: "mail", Text: "x"}); err != nil || c.State != "opened" {
		t.Errorf("after telling the claimant: %s, %v", c.State, err)
	}
	if c, err = agent.RecordNotice(ctx, arrangementID, c.ID, client.Notice{To: "supplier", Channel: "mail", Text: "x"}); err != nil || c.State != "noticed" {
		t.Fatalf("after telling the supplier: %s, %v", c.State, err)
	}
	if c.ContestEnds == nil || c.ContestEnds.Before(now.Add(48*time.Hour)) {
		t.Errorf("the contest period ends at %v, two days from %v are not over", c.ContestEnds, now)
	}
	ask := func() error {
		_, err := agent.RequestApprovals(ctx, arrangementID, c.ID, client.ApprovalRequest{Purpose: "x"})
		return err
	}
	now = now.Add(47 * time.Hour)
	if err := ask(); code(err) != escrow.Conflict {
		t.Errorf("approvals within the contest period: %v", err)
	}
	now = now.Add(49 * time.Hour)
	if err := ask(); err != nil {
		t.Errorf("approvals after it: %v", err)
	}
}

// hollow makes an approval as the server sees it fit, with nothing inside.
func (in *installation) hollow(t *testing.T, party string, c client.Case) client.Signed {
	t.Helper()
	p := in.people[party]
	m, share, err := in.share(in.as(party), p, c.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w := armor.NewWriter(&sealed)
	if _, err := w.Write(sealedTo(t, in.people["customer"].identity.Recipient().String(), "no share at all\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	document, err := evidence.Approval{Statement: evidence.Digest([]byte(c.Statement)), Set: m.Set, Trustee: p.party, Person: p.name, Share: share.Digest,
		Package: sealed.String(), PackageDigest: evidence.Digest(sealed.Bytes()), At: evidence.At(time.Now())}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := evidence.Sign(p.signer, evidence.NamespaceApproval, document)
	if err != nil {
		t.Fatal(err)
	}
	return client.Signed{Document: string(document), Signature: string(signature)}
}

// TestOneTrusteeCannotSpoilARelease: an approval that holds nothing counts for
// the server, which cannot look inside. The others can still approve, and a
// case about the same epoch can be opened again.
func TestOneTrusteeCannotSpoilARelease(t *testing.T) {
	in := install(t, nil)
	ctx := t.Context()
	in.ceremony(1)
	supplier, customer := in.as("supplier"), in.as("customer")
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "one", nil)); err != nil {
		t.Fatal(err)
	}
	c := in.release()
	if _, err := in.as("agent").Approve(ctx, arrangementID, c.ID, in.hollow(t, "agent", c)); err != nil {
		t.Fatalf("the server cannot know: %v", err)
	}
	var err error
	for _, party := range []string{"foundation", "notary"} {
		if c, err = in.approve(party, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	if c.State != "in_force" {
		t.Fatalf("state %s", c.State)
	}
	if _, err := in.approve("expert", c.ID); err != nil {
		t.Errorf("a further approval, to make up for the hollow one: %v", err)
	}
	h, err := customer.HandOver(ctx, arrangementID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	m, err := evidence.ParseKeyManifest([]byte(h.Epoch.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	var offered []seal.Offered
	for _, s := range h.Approvals {
		a, err := evidence.ParseApproval([]byte(s.Document))
		if err != nil {
			t.Fatal(err)
		}
		text, err := seal.OpenApproval(a, []string{m.Recipients[0].Recipient}, in.people["customer"].identity)
		if (err != nil) != (a.Trustee == "agent") {
			t.Errorf("approval of %s: %v", a.Trustee, err)
		}
		if err == nil {
			offered = append(offered, seal.Offered{Name: a.Trustee, Text: text})
		}
	}
	if _, err := seal.Combine(offered, m); err != nil {
		t.Error(err)
	}
	again, err := customer.OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Reason: "once more"})
	if err != nil || again.Epoch != 1 {
		t.Errorf("another case about what was deposited under the ended epoch: %+v, %v", again, err)
	}
	if _, err := customer.OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Epoch: 7, Reason: "x"}); code(err) != escrow.Conflict {
		t.Errorf("an epoch that does not exist: %v", err)
	}
}

// TestReleasedKeyIsNotUsedAgain: neither by handing its shares on nor by
// dealing it once more can a key that somebody holds whole become the one
// that deposits are sealed to.
func TestReleasedKeyIsNotUsedAgain(t *testing.T) {
	in := install(t, nil)
	ctx := t.Context()
	in.ceremony(1)
	supplier := in.as("supplier")
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "one", nil)); err != nil {
		t.Fatal(err)
	}
	c := in.release()
	// Between the statement and the quorum the supplier hands the key on.
	reshared := in.forged(t, func(m *evidence.KeyManifest) {
		m.Previous, m.IdentityEpoch, m.Plan = m.Set, 1, evidence.Digest([]byte("plan"))
		m.Dealings = []evidence.DealingRef{{Trustee: "agent", Digest: evidence.Digest([]byte("dealing"))}}
		for i := range m.Trustees {
			m.Trustees[i].Share = ""
			for j := range m.Trustees[i].People {
				m.Trustees[i].People[j].Package = ""
			}
		}
	})
	if _, err := supplier.PublishEpoch(ctx, arrangementID, reshared); err != nil {
		t.Fatalf("resharing of the active key: %v", err)
	}
	for _, party := range []string{"agent", "foundation", "notary"} {
		if _, err := in.approve(party, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	list, err := supplier.Epochs(ctx, arrangementID, "materials")
	if err != nil || len(list) != 2 || list[0].State != "ended" || list[1].State != "abandoned" {
		t.Fatalf("epochs after the release: %+v, %v", list, err)
	}
	reshared = in.renumbered(t, reshared, 3)
	if _, err := supplier.PublishEpoch(ctx, arrangementID, reshared); code(err) != escrow.Conflict {
		t.Errorf("resharing of the released key: %v", err)
	}
	again := in.forged(t, func(m *evidence.KeyManifest) { m.Epoch, m.IdentityEpoch = 3, 3 })
	for _, party := range trustees() {
		pkg, err := in.as(party).FetchPackage(ctx, arrangementID, "materials", 1)
		if err != nil {
			t.Fatal(err)
		}
		again.Packages = append(again.Packages, pkg)
	}
	if _, err := supplier.PublishEpoch(ctx, arrangementID, again); code(err) != escrow.Conflict || !strings.Contains(err.Error(), "already") {
		t.Errorf("dealing of the released key: %v", err)
	}
}

// forged alters the manifest of epoch 1 into one for epoch 2 and signs it, as
// a supplier can.
func (in *installation) forged(t *testing.T, edit func(*evidence.KeyManifest)) client.NewEpoch {
	t.Helper()
	m, err := evidence.ParseKeyManifest(in.manifest(1))
	if err != nil {
		t.Fatal(err)
	}
	m.Epoch, m.IdentityEpoch = 2, 2
	edit(m)
	return in.signedEpoch(t, m)
}

func (in *installation) renumbered(t *testing.T, e client.NewEpoch, epoch int) client.NewEpoch {
	t.Helper()
	m, err := evidence.ParseKeyManifest([]byte(e.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	m.Epoch = epoch
	return in.signedEpoch(t, m)
}

func (in *installation) signedEpoch(t *testing.T, m *evidence.KeyManifest) client.NewEpoch {
	t.Helper()
	var err error
	if m.Set, err = m.SetID(); err != nil {
		t.Fatal(err)
	}
	document, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := evidence.Sign(in.people["supplier"].signer, evidence.NamespaceKeys, document)
	if err != nil {
		t.Fatal(err)
	}
	return client.NewEpoch{Manifest: client.Signed{Document: string(document), Signature: string(signature)}}
}
