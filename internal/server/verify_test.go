package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// copied is a stopped installation that a test may tamper with.
type copied struct {
	*installation
	t  testing.TB
	db *sql.DB
}

// copied makes a copy of a stopped installation, with its database.
func (in *installation) copied(t testing.TB) *copied {
	t.Helper()
	c := &copied{installation: &installation{t: t, config: in.config}, t: t}
	c.config.Data = filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(c.config.Data, os.DirFS(in.config.Data)); err != nil {
		t.Fatal(err)
	}
	if in.config.Database != "" {
		c.config.Database = copyDatabase(t, in.config.Database)
	}
	c.db = c.raw(t)
	return c
}

func copyDatabase(t testing.TB, from string) string {
	t.Helper()
	to, err := url.Parse(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	source, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", os.Getenv("HOLDFAST_TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := strings.TrimPrefix(to.Path, "/")
	for _, statement := range []string{"DROP DATABASE " + name, "CREATE DATABASE " + name + " TEMPLATE " + strings.TrimPrefix(source.Path, "/")} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return to.String()
}

// do runs a statement that must change something.
func (c *copied) do(statement string, args ...any) {
	c.t.Helper()
	result, err := c.db.Exec(statement, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		c.t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
}

// unguard takes the triggers away that keep the ledger from being changed by
// mistake: whoever tampers can do that.
func (c *copied) unguard() {
	c.t.Helper()
	if c.config.Database != "" {
		for _, table := range []string{"ledger_leaf", "ledger_head", "ledger_tile"} {
			if _, err := c.db.Exec("ALTER TABLE " + table + " DISABLE TRIGGER USER"); err != nil {
				c.t.Fatal(err)
			}
		}
		return
	}
	rows, err := c.db.Query(`SELECT name FROM sqlite_master WHERE type = 'trigger'`)
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			c.t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range names {
		if _, err := c.db.Exec("DROP TRIGGER " + name); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *copied) payload(seq int) []byte {
	c.t.Helper()
	var p []byte
	if err := c.db.QueryRow(`SELECT payload FROM ledger_leaf WHERE seq = $1`, seq).Scan(&p); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// TestVerifyNamesWhatWasTamperedWith changes one thing of a stopped
// installation at a time.
func TestVerifyNamesWhatWasTamperedWith(t *testing.T) {
	eachEngine(t, checkVerifyNamesWhatWasTamperedWith)
}

func checkVerifyNamesWhatWasTamperedWith(t *testing.T, in *installation) {
	in.ceremony(1)
	pulled := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: pulled.Dir})
	in.mustSync("r1", 1)
	d := in.depositor(t, "r2", newSource(t, "sha1"))
	if _, err := d.deposit(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := in.copiedRunning(t)
	commit(t, pulled, 10)
	in.mustSync("r1", 2)
	consistency, err := in.admin.Consistency(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := evidence.PeekCheckpoint([]byte(consistency.Checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	pins := []evidence.Pin{evidence.NewPin(checkpoint)}
	_, manifests := in.deposits("r1")
	object, state := manifests[1].Objects[0].Name, in.sourceState("r1").State
	last := checkpoint.Size - 1
	in.stop()

	in.t = t
	report, err := server.Verify(t.Context(), in.config, server.Options{}, pins, nil)
	if err != nil || report.Entries != checkpoint.Size || report.Objects < 5 {
		t.Fatalf("untouched: %+v, %v", report, err)
	}
	stored := false // an older state than the one to be verified
	for _, c := range []struct {
		name  string
		hurt  func(c *copied)
		code  escrow.Code
		words []string
	}{
		{"untouched", func(c *copied) {}, "", nil},
		{"payload of an act", func(c *copied) {
			c.unguard()
			p := c.payload(5)
			p[len(p)/2] ^= 1
			c.do(`UPDATE ledger_leaf SET payload = $1 WHERE seq = 5`, p)
		}, escrow.Damaged, []string{"entry 5"}},
		{"payload and commitment of an act", func(c *copied) {
			c.unguard()
			p := []byte(strings.Replace(string(c.payload(5)), `"actor":"`, `"actor":"not-`, 1))
			salt := make([]byte, 16)
			sum := evidence.Commit(salt, p)
			c.do(`UPDATE ledger_leaf SET payload = $1, salt = $2, commitment = $3 WHERE seq = 5`, p, salt, sum[:])
		}, escrow.Damaged, []string{"entry 5"}},
		{"kind of an act", func(c *copied) {
			c.unguard()
			c.do(`UPDATE ledger_leaf SET kind = 'deposit.accepted' WHERE seq = 7`)
		}, escrow.Damaged, []string{"entry 7"}},
		{"two acts changed places", func(c *copied) {
			c.unguard()
			for _, step := range [][2]int64{{8, 1 << 40}, {9, 8}, {1 << 40, 9}} {
				c.do(`UPDATE ledger_leaf SET seq = $1 WHERE seq = $2`, step[1], step[0])
			}
		}, escrow.Damaged, []string{"entry 8"}},
		{"last act", func(c *copied) {
			c.unguard()
			c.do(`DELETE FROM ledger_leaf WHERE seq = $1`, last)
		}, escrow.Damaged, []string{fmt.Sprintf("entry %d", last), "not there"}},
		{"an older state of everything", func(c *copied) {
			stored = true
		}, escrow.Damaged, []string{"pin"}},
		{"head of the ledger", func(c *copied) {
			c.unguard()
			c.do(`UPDATE ledger_head SET size = size + 1`)
		}, escrow.Damaged, []string{fmt.Sprintf("entry %d", last+1)}},
		{"signature of a checkpoint", func(c *copied) {
			note := []byte(consistency.Checkpoint)
			note[len(note)-10] ^= 1
			c.do(`UPDATE ledger_checkpoint SET note = $1`, note)
		}, escrow.Damaged, []string{"checkpoint", fmt.Sprint(checkpoint.Size)}},
		{"size of a checkpoint", func(c *copied) {
			c.do(`UPDATE ledger_checkpoint SET size = size - 1`)
		}, escrow.Damaged, []string{"checkpoint", fmt.Sprint(checkpoint.Size - 1)}},

		{"time of a deposit", func(c *copied) {
			c.do(`UPDATE deposit SET accepted_us = accepted_us + 1 WHERE module = 'r1' AND number = 1`)
		}, escrow.Damaged, []string{"deposit", "demo r1 1", "changed"}},
		{"manifest of a deposit", func(c *copied) {
			c.do(`UPDATE deposit SET manifest = $1 WHERE module = 'r1' AND number = 2`, []byte(strings.ReplaceAll(in.manifestText(manifests[1]), "INCREMENTAL", "FULL")))
		}, escrow.Damaged, []string{"deposit", "demo r1 2", "changed"}},
		{"deposit", func(c *copied) {
			c.do(`DELETE FROM deposit_object WHERE module = 'r2'`)
			c.do(`DELETE FROM source_state WHERE module = 'r2'`)
			c.do(`DELETE FROM deposit WHERE module = 'r2'`)
		}, escrow.Damaged, []string{"demo r2", "missing"}},
		{"object of a deposit", func(c *copied) {
			c.do(`UPDATE deposit_object SET size = size + 1 WHERE module = 'r1' AND deposit = 2`)
		}, escrow.Damaged, []string{"deposit_object", "demo r1 2", "changed"}},
		{"recipient of an epoch", func(c *copied) {
			c.do(`UPDATE epoch SET recipient = $1`, in.people["customer"].identity.Recipient().String())
		}, escrow.Damaged, []string{"epoch", "demo materials 1", "changed"}},
		{"state of an epoch", func(c *copied) { c.do(`UPDATE epoch SET state = 'ended'`) }, escrow.Damaged, []string{"epoch", "demo materials 1", "changed"}},
		{"role of a token", func(c *copied) {
			c.do(`UPDATE token SET role = 'supplier' WHERE party = 'customer' OR party = 'agent'`)
		}, escrow.Damaged, []string{"token", "changed"}},
		{"token that nobody issued", func(c *copied) {
			c.do(`INSERT INTO token (id, hash, person, party, role, arrangement, module, created_us, expires_us, revoked_us)
				SELECT 'feedfacefeedface', $1, person, party, role, arrangement, module, created_us, expires_us, revoked_us FROM token WHERE role = 'administrator'`, []byte(strings.Repeat("h", 32)))
		}, escrow.Damaged, []string{"token", "feedfacefeedface", "no entry"}},
		{"address of a source", func(c *copied) { c.do(`UPDATE module SET source_url = '/tmp' WHERE id = 'r1'`) }, escrow.Damaged, []string{"module", "demo r1", "changed"}},
		{"key of a person", func(c *copied) {
			c.do(`UPDATE contact SET signing_key = 'ssh-ed25519 AAAA' WHERE party = 'notary'`)
		}, escrow.Damaged, []string{"contact", "demo notary", "changed"}},
		{"sealed share", func(c *copied) { c.do(`UPDATE share_package SET sealed = $1 WHERE trustee = 'expert'`, []byte("x")) }, escrow.Damaged, []string{"share_package", "expert", "changed"}},
		{"setting", func(c *copied) { c.do(`DELETE FROM setting WHERE name = 'ledger_key'`) }, escrow.Damaged, []string{"setting", "ledger_key", "missing"}},

		{"byte of an object", func(c *copied) { c.flip(object, 1000) }, escrow.Damaged, []string{object, "demo/r1 deposit 2"}},
		{"last byte of an object", func(c *copied) { c.flip(object, -1) }, escrow.Damaged, []string{object, "demo/r1 deposit 2"}},
		{"object cut off", func(c *copied) { c.check(os.Truncate(c.objectPath(object), 1000)) }, escrow.Damaged, []string{object, "1000 bytes", "demo/r1 deposit 2"}},
		{"object with more behind it", func(c *copied) {
			f, err := os.OpenFile(c.objectPath(object), os.O_APPEND|os.O_WRONLY, 0)
			c.check(err)
			_, err = f.WriteString("x")
			c.check(errors.Join(err, f.Close()))
		}, escrow.Damaged, []string{object, "demo/r1 deposit 2"}},
		{"object", func(c *copied) { c.check(os.Remove(c.objectPath(object))) }, escrow.Missing, []string{object, "demo/r1 deposit 2"}},
		{"byte of the sync state", func(c *copied) { c.flip(state, 100) }, escrow.Damaged, []string{state, "sync state"}},
	} {
		// A copy of a PostgreSQL database takes long, and what the ledger and
		// the rows are held against is tested there by their own packages.
		if in.config.Database != "" && !slices.Contains([]string{"untouched", "payload of an act", "time of a deposit", "token that nobody issued"}, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			stored = false
			copy := in.copied(t)
			c.hurt(copy)
			copy.check(copy.db.Close())
			conf := copy.config
			if stored {
				conf = older
			}
			_, err := server.Verify(context.WithoutCancel(t.Context()), conf, server.Options{}, pins, nil)
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, c.name, err, c.code, c.words...)
		})
	}
}

func (c *copied) flip(object string, at int64) {
	c.t.Helper()
	c.check(flip(c.objectPath(object), at))
}

func (c *copied) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (in *installation) manifestText(m *evidence.DepositManifest) string {
	in.t.Helper()
	text, err := evidence.Canonical(m)
	if err != nil {
		in.t.Fatal(err)
	}
	return string(text)
}

// copiedRunning stops the installation for a copy and starts it again.
func (in *installation) copiedRunning(t testing.TB) config.Config {
	t.Helper()
	in.stop()
	c := in.copied(t)
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}
	in.start()
	return c.config
}
