package restore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/restore"
)

func pointer(content string) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", evidence.Digest([]byte(content)), len(content))
}

func TestLFS(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	d.commit(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
	d.commit("one.bin", pointer("one"))
	d.deposit(true)
	d.commit("one.bin", pointer("one, second version"))
	d.commit("never.bin", pointer("never held"))
	d.commit("like.txt", "version https://git-lfs.github.com/spec/v1\nbut a text about it, long enough to be looked at "+strings.Repeat("x", 100)+"\n")
	d.deposit(false)
	list := d.deposits(2)
	list[0].LFS = []restore.LFSObject{{Name: "sealed-1", Open: opener([]byte("one"))}}
	list[1].LFS = []restore.LFSObject{
		{Name: "sealed-2", OID: evidence.Digest([]byte("one, second version")), Open: opener([]byte("one, second version"))},
		{Name: "sealed-1", Open: opener([]byte("one"))}, // listed again by a later deposit
	}
	dir := filepath.Join(t.TempDir(), "copy")
	report, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: list, WorkTree: true})
	if err != nil {
		t.Fatal(err)
	}
	never := evidence.Digest([]byte("never held"))
	if r := report.LFS; r.Held != 2 || r.Bytes != int64(len("one")+len("one, second version")) || len(r.Missing) != 1 || r.Missing[0].OID != never || r.Missing[0].Size != 10 {
		t.Errorf("report: %+v", r)
	}
	one := evidence.Digest([]byte("one"))
	path := filepath.Join(dir, ".git", "lfs", "objects", one[:2], one[2:4], one)
	if data, err := os.ReadFile(path); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("git-lfs is not installed: its own check of the copy is skipped")
	}
	// git-lfs agrees, apart from the one that nobody holds.
	gitIn(t, dir, nil, "lfs", "install", "--local", "--skip-smudge")
	out, err := tryGit(dir, nil, nil, "lfs", "checkout", "one.bin")
	if data, readErr := os.ReadFile(filepath.Join(dir, "one.bin")); readErr != nil || string(data) != "one, second version" {
		t.Errorf("git lfs checkout gave %q, %v (%v %s)", data, readErr, err, out)
	}
}

func TestLFSDamage(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	d.commit("one.bin", pointer("one"))
	d.commit("two.bin", pointer("two"))
	d.deposit(true)
	list := d.deposits(1)
	list[0].LFS = []restore.LFSObject{
		{Name: "sealed-1", OID: evidence.Digest([]byte("one")), Open: opener([]byte("0ne"))},
		{Name: "sealed-2", Open: opener([]byte("two"))},
	}
	refuse(t, restore.Options{Deposits: list}, escrow.Damaged, "LFS object sealed-1 holds")

	dir := filepath.Join(t.TempDir(), "copy")
	report, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: list, SkipDamagedLFS: true})
	if err != nil || report.LFS.Held != 1 || len(report.LFS.Damaged) != 1 || len(report.LFS.Missing) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	found := 0
	err = filepath.WalkDir(filepath.Join(dir, "lfs"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found++
		}
		return err
	})
	if err != nil || found != 1 {
		t.Errorf("%d files under lfs, %v", found, err)
	}
	// The wrong key is not damage, whatever the option says.
	list[0].LFS[0].Open = opener(nil)
	list[0].LFS[1].Open = failing(escrow.Errorf(escrow.WrongKey, "sealed to another key").WithHint("x"))
	list[0].LFS[0] = restore.LFSObject{Name: "sealed-3", Open: opener([]byte("one"))}
	if _, err := restore.Rebuild(t.Context(), restore.Options{Dir: filepath.Join(t.TempDir(), "copy"), Deposits: list, SkipDamagedLFS: true}); escrow.CodeOf(err) != escrow.WrongKey {
		t.Errorf("wrong key: %v", err)
	}
	list[0].LFS[1].Open = failing(errors.New("plain"))
	refuse(t, restore.Options{Deposits: list}, escrow.Damaged, "LFS object sealed-2 cannot be read")
}
