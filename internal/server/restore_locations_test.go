package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"holdfast/client"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// TestRestoreWithLocations restores an installation with two configured
// locations on another machine: where both are reachable, and where one is
// gone and has to be given up.
func TestRestoreWithLocations(t *testing.T) {
	root := t.TempDir()
	places := []config.Location{{ID: "here", Kind: config.FileLocation, Path: filepath.Join(root, "here")}, {ID: "there", Kind: config.FileLocation, Path: filepath.Join(root, "there")}}
	in := install(t, func(c *config.Config) { c.Locations = places })
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	in.ceremony(1)
	repo := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: repo.Dir})
	in.mustSync("r1", 1)
	file := filepath.Join(t.TempDir(), "backup.tar")
	h, err := server.Backup(t.Context(), in.config, server.Options{}, server.BackupOptions{To: file, Recipients: identity.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	token, err := in.admin.IssueToken(t.Context(), arrangementID, client.NewToken{Party: "agent", Person: "agent-1"})
	if err != nil || token.Token == "" {
		t.Fatal(err)
	}
	list, _ := in.deposits("r1")
	in.stop()

	for _, tt := range []struct {
		name string
		gone []string // directories of locations that are not there any more
	}{
		{"both reachable", nil},
		{"one gone", []string{"there"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			machine := t.TempDir()
			c := in.config
			c.Data = filepath.Join(machine, "data")
			c.Locations = nil
			for _, l := range places {
				l.Path = filepath.Join(machine, l.ID)
				gone := false
				for _, id := range tt.gone {
					gone = gone || id == l.ID
				}
				if !gone {
					if err := os.CopyFS(l.Path, os.DirFS(filepath.Join(root, l.ID))); err != nil {
						t.Fatal(err)
					}
				}
				c.Locations = append(c.Locations, l)
			}
			r, err := server.Restore(t.Context(), c, server.Options{}, server.RestoreOptions{From: file, Identities: identity.String()})
			if err != nil {
				t.Fatal(err)
			}
			if r.Size != h.Size || r.Root != h.Root {
				t.Errorf("restored %d %s, the backup has %d %s", r.Size, r.Root, h.Size, h.Root)
			}
			if len(tt.gone) > 0 {
				// Two copies were promised and one location is left: that is said,
				// and a person decides to go on with one.
				if _, err := server.Open(t.Context(), c, server.Options{}); escrow.CodeOf(err) != escrow.Unavailable || !strings.Contains(err.Error(), "1 of 2 locations work") {
					t.Errorf("with one location of two: %v", err)
				}
				c.WriteQuorum = 1
			}
			again := *in
			again.t, again.config, again.options = t, c, server.Options{NewAdminToken: true}
			if err := os.WriteFile(filepath.Join(c.Data, "admin.token"), []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			again.start()
			if got, _ := again.deposits("r1"); len(got) != 1 || got[0].Digest != list[0].Digest {
				t.Errorf("deposits %+v", got)
			}
			commit(t, repo, 50)
			if text := again.sync("r1"); text != "" {
				t.Error(text)
			}
			again.until(t, "every copy is where it can be", func(l map[string]client.Location) bool {
				if len(tt.gone) > 0 {
					return l["there"].Away && l["here"].Due == 0 && l["here"].Objects > 0
				}
				return l["here"].Due == 0 && l["there"].Due == 0 && l["here"].Objects == l["there"].Objects && l["here"].Objects > 0
			})
			if len(tt.gone) > 0 { // and gives the other one up
				if _, err := again.admin.SetLocationState(t.Context(), "there", "draining"); err != nil {
					t.Error(err)
				}
				if _, err := again.admin.SetLocationState(t.Context(), "there", "retired"); err != nil {
					t.Error(err)
				}
			}
			again.stop()
			if _, err := server.Verify(t.Context(), c, server.Options{}, nil, nil); err != nil {
				t.Errorf("after it: %v (%s)", err, escrow.CodeOf(err))
			}
		})
	}
}
