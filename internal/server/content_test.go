package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

func (in *installation) duty(module string) client.Duty {
	in.t.Helper()
	list, err := in.as("agent").Duty(in.t.Context(), arrangementID)
	if err != nil {
		in.t.Fatal(err)
	}
	for _, d := range list {
		if d.Module == module {
			return d
		}
	}
	in.t.Fatalf("no duty of %s", module)
	return client.Duty{}
}

// TestMandatoryContent: what the agreement demands in every deposit is looked
// for where it can be; what is missing is a defect with its place, and refuses
// the deposit where nobody else judges it.
func TestMandatoryContent(t *testing.T) { eachEngine(t, checkContent) }

func checkContent(t *testing.T, in *installation) {
	ctx := t.Context()
	in.ceremony(1)

	repo := newSource(t, "sha1")
	d := in.depositor(t, "m1", repo)
	first, err := d.deposit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, err := evidence.ParseDepositManifest([]byte(first.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	if m.Content == nil || !slices.Equal(m.Content.Held, []string{"grows", "dir*/file1", "refs/tags/v1"}) || !slices.Equal(m.Content.Missing, []string{"build.sh"}) {
		t.Errorf("the manifest says %+v", m.Content)
	}
	got := in.duty("m1")
	if got.Last != 0 || len(got.Refused) != 1 || len(got.Refused[0].Defects) != 1 || !strings.HasPrefix(got.Refused[0].Defects[0], "build.sh: it is not in the deposit") {
		t.Errorf("nobody judges it, and it counts: %+v", got)
	}
	for _, kind := range []string{evidence.ActFindingContent, "deposit.refused"} {
		list := in.acts(in.admin, kind)
		var data struct{ Defects []string }
		if len(list) != 1 || list[0].Actor != "server" || list[0].Subject != first.Digest {
			t.Fatalf("%d acts %s", len(list), kind)
		}
		if err := json.Unmarshal(list[0].Data, &data); err != nil || len(data.Defects) != 1 {
			t.Errorf("%s says %s, %v", kind, list[0].Data, err)
		}
	}
	// That nothing changed heals no refusal.
	if u, err := d.client.ReportUnchanged(ctx, arrangementID, "m1", d.word(t, in, nil)); err != nil || !strings.Contains(u.NotCounted, "refused") {
		t.Errorf("%+v, %v", u, err)
	}
	repo.Commit(t, "refs/heads/main", map[string]string{"build.sh": "go build"})
	if _, err := d.deposit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := in.duty("m1"); got.Last != 2 || len(got.Refused) != 1 {
		t.Errorf("with what was missing: %+v", got)
	}
	// A depositor who says nothing is not believed to have it.
	third := in.pushedTo("m1", in.as("supplier"), "three", nil)
	if _, err := in.as("supplier").MakeDeposit(ctx, arrangementID, "m1", third); err != nil {
		t.Fatal(err)
	}
	if got := in.duty("m1"); got.Last != 2 || len(got.Refused) != 2 || len(got.Refused[1].Defects) != 4 || !strings.Contains(got.Refused[1].Defects[0], "does not say") {
		t.Errorf("a silent depositor: %+v", got)
	}
	// The agent's word stands above the check.
	if err := in.as("agent").DecideDeposit(ctx, arrangementID, "m1", 3, client.NewDecision{Level: 2, Note: "looked inside"}); err != nil {
		t.Fatal(err)
	}
	if got := in.duty("m1"); got.Last != 3 {
		t.Errorf("after the agent's word: %+v", got)
	}

	// Where somebody judges, it is laid before them. A server that fetches sees
	// refs; what paths there are, it keeps no mirror to tell.
	in.source("m2", client.ModuleSource{URL: newSource(t, "sha1").Dir})
	pulled := in.mustSync("m2", 1)
	if c := pulled.Content; c == nil || len(c.Held) != 0 || !slices.Equal(c.Missing, []string{"refs/heads/release-1"}) {
		t.Errorf("pulled: %+v", pulled.Content)
	}
	got = in.duty("m2")
	if got.Last != 1 || got.Undecided != 1 || len(got.Refused) != 0 || len(got.Found) != 1 || !strings.HasPrefix(got.Found[0].Defects[0], "refs/heads/release-1: ") {
		t.Errorf("before the agent's word: %+v", got)
	}
	if err := in.as("agent").DecideDeposit(ctx, arrangementID, "m2", 1, client.NewDecision{Refused: true, Defects: got.Found[0].Defects}); err != nil {
		t.Fatal(err)
	}
	if got := in.duty("m2"); got.Last != 0 || len(got.Found) != 0 || len(got.Refused) != 1 {
		t.Errorf("after it: %+v", got)
	}
	if code(in.as("supplier").DecideDeposit(ctx, arrangementID, "m2", 1, client.NewDecision{Level: 2})) != escrow.Forbidden {
		t.Error("the supplier judges its own deposit")
	}
	in.wantVerified(t)
}
