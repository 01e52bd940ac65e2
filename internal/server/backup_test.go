package server_test

import (
	"archive/tar"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/backup"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// backedUp is an installation with deposits and a backup of it that was made
// while it was written to.
func backedUp(t testing.TB, in *installation) (file string, identity *age.X25519Identity, h *backup.Header) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	in.ceremony(1)
	repo := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: repo.Dir})
	in.secret("r1", "webhook_secret", "a-secret-of-32-characters-or-more-x")
	in.mustSync("r1", 1)
	ctx, stop := context.WithCancel(context.Background())
	var load sync.WaitGroup
	admin := in.admin
	for i := range 3 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				party := []string{"supplier", "customer", "agent"}[i]
				if _, err := admin.IssueToken(ctx, arrangementID, client.NewToken{Party: party, Person: party + "-1"}); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	issued, err := admin.IssueToken(ctx, arrangementID, client.NewToken{Party: "agent", Person: "agent-1"})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "backup.tar")
	h, err = server.Backup(t.Context(), in.config, server.Options{}, server.BackupOptions{To: file, Recipients: identity.Recipient().String()})
	stop()
	load.Wait()
	if err != nil {
		t.Fatal(err)
	}
	in.tokenBefore = issued.Token
	return file, identity, h
}

// TestBackupAndRestore makes a backup under load, restores it on each engine,
// and looks at what is there.
func TestBackupAndRestore(t *testing.T) { eachEngine(t, checkBackupAndRestore) }

func checkBackupAndRestore(t *testing.T, in *installation) {
	file, identity, h := backedUp(t, in)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".holdfast-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"server.key", "ledger.key", "server.sign"} {
		key, err := os.ReadFile(filepath.Join(in.config.KeysDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, bytes.TrimSpace(key)) {
			t.Errorf("the backup holds %s in clear", name)
		}
	}
	_, err = server.Backup(t.Context(), in.config, server.Options{}, server.BackupOptions{To: file})
	if escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("over a file that is there: %v", err)
	}
	digest := in.module("r1")
	list, _ := in.deposits("r1")
	in.stop()

	for _, engine := range engines() {
		t.Run("to "+engine, func(t *testing.T) {
			edit := onEngine(t, engine)
			c := in.config
			c.Data, c.Database = filepath.Join(t.TempDir(), "restored"), ""
			if edit != nil {
				edit(&c)
			}
			r, err := server.Restore(t.Context(), c, server.Options{}, server.RestoreOptions{From: file, Identities: identity.String()})
			if err != nil {
				t.Fatal(err)
			}
			if r.Size != h.Size || r.Root != h.Root {
				t.Errorf("restored %d %s, the backup has %d %s", r.Size, r.Root, h.Size, h.Root)
			}
			report, err := server.Verify(t.Context(), c, server.Options{}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if report.Entries != h.Size || report.Root != h.Root || int64(report.Objects) != h.Objects {
				t.Errorf("verified %+v, the backup has %+v", report, h)
			}
			if engine == "SQLite" {
				integrity(t, c.SQLitePath())
			}
			_, err = server.Restore(t.Context(), c, server.Options{}, server.RestoreOptions{From: file, Identities: identity.String()})
			if escrow.CodeOf(err) != escrow.Conflict {
				t.Errorf("over an installation: %v", err)
			}

			// It goes on: the token that was issued before the backup is good, the
			// source's secret opens, and the ledger says that it was restored.
			again := *in
			again.t, again.config, again.options = t, c, server.Options{}
			again.startWith(t)
			if diff := cmp.Diff(list[0].Digest, first(again.deposits("r1"))[0].Digest); diff != "" {
				t.Error(diff)
			}
			if m := again.module("r1"); m.Latest != digest.Latest {
				t.Errorf("module %+v", m)
			}
			if text := again.sync("r1"); text != "" {
				t.Error(text)
			}
			again.stop()
			if n := countActs(t, &again, "installation.restored"); n != 1 {
				t.Errorf("%d acts say that it was restored", n)
			}
			if _, err := server.Verify(t.Context(), c, server.Options{}, nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func first[A, B any](a A, _ B) A { return a }

// startWith serves a restored installation with the token of before.
func (in *installation) startWith(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(in.config.Data, "admin.token"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.options.NewAdminToken = true
	in.start()
	if _, err := in.client(in.tokenBefore).Deposits(t.Context(), arrangementID, "r1"); err != nil {
		t.Errorf("a token that was issued just before the backup: %v", err)
	}
}

func integrity(t testing.TB, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&text); err != nil || text != "ok" {
		t.Errorf("integrity_check: %q, %v", text, err)
	}
}

func countActs(t testing.TB, in *installation, kind string) int {
	t.Helper()
	db := in.raw(t)
	defer db.Close()
	return len(texts(t, db, `SELECT kind FROM ledger_leaf WHERE kind = '`+kind+`'`))
}

// TestGoingBack: a backup that is older than what somebody saw is not restored
// in silence, and a client that saw more refuses the server.
func TestGoingBack(t *testing.T) {
	in := install(t, nil)
	file, identity, h := backedUp(t, in)
	memory, _, err := in.admin.CheckLedger(t.Context(), client.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	pins := remembered(t, memory)
	if pins[0].Size <= h.Size {
		t.Fatalf("the client saw %d entries, the backup has %d", pins[0].Size, h.Size)
	}
	in.stop()
	c := in.config
	c.Data = filepath.Join(t.TempDir(), "restored")
	o := server.RestoreOptions{From: file, Identities: identity.String(), Pins: pins}
	_, err = server.Restore(t.Context(), c, server.Options{}, o)
	if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "that others rely on") {
		t.Errorf("in silence: %v", err)
	}
	absentDir(t, c.Data)
	o.GoingBack = "the disk of the first machine is lost"
	r, err := server.Restore(t.Context(), c, server.Options{}, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Behind != pins[0].Size-h.Size {
		t.Errorf("%d entries are lost, the restore says %d", pins[0].Size-h.Size, r.Behind)
	}
	again := *in
	again.config, again.options = c, server.Options{}
	again.startWith(t)
	if _, _, err := again.admin.CheckLedger(t.Context(), memory); err == nil {
		t.Error("a client that saw later entries believes the restored server")
	}
	again.stop()

	// A checkpoint that the ledger in the backup never had.
	forged := pins[0]
	forged.Size = h.Size - 1
	c.Data = filepath.Join(t.TempDir(), "restored")
	o.Pins = []evidence.Pin{forged}
	if _, err = server.Restore(t.Context(), c, server.Options{}, o); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("a backup of another past: %v", err)
	}
	absentDir(t, c.Data)
}

func absentDir(t testing.TB, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there: %v", dir, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".holdfast-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

type entry struct {
	header tar.Header
	data   []byte
}

func unpack(t testing.TB, file string) []entry {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []entry
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{*h, data})
	}
}

func pack(t testing.TB, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		e.header.Size = int64(len(e.data))
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBadBackups: what is not a whole, unchanged backup leaves nothing behind,
// wherever it is wrong.
func TestBadBackups(t *testing.T) {
	in := install(t, nil)
	file, identity, _ := backedUp(t, in)
	in.stop()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entries := unpack(t, file)
	change := func(edit func([]entry) []entry) []byte { return pack(t, edit(slices.Clone(entries))) }
	added := func(name string, kind byte) []byte {
		return change(func(list []entry) []entry {
			return append([]entry{{header: tar.Header{Name: name, Typeflag: kind, Mode: 0o644, Linkname: linkTo(kind)}}}, list...)
		})
	}
	late := func(name string) []byte {
		return change(func(list []entry) []entry {
			return append(list, entry{tar.Header{Name: name, Typeflag: tar.TypeReg}, []byte("x")})
		})
	}
	flipped := func(at int) []byte {
		out := bytes.Clone(whole)
		out[at] ^= 1
		return out
	}
	bad := map[string][]byte{
		"nothing":           {},
		"no archive":        []byte("hello, this is not a backup"),
		"up and out":        added("../../etc/x", tar.TypeReg),
		"absolute":          added("/etc/x", tar.TypeReg),
		"a drive":           added(`C:\x`, tar.TypeReg),
		"a link":            added("backup.json", tar.TypeSymlink),
		"a hard link":       added("backup.json", tar.TypeLink),
		"a device":          added("backup.json", tar.TypeChar),
		"more at its end":   late("../x"),
		"no database":       change(func(l []entry) []entry { return slices.Delete(l, 1, 2) }),
		"no keys":           change(func(l []entry) []entry { return slices.Delete(l, 2, 3) }),
		"no list":           change(func(l []entry) []entry { return slices.Delete(l, 3, 4) }),
		"no object":         change(func(l []entry) []entry { return slices.Delete(l, 4, 5) }),
		"no end":            change(func(l []entry) []entry { return l[:len(l)-1] }),
		"two headers":       change(func(l []entry) []entry { return append(l[:1:1], l...) }),
		"objects exchanged": change(func(l []entry) []entry { l[4].data, l[5].data = l[5].data, l[4].data; return l }),
		"in half":           whole[:len(whole)/2],
	}
	at := 0
	for _, e := range entries { // a byte in the middle of each
		at += 512
		bad[fmt.Sprintf("a flipped bit in %s", e.header.Name)] = flipped(at + len(e.data)/2)
		at += (len(e.data) + 511) / 512 * 512
	}
	for _, n := range []int{1, 512, 4096, len(whole) / 3, len(whole) - 1500, len(whole) - 2000} {
		bad[fmt.Sprintf("cut at %d", n)] = whole[:n]
	}
	dir := t.TempDir()
	for name, data := range bad {
		path := filepath.Join(dir, "bad.tar")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c := in.config
		c.Data = filepath.Join(dir, "restored")
		_, err := server.Restore(t.Context(), c, server.Options{}, server.RestoreOptions{From: path, Identities: identity.String()})
		if code := escrow.CodeOf(err); err == nil || code != escrow.Invalid && code != escrow.Damaged {
			t.Errorf("%s: %q, %v", name, code, err)
		}
		absentDir(t, c.Data)
		if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
			t.Errorf("%s: a file outside", name)
		}
	}
	// Keys for somebody else, keys of nobody, no keys.
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for identities, code := range map[string]escrow.Code{other.String(): escrow.WrongKey, "": escrow.Invalid, "nonsense": escrow.Invalid} {
		c := in.config
		c.Data = filepath.Join(dir, "restored")
		_, err := server.Restore(t.Context(), c, server.Options{}, server.RestoreOptions{From: file, Identities: identities})
		if escrow.CodeOf(err) != code || strings.Contains(err.Error(), "nonsense") {
			t.Errorf("identity %.10q: %v", identities, err)
		}
		absentDir(t, c.Data)
	}
}

func linkTo(kind byte) string {
	if kind == tar.TypeSymlink || kind == tar.TypeLink {
		return "/etc/passwd"
	}
	return ""
}

// TestMove takes an installation to the other engine and back: the same root,
// the same rows, and the one that was left is not opened again.
func TestMove(t *testing.T) {
	postgres := newDatabase(t)
	in := install(t, nil)
	in.ceremony(1)
	repo := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: repo.Dir})
	in.mustSync("r1", 1)
	in.stop()
	sqlite, there := in.config, in.config
	there.Database = postgres
	before, err := server.Verify(t.Context(), sqlite, server.Options{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	move := func(from, to config.Config) {
		t.Helper()
		m, err := server.Move(t.Context(), from, to, server.Options{})
		if err != nil {
			t.Fatal(err)
		}
		after, err := server.Verify(t.Context(), to, server.Options{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" || m.Root != before.Root {
			t.Errorf("after the move (-before +after):\n%s", diff)
		}
		_, err = server.Open(t.Context(), from, server.Options{})
		if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "this database was moved") {
			t.Errorf("the database that was left: %v", err)
		}
		_, err = server.Move(t.Context(), from, to, server.Options{})
		if escrow.CodeOf(err) != escrow.Conflict {
			t.Errorf("moved twice: %v", err)
		}
	}
	move(sqlite, there)
	in.config = there
	in.start()
	churn(t, repo)
	in.mustSync("r1", 2)
	if _, err := server.Move(t.Context(), there, sqlite, server.Options{}); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("from under a running server: %v", err)
	}
	in.stop()
	if before, err = server.Verify(t.Context(), there, server.Options{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	// Back to a file that was moved from and lies there still.
	move(there, sqlite)
	in.config = sqlite
	in.start()
	churn(t, repo)
	in.mustSync("r1", 3)
	in.stop()
	if _, err := server.Verify(t.Context(), sqlite, server.Options{}, nil, nil); err != nil {
		t.Error(err)
	}
}
