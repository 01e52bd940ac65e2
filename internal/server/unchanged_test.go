package server_test

import (
	"encoding/json"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// word signs that nothing changed since the newest deposit of a module.
func (d *depositor) word(t testing.TB, in *installation, edit func(*evidence.Unchanged)) client.UnchangedReport {
	t.Helper()
	base, err := d.base(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u := evidence.Unchanged{Arrangement: arrangementID, Agreement: base.Agreement, Module: d.module, Number: base.Latest.Number, Deposit: base.Latest.Digest,
		State: base.State.State, At: evidence.At(time.Now()), By: d.who.party + "/" + d.who.name}
	if edit != nil {
		edit(&u)
	}
	document, err := u.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := evidence.Sign(d.who.signer, evidence.NamespaceDeposit, document)
	if err != nil {
		t.Fatal(err)
	}
	return client.UnchangedReport{Report: client.Signed{Document: string(document), Signature: string(signature)}}
}

// TestUnchanged: a depositor's word counts once, for the newest deposit, from
// who made it, and while it is fresh; and it hides nothing.
func TestUnchanged(t *testing.T) { eachEngine(t, checkUnchanged) }

func checkUnchanged(t *testing.T, in *installation) {
	ctx := t.Context()
	in.ceremony(1)
	repo := newSource(t, "sha1")
	d := in.depositor(t, "r1", repo)
	report := func(w client.UnchangedReport) (client.Unchanged, error) {
		return d.client.ReportUnchanged(ctx, arrangementID, "r1", w)
	}
	if _, err := report(client.UnchangedReport{Report: client.Signed{Document: "{}", Signature: "x"}}); code(err) != escrow.Invalid {
		t.Errorf("no report at all: %v", err)
	}
	first, err := d.deposit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.deposit(ctx); err != nil || again.Number != 0 {
		t.Fatalf("nothing changed: deposit %d, %v", again.Number, err)
	}
	digest := evidence.Digest([]byte("something else"))
	for _, tt := range []struct {
		name string
		want escrow.Code
		edit func(*evidence.Unchanged)
	}{
		{"another module", escrow.Invalid, func(u *evidence.Unchanged) { u.Module = "r2" }},
		{"another arrangement", escrow.Invalid, func(u *evidence.Unchanged) { u.Arrangement = "other" }},
		{"another agreement", escrow.Conflict, func(u *evidence.Unchanged) { u.Agreement = digest }},
		{"another deposit", escrow.Conflict, func(u *evidence.Unchanged) { u.Deposit = digest }},
		{"a deposit that is not there", escrow.Conflict, func(u *evidence.Unchanged) { u.Number = 2 }},
		{"another state", escrow.Invalid, func(u *evidence.Unchanged) { u.State = digest }},
		{"another person", escrow.Invalid, func(u *evidence.Unchanged) { u.By = "supplier/someone" }},
		{"kept back for an hour", escrow.Invalid, func(u *evidence.Unchanged) { u.At = evidence.At(time.Now().Add(-time.Hour)) }},
		{"of the future", escrow.Invalid, func(u *evidence.Unchanged) { u.At = evidence.At(time.Now().Add(time.Hour)) }},
	} {
		if _, err := report(d.word(t, in, tt.edit)); code(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	forged := d.word(t, in, nil)
	signature, err := evidence.Sign(in.people["agent"].signer, evidence.NamespaceDeposit, []byte(forged.Report.Document))
	if err != nil {
		t.Fatal(err)
	}
	forged.Report.Signature = string(signature)
	if _, err := report(forged); code(err) != escrow.Invalid {
		t.Errorf("signed by another key: %v", err)
	}
	if _, err := in.as("customer").ReportUnchanged(ctx, arrangementID, "r1", d.word(t, in, nil)); code(err) != escrow.Forbidden {
		t.Errorf("by another party: %v", err)
	}
	if n := len(in.acts(in.admin, evidence.ActDepositUnchanged)); n != 0 {
		t.Fatalf("%d refused reports are acts", n)
	}

	// Half a minute ago, so that a later one is later however fast this runs.
	early := d.word(t, in, func(u *evidence.Unchanged) { u.At = evidence.At(time.Now().Add(-30 * time.Second)) })
	got, err := report(early)
	if err != nil || got.Number != first.Number || got.NotCounted != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	good := d.word(t, in, nil)
	if _, err := report(good); err != nil {
		t.Fatal(err)
	}
	again, err := report(good)
	if err != nil || !again.ReceivedAt.Equal(mustReceive(t, report, good)) {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	if _, err := report(early); code(err) != escrow.Conflict {
		t.Errorf("an older one replayed: %v", err)
	}
	acts := in.acts(in.admin, evidence.ActDepositUnchanged)
	if len(acts) != 2 || acts[1].Subject != first.Digest {
		t.Fatalf("%d acts", len(acts))
	}
	// The act carries the whole proof.
	var data struct{ Report, Signature string }
	if err := json.Unmarshal(acts[1].Data, &data); err != nil || data.Report != good.Report.Document {
		t.Errorf("the act says %s, %v", acts[1].Data, err)
	}
	if err := evidence.Verify(evidence.FormatPublicKey(d.who.signer.PublicKey()), evidence.NamespaceDeposit, []byte(data.Report), []byte(data.Signature)); err != nil {
		t.Error(err)
	}

	// What was rewritten meanwhile makes a deposit with its finding, however
	// often somebody says that nothing changed.
	repo.CommitOn(t, "refs/heads/main", nil, map[string]string{"README": "closed"})
	at := evidence.At(time.Now().Add(2 * time.Second))
	last := d.word(t, in, func(u *evidence.Unchanged) { u.At = at })
	if _, err := report(last); err != nil {
		t.Fatal(err)
	}
	second, err := d.deposit(ctx)
	if err != nil || second.Number != 2 {
		t.Fatalf("%d, %v", second.Number, err)
	}
	if n := len(in.acts(in.admin, "finding.suspect")); n != 1 {
		t.Errorf("%d suspicions of a rewritten branch", n)
	}
	// In the very second in which the one before it was reported unchanged.
	w := d.word(t, in, func(u *evidence.Unchanged) { u.At = at })
	if got, err := report(w); err != nil || got.NotCounted == "" {
		t.Errorf("about a deposit that looks wrong: %+v, %v", got, err)
	}
	if _, err := report(last); code(err) != escrow.Conflict {
		t.Errorf("about the one before it, again: %v", err)
	}

	// A new key needs everything again, though nothing changed.
	in.ceremony(2)
	w = d.word(t, in, func(u *evidence.Unchanged) { u.At = evidence.At(time.Now().Add(6 * time.Second)) })
	if _, err := report(w); code(err) != escrow.Conflict {
		t.Errorf("after the key was dealt anew: %v", err)
	}

	// Where the server reads the source itself, nobody tells it what is there.
	in.source("r2", client.ModuleSource{URL: newSource(t, "sha1").Dir})
	if text := in.sync("r2"); text != "" {
		t.Fatal(text)
	}
	pulled := &depositor{who: in.people["supplier"], client: in.as("supplier"), outbox: d.outbox, module: "r2"}
	latest, err := pulled.client.Deposit(ctx, arrangementID, "r2", 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := evidence.ParseDepositManifest([]byte(latest.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	w = d.word(t, in, func(u *evidence.Unchanged) {
		u.Module, u.Number, u.Deposit, u.State, u.At = "r2", 1, latest.Digest, m.State, evidence.At(time.Now())
	})
	if _, err := pulled.client.ReportUnchanged(ctx, arrangementID, "r2", w); code(err) != escrow.Conflict {
		t.Errorf("of a module that is pulled: %v", err)
	}
	in.wantVerified(t)
}

func mustReceive(t testing.TB, report func(client.UnchangedReport) (client.Unchanged, error), w client.UnchangedReport) time.Time {
	t.Helper()
	u, err := report(w)
	if err != nil {
		t.Fatal(err)
	}
	return u.ReceivedAt
}
