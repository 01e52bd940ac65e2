package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// Acme is the arrangement of the fixture.
const Acme = "acme"

func at(minutes int) time.Time { return Now().Add(time.Duration(minutes) * time.Minute) }

func digest(text string) string { return evidence.Digest([]byte(text)) }

// Act is an act about the arrangement of the fixture.
func Act(kind, subject string) escrow.Act {
	return escrow.Act{Kind: kind, Actor: "tester", Arrangement: Acme, Subject: subject}
}

// Update runs fn and records one act of the kind.
func (d *Database) Update(t testing.TB, kind string, fn func(ctx context.Context, tx *store.Tx) error) []evidence.Entry {
	t.Helper()
	entries, err := d.TryUpdate(t.Context(), kind, fn)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return entries
}

// TryUpdate is Update for what may fail.
func (d *Database) TryUpdate(ctx context.Context, kind string, fn func(ctx context.Context, tx *store.Tx) error) ([]evidence.Entry, error) {
	return d.DB.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		if err := fn(ctx, tx); err != nil {
			return nil, err
		}
		return []escrow.Act{Act(kind, "")}, nil
	})
}

// Read runs fn in a read transaction.
func (d *Database) Read(t testing.TB, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := d.View(t.Context(), func(tx *store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func arrangement(version int) escrow.Arrangement {
	canonical := fmt.Sprintf(`{"version":%d}`, version)
	return escrow.Arrangement{ID: Acme, Version: version, Digest: digest(canonical), Canonical: []byte(canonical),
		Source: []byte("version: 1\n"), CreatedAt: at(version)}
}

func contact(person string) escrow.Contact {
	return escrow.Contact{Arrangement: Acme, Party: "notaris", Person: person, Recipient: "age1pq" + person,
		SigningKey: "ssh-ed25519 AAAA " + person, Document: []byte("card of " + person), AddedAt: at(1)}
}

// Module is a module of the fixture, pulled every hour.
func Module(id string) escrow.Module {
	return escrow.Module{Arrangement: Acme, ID: id, Kind: escrow.Repository, Instance: "gem-a", Compartment: "materials",
		Source: escrow.Source{Mode: escrow.Pull, URL: "https://git.example/" + id, LFS: true,
			Exclude: []string{"refs/pull/*", "refs/a b"}, HostKey: "git.example ssh-ed25519 AAAA"},
		Every: time.Hour, Rebase: 50}
}

func credential(kind escrow.CredentialKind) escrow.Credential {
	return escrow.Credential{Arrangement: Acme, Module: "code", Kind: kind, Sealed: []byte("sealed " + kind), UpdatedAt: at(2)}
}

func syncStatus(attempt int) escrow.SyncStatus {
	return escrow.SyncStatus{Arrangement: Acme, Module: "code", AttemptedAt: at(attempt), SucceededAt: at(1), Failures: 2,
		Error: "connection refused", Code: escrow.Unavailable, Hint: "try later", NextDue: at(attempt + 60)}
}

func epoch(number int) escrow.Epoch {
	return escrow.Epoch{Arrangement: Acme, Compartment: "materials", Number: number, Set: fmt.Sprintf("set%d", number),
		Recipient: fmt.Sprintf("age1pq%d", number), Manifest: fmt.Appendf(nil, "key manifest %d", number), Signature: []byte("sig"),
		Required: 3, State: escrow.EpochDealt, DealtAt: at(number)}
}

func sharePackage(person string) escrow.SharePackage {
	return escrow.SharePackage{Arrangement: Acme, Compartment: "materials", Epoch: 1, Trustee: "notaris", Person: person,
		Digest: digest("share of " + person), Sealed: []byte("share of " + person)}
}

func acceptance(person string) escrow.Acceptance {
	return escrow.Acceptance{Arrangement: Acme, Compartment: "materials", Epoch: 1, Trustee: "notaris", Person: person,
		Document: []byte("accepted by " + person), Signature: []byte("sig"), AcceptedAt: at(3)}
}

// Deposit is the deposit of that number of a module, with two objects.
func Deposit(module string, number int) escrow.Deposit {
	manifest := func(n int) []byte { return fmt.Appendf(nil, "manifest of %s %d", module, n) }
	d := escrow.Deposit{Arrangement: Acme, Module: module, Number: number, Kind: escrow.IncrementalDeposit,
		Digest: evidence.Digest(manifest(number)), Manifest: manifest(number), Signature: []byte("sig"), Compartment: "materials", Epoch: 1,
		Completeness: escrow.Complete, StoredBytes: int64(300 + number), AcceptedAt: at(number),
		Objects: []escrow.Object{
			{Name: digest(fmt.Sprintf("%s %d a", module, number)), Size: 100},
			{Name: digest(fmt.Sprintf("%s %d b", module, number)), Size: 200},
		}}
	if number > 1 {
		d.Predecessor = evidence.Digest(manifest(number - 1))
	}
	if number%10 == 1 {
		d.Kind = escrow.FullDeposit
	}
	return d
}

func sourceState(deposit int) escrow.SourceState {
	return escrow.SourceState{Arrangement: Acme, Module: "code", Deposit: deposit, State: digest(fmt.Sprintf("state %d", deposit)),
		Segments: []string{digest("segment 1"), digest("segment 2")}, Chain: 1}
}

func releaseCase() escrow.Case {
	return escrow.Case{Arrangement: Acme, ID: "c1", Event: "bankruptcy", Stage: "materials", Claimant: "gem-a", Reason: "court notice",
		Compartment: "materials", Epoch: 1, Recipients: []string{"gem-a", "beheer"}, State: escrow.CaseOpened, OpenedAt: at(5)}
}

func approval(person string) escrow.Approval {
	return escrow.Approval{Arrangement: Acme, Case: "c1", Trustee: "notaris", Person: person, Document: []byte("approved by " + person),
		Signature: []byte("sig"), ReceivedAt: at(6)}
}

func token(id string) escrow.Token {
	hash := make([]byte, 32)
	copy(hash, id)
	return escrow.Token{ID: id, Hash: hash, Person: "anna", Party: "notaris", Role: escrow.Trustee, Arrangement: Acme, Module: "code",
		CreatedAt: at(1), ExpiresAt: at(1000)}
}

func webhook(id string) store.Webhook {
	return store.Webhook{Source: "github", ID: id, Arrangement: Acme, Module: "code", ReceivedAt: at(7)}
}

// step is an Update whose act has the kind.
type step struct {
	kind string
	fn   func(ctx context.Context, tx *store.Tx) error
}

func location(id string) escrow.Location {
	return escrow.Location{ID: id, Kind: "file", Place: "/srv/" + id, Counts: true, State: escrow.LocationActive, AddedAt: at(1), ChangedAt: at(1)}
}

// Fill writes at least one row into every table, each in an Update of its own
// whose act is named for the table.
func (d *Database) Fill(t testing.TB) {
	t.Helper()
	steps := []step{
		{"arrangement", func(ctx context.Context, tx *store.Tx) error { return tx.PutArrangement(ctx, arrangement(1)) }},
		{"contact", func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, contact("anna")) }},
		{"module", func(ctx context.Context, tx *store.Tx) error { return tx.PutModule(ctx, Module("code")) }},
		{"module_sync", func(ctx context.Context, tx *store.Tx) error { return tx.PutSyncStatus(ctx, syncStatus(1)) }},
		{"credential", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutCredential(ctx, credential(escrow.SourceToken))
		}},
		{"epoch", func(ctx context.Context, tx *store.Tx) error { return tx.PutEpoch(ctx, epoch(1)) }},
		{"share_package", func(ctx context.Context, tx *store.Tx) error { return tx.PutSharePackage(ctx, sharePackage("anna")) }},
		{"acceptance", func(ctx context.Context, tx *store.Tx) error { return tx.PutAcceptance(ctx, acceptance("anna")) }},
		{"deposit", func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, Deposit("code", 1)) }},
		{"source_state", func(ctx context.Context, tx *store.Tx) error { return tx.PutSourceState(ctx, sourceState(1)) }},
		{"release_case", func(ctx context.Context, tx *store.Tx) error {
			c := releaseCase()
			c.State, c.Statement = escrow.CaseApproving, []byte("statement")
			return tx.PutCase(ctx, c)
		}},
		{"approval", func(ctx context.Context, tx *store.Tx) error { return tx.PutApproval(ctx, approval("anna")) }},
		{"token", func(ctx context.Context, tx *store.Tx) error { return tx.PutToken(ctx, token("t1")) }},
		{"webhook", func(ctx context.Context, tx *store.Tx) error { _, err := tx.PutWebhook(ctx, webhook("h1")); return err }},
		{"location", func(ctx context.Context, tx *store.Tx) error { return tx.PutLocation(ctx, location("first")) }},
		{"setting", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "name", "value") }},
	}
	for _, s := range slices.Concat(destroyedSteps(), steps, custodySteps(), dutySteps(), noticeSteps(), termSteps(), watchSteps(), bulletinSteps(), accordSteps(), accessionSteps(), forgeSteps()) {
		d.Update(t, s.kind, s.fn)
	}
}
