package restore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/restore"
)

// withInventory replaces the inventory of a FULL deposit.
func withInventory(t *testing.T, plain []byte, f object.Format, head, headOID string, refs string) []byte {
	t.Helper()
	var id object.OID
	if headOID != "" {
		id = parseRefs(t, f, headOID+" x")[0].OID
	}
	inv, err := inventory.NewFull(f, head, id, parseRefs(t, f, refs))
	if err != nil {
		t.Fatal(err)
	}
	line, err := inv.Line()
	if err != nil {
		t.Fatal(err)
	}
	return append(line, plain[bytes.IndexByte(plain, '\n'):]...)
}

// TestHeadNotSaid: servers of the old protocol may not say where HEAD is, or
// name a ref that the rules keep out. The copy has a HEAD that resolves, and
// the report says how it was chosen.
func TestHeadNotSaid(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	tip := d.commit("a", "a\n")
	d.git("branch", "-m", "trunk")
	d.git("branch", "zeta")
	d.deposit(true)
	for _, c := range []struct{ name, head, headOID, refs, wantHead, wantOID, note string }{
		{"nothing said", "", "", tip + " refs/heads/trunk\n" + tip + " refs/heads/zeta", "refs/heads/trunk", tip, "set to refs/heads/trunk"},
		{"hidden ref", "refs/heads/secret", tip, tip + " refs/heads/trunk\n" + tip + " refs/heads/zeta", "", tip, "not in the deposit"},
		{"unborn", "refs/heads/new", "", tip + " refs/heads/trunk\n" + tip + " refs/heads/zeta", "refs/heads/new", "", "does not exist at the source"},
	} {
		list := d.deposits(1)
		list[0].Open = opener(withInventory(t, d.plain[0], object.SHA1, c.head, c.headOID, c.refs))
		dir := filepath.Join(t.TempDir(), "copy")
		report, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: list})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := (&depositor{t: t, dir: dir}).state()
		if got.head != c.wantHead || got.headOID != c.wantOID || report.Head != c.wantHead || report.HeadOID.String() != c.wantOID {
			t.Errorf("%s: HEAD %q %q; report %q %s", c.name, got.head, got.headOID, report.Head, report.HeadOID)
		}
		if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q", c.name, notes)
		}
	}
	// HEAD at a commit that is in no deposit.
	list := d.deposits(1)
	list[0].Open = opener(withInventory(t, d.plain[0], object.SHA1, "", strings.Repeat("1", 40), tip+" refs/heads/trunk\n"+tip+" refs/heads/zeta"))
	refuse(t, restore.Options{Deposits: list}, escrow.Missing, "where HEAD is")
}

// TestEmptyRepositoryWithoutBundle: the inventory alone is a whole deposit.
func TestEmptyRepositoryWithoutBundle(t *testing.T) {
	t.Parallel()
	for _, f := range []object.Format{object.SHA1, object.SHA256} {
		plain := withInventory(t, []byte("\n"), f, "refs/heads/trunk", "", "")
		dir := filepath.Join(t.TempDir(), "copy")
		report, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, WorkTree: true, Deposits: []restore.Deposit{{Number: 1, Kind: escrow.FullDeposit, Open: opener(plain)}}})
		if err != nil || report.Head != "refs/heads/trunk" || report.Refs != 0 || report.ObjectFormat != f {
			t.Errorf("%s: %+v, %v", f, report, err)
		}
		if got := strings.TrimSpace(gitIn(t, dir, nil, "rev-parse", "--show-object-format")); got != f.String() {
			t.Errorf("object format %s", got)
		}
	}
	// With refs, a missing bundle is a cut.
	plain := withInventory(t, []byte("\n"), object.SHA1, "", "", strings.Repeat("1", 40)+" refs/heads/main")
	refuse(t, restore.Options{Deposits: []restore.Deposit{{Number: 1, Kind: escrow.FullDeposit, Open: opener(plain)}}}, escrow.Damaged, "cut off")
}

// TestManyRefs: refs do not become files, and the copy serves them all.
func TestManyRefs(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	tip := d.commit("a", "a\n")
	var create bytes.Buffer
	for i := range 3000 {
		create.WriteString("create refs/pull/" + string(rune('a'+i%26)) + "/" + strings.Repeat("x", 1+i/26) + "/head " + tip + "\n")
	}
	gitIn(t, d.dir, &create, "update-ref", "--stdin")
	d.deposit(true)
	report, dir := d.rebuilt(1, false)
	if report.Refs != 3001 {
		t.Errorf("%d refs", report.Refs)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "refs", "pull")); err == nil {
		t.Errorf("%d loose refs", len(entries))
	}
}
