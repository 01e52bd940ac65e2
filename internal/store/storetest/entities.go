package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// write is one call of a writing method.
type write func(ctx context.Context, tx *store.Tx) error

// refuses checks that a write is a Conflict and leaves nothing behind.
func (d *Database) refuses(t *testing.T, what string, code escrow.Code, fn write) {
	t.Helper()
	_, err := d.TryUpdate(t.Context(), "test.refused", fn)
	if escrow.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %s", what, err, code)
	}
	if code == escrow.Conflict && !store.IsConflict(err) {
		t.Errorf("%s: IsConflict says no to %v", what, err)
	}
}

// same reads with get and compares with want.
func same[T any](t *testing.T, d *Database, what string, want T, get func(ctx context.Context, tx *store.Tx) (T, error)) {
	t.Helper()
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		got, err := get(ctx, tx)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		return nil
	})
}

// absent checks that get finds nothing.
func absent[T any](t *testing.T, d *Database, what string, get func(ctx context.Context, tx *store.Tx) (T, error)) {
	t.Helper()
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		if _, err := get(ctx, tx); escrow.CodeOf(err) != escrow.NotFound {
			t.Errorf("%s: %v, want not found", what, err)
		}
		return nil
	})
}

func testArrangements(t *testing.T, d *Database) {
	get := func(ctx context.Context, tx *store.Tx) (escrow.Arrangement, error) { return tx.Arrangement(ctx, Acme) }
	absent(t, d, "before", get)
	d.refuses(t, "version 2 first", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutArrangement(ctx, arrangement(2)) })
	for v := 1; v <= 3; v++ {
		d.Update(t, "agreement.registered", func(ctx context.Context, tx *store.Tx) error { return tx.PutArrangement(ctx, arrangement(v)) })
		same(t, d, "in force", arrangement(v), get)
	}
	d.refuses(t, "version 3 again", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutArrangement(ctx, arrangement(3)) })
	d.refuses(t, "version 5", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutArrangement(ctx, arrangement(5)) })
	other := arrangement(1)
	other.ID, other.Source = "other", []byte("other")
	d.Update(t, "agreement.registered", func(ctx context.Context, tx *store.Tx) error { return tx.PutArrangement(ctx, other) })
	same(t, d, "all", []escrow.Arrangement{arrangement(3), other}, func(ctx context.Context, tx *store.Tx) ([]escrow.Arrangement, error) {
		return tx.Arrangements(ctx)
	})
}

func testContacts(t *testing.T, d *Database) {
	put := func(c escrow.Contact) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, c) }
	}
	d.Update(t, "contact.added", put(contact("bob")))
	d.Update(t, "contact.added", put(contact("anna")))
	changed := contact("anna")
	changed.Recipient = "age1pqother"
	d.refuses(t, "other keys", escrow.Conflict, put(changed))
	same(t, d, "anna", contact("anna"), func(ctx context.Context, tx *store.Tx) (escrow.Contact, error) {
		return tx.Contact(ctx, Acme, "notaris", "anna")
	})
	all := func(ctx context.Context, tx *store.Tx) ([]escrow.Contact, error) { return tx.Contacts(ctx, Acme) }
	same(t, d, "all", []escrow.Contact{contact("anna"), contact("bob")}, all)
	remove := func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, Acme, "notaris", "anna") }
	d.Update(t, "contact.removed", remove)
	d.refuses(t, "removed twice", escrow.NotFound, remove)
	same(t, d, "rest", []escrow.Contact{contact("bob")}, all)
	d.mustVerify(t)
}

func putModule(m escrow.Module) write {
	return func(ctx context.Context, tx *store.Tx) error { return tx.PutModule(ctx, m) }
}

func testModules(t *testing.T, d *Database) {
	d.Update(t, "module.configured", putModule(Module("code")))
	get := func(ctx context.Context, tx *store.Tx) (escrow.Module, error) { return tx.Module(ctx, Acme, "code") }
	same(t, d, "new", Module("code"), get)
	changed := Module("code")
	changed.Source, changed.Every, changed.Rebase = escrow.Source{Mode: escrow.Push}, 0, 0
	d.Update(t, "module.configured", putModule(changed))
	same(t, d, "changed", changed, get)
	d.Update(t, "module.configured", putModule(Module("docs")))
	same(t, d, "all", []escrow.Module{changed, Module("docs")}, func(ctx context.Context, tx *store.Tx) ([]escrow.Module, error) {
		return tx.Modules(ctx, Acme)
	})
	d.refuses(t, "credential of no module", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error {
		c := credential(escrow.SourceToken)
		c.Module = "none"
		return tx.PutCredential(ctx, c)
	})
	d.mustVerify(t)
}

func testDueModules(t *testing.T, d *Database) {
	never, push, onDemand, late, soon := Module("never"), Module("push"), Module("on-demand"), Module("late"), Module("soon")
	push.Source.Mode = escrow.Push
	onDemand.Every = 0
	for _, m := range []escrow.Module{never, push, onDemand, late, soon} {
		d.Update(t, "module.configured", putModule(m))
	}
	for id, due := range map[string]time.Time{"late": at(-10), "soon": at(10)} {
		d.Update(t, "sync.done", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutSyncStatus(ctx, escrow.SyncStatus{Arrangement: Acme, Module: id, AttemptedAt: at(-70), NextDue: due})
		})
	}
	for _, tt := range []struct {
		now   time.Time
		limit int
		want  []escrow.Module
	}{
		{at(0), 10, []escrow.Module{never, late}},
		{at(10), 10, []escrow.Module{never, late, soon}},
		{at(10), 1, []escrow.Module{never}},
	} {
		same(t, d, "due", tt.want, func(ctx context.Context, tx *store.Tx) ([]escrow.Module, error) {
			return tx.DueModules(ctx, tt.now, tt.limit)
		})
	}
}

func testSyncStatus(t *testing.T, d *Database) {
	d.Update(t, "module.configured", putModule(Module("code")))
	put := func(s escrow.SyncStatus) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutSyncStatus(ctx, s) }
	}
	get := func(ctx context.Context, tx *store.Tx) (escrow.SyncStatus, error) {
		return tx.SyncStatus(ctx, Acme, "code")
	}
	absent(t, d, "never synced", get)
	d.Update(t, "sync.failed", put(syncStatus(10)))
	same(t, d, "first", syncStatus(10), get)
	d.refuses(t, "a run that began earlier", escrow.Conflict, put(syncStatus(9)))
	same(t, d, "unchanged", syncStatus(10), get)
	ok := escrow.SyncStatus{Arrangement: Acme, Module: "code", AttemptedAt: at(11), SucceededAt: at(12), NextDue: at(72)}
	d.Update(t, "sync.done", put(ok))
	same(t, d, "all", []escrow.SyncStatus{ok}, func(ctx context.Context, tx *store.Tx) ([]escrow.SyncStatus, error) {
		return tx.SyncStatuses(ctx, Acme)
	})
	// Text of the other side may be anything; it must neither fail nor grow.
	wild := syncStatus(13)
	wild.Error = strings.Repeat("bad\xff\x00é", 1000)
	d.Update(t, "sync.failed", put(wild))
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		got, err := get(ctx, tx)
		if len(got.Error) > 2000 || len(got.Error) < 1990 || !strings.HasPrefix(got.Error, "bad\uFFFD\uFFFDé") {
			t.Errorf("error text of %d bytes: %.20q", len(got.Error), got.Error)
		}
		return err
	})
	d.mustVerify(t)
}

func testCredentials(t *testing.T, d *Database) {
	d.Update(t, "module.configured", putModule(Module("code")))
	put := func(c escrow.Credential) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutCredential(ctx, c) }
	}
	d.Update(t, "credential.set", put(credential(escrow.WebhookSecret)))
	d.Update(t, "credential.set", put(credential(escrow.DeployKey)))
	replaced := credential(escrow.DeployKey)
	replaced.Sealed, replaced.UpdatedAt = []byte("rotated"), at(9)
	d.Update(t, "credential.set", put(replaced))
	same(t, d, "one", replaced, func(ctx context.Context, tx *store.Tx) (escrow.Credential, error) {
		return tx.Credential(ctx, Acme, "code", escrow.DeployKey)
	})
	absent(t, d, "none", func(ctx context.Context, tx *store.Tx) (escrow.Credential, error) {
		return tx.Credential(ctx, Acme, "code", escrow.SourceToken)
	})
	remove := func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteCredential(ctx, Acme, "code", escrow.DeployKey)
	}
	d.Update(t, "credential.removed", remove)
	d.refuses(t, "removed twice", escrow.NotFound, remove)
	same(t, d, "rest", []escrow.Credential{credential(escrow.WebhookSecret)}, func(ctx context.Context, tx *store.Tx) ([]escrow.Credential, error) {
		return tx.Credentials(ctx, Acme, "code")
	})
	d.mustVerify(t)
}

func testWebhooks(t *testing.T, d *Database) {
	put := func(id string, fresh bool) {
		t.Helper()
		_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
			got, err := tx.PutWebhook(t.Context(), webhook(id))
			if err != nil || !got {
				return nil, err
			}
			return []escrow.Act{Act("webhook.received", id)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"h1", "h2", "h1", "h3"} {
		put(id, true)
	}
	d.wantSize(t, 3) // the repeated delivery left no act
	forget := func(before time.Time, limit, want int) {
		t.Helper()
		d.Update(t, "webhook.forgotten", func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.DeleteWebhooks(ctx, before, limit)
			if n != want {
				t.Errorf("forgot %d, want %d", n, want)
			}
			return err
		})
	}
	forget(at(7), 10, 0)
	forget(at(8), 2, 2)
	forget(at(8), 2, 1)
	d.mustVerify(t)
}

func testSettings(t *testing.T, d *Database) {
	put := func(name, value string) {
		d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, name, value) })
	}
	put("a", "1")
	put("b", "")
	put("a", "2")
	same(t, d, "one", "2", func(ctx context.Context, tx *store.Tx) (string, error) { return tx.Setting(ctx, "a") })
	absent(t, d, "none", func(ctx context.Context, tx *store.Tx) (string, error) { return tx.Setting(ctx, "c") })
	same(t, d, "all", map[string]string{"a": "2", "b": ""}, func(ctx context.Context, tx *store.Tx) (map[string]string, error) {
		return tx.Settings(ctx)
	})
	d.mustVerify(t)
}

// Text has the order of its bytes on both engines, whatever the locale.
func testTextOrder(t *testing.T, d *Database) {
	want := []string{"B", "a", "a-1", "a/1", "a_1", "b", "é"}
	for _, id := range []string{"é", "a_1", "b", "a", "B", "a/1", "a-1"} {
		d.Update(t, "module.configured", putModule(Module(id)))
	}
	same(t, d, "order", want, func(ctx context.Context, tx *store.Tx) ([]string, error) {
		modules, err := tx.Modules(ctx, Acme)
		var ids []string
		for _, m := range modules {
			ids = append(ids, m.ID)
		}
		return ids, err
	})
	absent(t, d, "other case", func(ctx context.Context, tx *store.Tx) (escrow.Module, error) { return tx.Module(ctx, Acme, "A") })
	d.mustVerify(t)
}

func testBadText(t *testing.T, d *Database) {
	for _, value := range []string{"zero\x00byte", "not \xff utf-8"} {
		d.refuses(t, value, escrow.Invalid, func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "a", value) })
	}
	// Keys with spaces and signs stay apart from each other.
	for _, name := range []string{"a b", "a%20b", "a  b", "x' OR '1'='1", "$1"} {
		d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, name, name) })
	}
	d.mustVerify(t)
}
