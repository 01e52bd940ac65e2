package restore_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/restore"
	"holdfast/internal/intake/git/wire"
)

// clear is a vault that seals nothing: what the intake writes is what the
// restore reads.
type clear struct{ objects map[string][]byte }

type clearEnvelope struct {
	v    *clear
	role string
	buf  bytes.Buffer
}

func (v *clear) Create(_ context.Context, role string) (git.Envelope, error) {
	return &clearEnvelope{v: v, role: role}, nil
}
func (e *clearEnvelope) Write(p []byte) (int, error) { return e.buf.Write(p) }
func (e *clearEnvelope) Finish() error               { return nil }
func (e *clearEnvelope) Abort()                      {}
func (e *clearEnvelope) Plaintext() (io.ReaderAt, int64, error) {
	return bytes.NewReader(e.buf.Bytes()), int64(e.buf.Len()), nil
}
func (e *clearEnvelope) Commit(context.Context) (evidence.ObjectEntry, error) {
	name := evidence.Digest(e.buf.Bytes())
	e.v.objects[name] = e.buf.Bytes()
	return evidence.ObjectEntry{Name: name, Size: int64(e.buf.Len()), Role: e.role, Plain: int64(e.buf.Len())}, nil
}

// TestWhatTheIntakeMakes takes a repository through its life with the real
// intake and restores every deposit of it: the two ends of the format meet.
func TestWhatTheIntakeMakes(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := gittest.NewRepo(t, format)
			v := &clear{objects: map[string][]byte{}}
			var state *git.State
			var deposits []restore.Deposit
			type seen struct{ refs, head string }
			var life []seen
			first := ""
			steps := []func(){
				func() {},
				func() { first = r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("line\n", 300)}) },
				func() {
					r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("line\n", 300) + "more", "film.bin": pointer("film")})
				},
				func() {
					r.Tag(t, "v1", "refs/heads/main")
					r.Tag(t, "nested", "refs/tags/v1")
					r.Tag(t, "blob", "refs/heads/main:a")
					r.SetRef(t, "refs/heads/\xff", first)
					r.SetRef(t, "refs/heads/Main", first)
				},
				func() {
					r.Git(t, "update-ref", "-d", "refs/heads/Main")
					r.SetRef(t, "refs/heads/main", first)
				},
				func() { r.CommitOn(t, "refs/heads/main", nil, map[string]string{"README": "closed"}) },
				func() {
					r.SetRef(t, "refs/heads/trunk", "refs/heads/main")
					r.Git(t, "symbolic-ref", "HEAD", "refs/heads/trunk")
					r.Git(t, "update-ref", "-d", "refs/heads/main")
				},
				func() { r.Git(t, "update-ref", "--no-deref", "HEAD", first) },
			}
			lfsDir := filepath.Join(r.Dir, "lfs", "objects")
			film := evidence.Digest([]byte("film"))
			if err := os.MkdirAll(filepath.Join(lfsDir, film[:2], film[2:4]), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(lfsDir, film[:2], film[2:4], film), []byte("film"), 0o644); err != nil {
				t.Fatal(err)
			}
			for i, step := range steps {
				step()
				k, err := known.OpenLocal(t.Context(), r.Dir)
				if err != nil {
					t.Fatal(err)
				}
				result, err := git.Sync(t.Context(), git.Options{
					Source: git.Source{Endpoint: wire.Endpoint{URL: r.Dir}, LFS: true, Rebase: 4}, Wire: wire.Config{AllowLocal: true},
					Previous: state, Vault: v, Known: k, Now: time.Now,
				})
				if err != nil {
					t.Fatalf("deposit %d: %v", i+1, err)
				}
				if err := k.Close(); err != nil {
					t.Fatal(err)
				}
				state = result.State
				d := restore.Deposit{Number: i + 1, Kind: result.Kind}
				for _, o := range result.Objects {
					switch o.Role {
					case git.RoleGit:
						d.Open = opener(v.objects[o.Name])
					case git.RoleLFS:
						d.LFS = append(d.LFS, restore.LFSObject{Name: o.Name, Open: opener(v.objects[o.Name])})
					}
				}
				deposits = append(deposits, d)
				life = append(life, seen{r.Refs(t), r.Head(t)})
			}
			full := 0
			for n := range deposits {
				if deposits[n].Kind == escrow.FullDeposit {
					full++
				}
				dir := filepath.Join(t.TempDir(), "copy")
				report, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: deposits[:n+1]})
				if err != nil {
					t.Errorf("deposit %d: %v", n+1, err)
					continue
				}
				copied := &gittest.Repo{Dir: dir, Format: format}
				if got := (seen{copied.Refs(t), copied.Head(t)}); got != life[n] {
					t.Errorf("deposit %d restored as\n%v\nwant\n%v", n+1, got, life[n])
				}
				if n >= 2 && (report.LFS.Held != 1 || len(report.LFS.Missing) != 0) {
					t.Errorf("deposit %d: %+v", n+1, report.LFS)
				}
			}
			if full < 2 {
				t.Errorf("%d FULL deposits: the chain never began anew", full)
			}
		})
	}
}
