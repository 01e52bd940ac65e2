package server_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob/s3/s3test"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// places writes a configuration with n directories as locations.
func places(t *testing.T, n int) config.Config {
	t.Helper()
	c := config.Default()
	c.Data = filepath.Join(t.TempDir(), "data")
	c.Listen = "127.0.0.1:0"
	disks := t.TempDir()
	for i := range n {
		id := string(rune('a' + i))
		c.Locations = append(c.Locations, config.Location{ID: id, Kind: config.FileLocation, Path: filepath.Join(disks, id)})
	}
	return c
}

func start(t *testing.T, c config.Config) (*server.Server, error) {
	t.Helper()
	return server.Open(t.Context(), c, server.Options{})
}

func TestLocationsAtStart(t *testing.T) {
	c := places(t, 3)
	s, err := start(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Locations {
		if _, err := os.Stat(filepath.Join(l.Path, "location."+l.ID)); err != nil {
			t.Errorf("no marker: %v", err)
		}
	}

	less := c
	less.Locations = c.Locations[:2]
	if _, err := start(t, less); escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "location c") {
		t.Errorf("a location left out of the configuration: %v", err)
	}

	swapped := c
	swapped.Locations = append([]config.Location(nil), c.Locations...)
	swapped.Locations[0].Path, swapped.Locations[1].Path = swapped.Locations[1].Path, swapped.Locations[0].Path
	swapped.WriteQuorum = 3
	if _, err := start(t, swapped); escrow.CodeOf(err) != escrow.Unavailable || !strings.Contains(err.Error(), "is the directory of location") {
		t.Errorf("swapped disks: %v", err)
	}

	// One disk away: the others suffice.
	if err := os.Rename(c.Locations[1].Path, c.Locations[1].Path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Locations[1].Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = start(t, c)
	if err != nil {
		t.Fatalf("with two of three locations: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestObjectsOfAnOlderVersionAreNotLeftBehind(t *testing.T) {
	c := places(t, 1)
	if err := os.MkdirAll(filepath.Join(c.ObjectsDir(), "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, c); err == nil || !strings.Contains(err.Error(), c.ObjectsDir()) {
		t.Errorf("objects in the default directory, another location configured: %v", err)
	}
}

// scrubbed waits until every location was read after a request.
func (in *installation) scrubbed(t *testing.T) []client.Location {
	t.Helper()
	asked, err := in.admin.Scrub(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		list, err := in.admin.Locations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(l client.Location) bool {
			return l.State != "retired" && (l.Scrub.FinishedAt == nil || l.Scrub.StartedAt.Before(asked.AskedAt))
		}) {
			return list
		}
	}
	t.Fatal("the scrub does not end")
	return nil
}

// until polls the locations.
func (in *installation) until(t *testing.T, what string, ok func(map[string]client.Location) bool) {
	t.Helper()
	var last []client.Location
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		list, err := in.admin.Locations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last = list
		m := map[string]client.Location{}
		for _, l := range list {
			m[l.ID] = l
		}
		if ok(m) {
			return
		}
	}
	text, _ := json.MarshalIndent(last, "", " ")
	t.Fatalf("%s: not in time: %s", what, text)
}

// The whole life of locations: objects reach all of them, a new one is filled
// while the server runs, rot is healed and recorded with the deposit it hits,
// what cannot be healed is an alarm and is healed by sending it again, and one
// is drained and retired.
func TestLocationsThroughTheirLife(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			edit := onEngine(t, engine)
			base := places(t, 3)
			var reloaded config.Config
			o := server.Options{Reload: func() (config.Config, error) { return reloaded, nil }}
			in := installWith(t, func(c *config.Config) {
				if edit != nil {
					edit(c)
				}
				c.Locations = base.Locations[:2]
			}, o)
			ctx := t.Context()
			in.ceremony(1)
			supplier := in.as("supplier")
			d := in.pushed(supplier, strings.Repeat("content ", 50_000), nil)
			if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", d); err != nil {
				t.Fatal(err)
			}
			m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
			if err != nil {
				t.Fatal(err)
			}
			name := m.Objects[0].Name
			path := func(i int) string { return filepath.Join(base.Locations[i].Path, name[:2], name) }
			in.until(t, "two copies", func(l map[string]client.Location) bool {
				return l["a"].Objects >= 1 && l["b"].Objects >= 1 && l["b"].Due == 0
			})

			reloaded = in.config
			reloaded.Locations = base.Locations
			if _, err := in.admin.ReloadLocations(ctx); err != nil {
				t.Fatal(err)
			}
			in.until(t, "the new location", func(l map[string]client.Location) bool { return l["c"].Objects >= 1 && l["c"].Due == 0 })
			if _, err := os.Stat(path(2)); err != nil {
				t.Error(err)
			}

			rot(t, path(0))
			if err := os.Remove(path(1)); err != nil {
				t.Fatal(err)
			}
			for _, l := range in.scrubbed(t) {
				if l.Damaged+l.Missing > 0 {
					t.Errorf("%s is not healed: %+v", l.ID, l)
				}
			}
			for _, kind := range []string{evidence.ActFindingDamaged, evidence.ActFindingMissing, evidence.ActObjectHealed} {
				acts := in.acts(supplier, kind)
				if len(acts) == 0 || acts[0].Subject != name || !strings.Contains(string(acts[0].Data), "code deposit 1") {
					t.Errorf("%s: %d acts, %v", kind, len(acts), acts)
				}
			}

			for i := range 3 {
				rot(t, path(i))
			}
			bad := int64(0)
			for _, l := range in.scrubbed(t) {
				bad += l.Damaged
			}
			if bad == 0 || len(in.acts(supplier, evidence.ActFindingUnhealed)) == 0 {
				t.Errorf("%d bad copies, %d alarms", bad, len(in.acts(supplier, evidence.ActFindingUnhealed)))
			}
			if has, err := supplier.HasObject(ctx, arrangementID, "code", name, m.Objects[0].Size); err != nil || has {
				t.Errorf("an object that is damaged everywhere: has it %v, %v", has, err)
			}

			if _, err := in.admin.SetLocationState(ctx, "a", "retired"); err == nil {
				t.Error("an active location is retired")
			}
			if _, err := in.admin.SetLocationState(ctx, "a", "draining"); err != nil {
				t.Fatal(err)
			}
			if _, err := supplier.SetLocationState(ctx, "a", "active"); err == nil {
				t.Error("a supplier changes a location")
			}
			in.until(t, "drained", func(l map[string]client.Location) bool { return l["a"].Alone == 0 })
			if _, err := in.admin.SetLocationState(ctx, "a", "retired"); err != nil {
				t.Fatal(err)
			}
			d = in.pushed(supplier, "after", nil)
			if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", d); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func rot(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A bucket beside a directory, and alone.
func TestLocationsInBuckets(t *testing.T) {
	bucket := s3test.Start(t)
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte("[default]\naws_access_key_id="+s3test.KeyID+"\naws_secret_access_key="+s3test.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remote := func() config.Location {
		return config.Location{ID: "bucket", Kind: config.S3Location, Endpoint: bucket.Endpoint, Region: s3test.Region, Bucket: bucket.Bucket(t, false), CredentialsFile: credentials}
	}
	for name, list := range map[string][]config.Location{"alone": {remote()}, "beside a directory": append(places(t, 1).Locations, remote())} {
		t.Run(name, func(t *testing.T) {
			in := install(t, func(c *config.Config) { c.Locations = list })
			in.ceremony(1)
			supplier := in.as("supplier")
			d := in.pushed(supplier, strings.Repeat("content ", 200_000), nil)
			if _, err := supplier.MakeDeposit(t.Context(), arrangementID, "code", d); err != nil {
				t.Fatal(err)
			}
			for _, l := range in.scrubbed(t) {
				if l.Objects == 0 || l.Damaged+l.Missing+l.Due > 0 {
					t.Errorf("%+v", l)
				}
			}
			if strings.Contains(in.log.String(), s3test.Secret) {
				t.Error("the log shows a secret")
			}
		})
	}
}

// What a process stored that did not know of a location yet, so that nobody
// wrote down that the location lacks it, comes there without a restart or a
// reload, also to a location of one arrangement.
func TestCopiesThatNobodyNoted(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // it waits
			edit := onEngine(t, engine)
			locations := places(t, 3).Locations
			locations[2].Arrangement = arrangementID
			in := install(t, func(c *config.Config) {
				if edit != nil {
					edit(c)
				}
				c.Locations = locations
				c.ScheduleEvery = config.Duration(time.Second)
			})
			in.ceremony(1)
			supplier := in.as("supplier")
			d := in.pushed(supplier, strings.Repeat("content ", 1_000), nil)
			if _, err := supplier.MakeDeposit(t.Context(), arrangementID, "code", d); err != nil {
				t.Fatal(err)
			}
			m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
			if err != nil {
				t.Fatal(err)
			}
			name := m.Objects[0].Name
			own := filepath.Join(locations[2].Path, name[:2], name)
			arrives := func(what string) {
				waitFor(t, what, func() bool { _, err := os.Stat(own); return err == nil })
			}
			arrives("the copy of the deposit")
			in.until(t, "it is noted", func(l map[string]client.Location) bool { return l["c"].Due == 0 })
			if err := os.Remove(own); err != nil {
				t.Fatal(err)
			}
			if _, err := in.raw(t).Exec(`DELETE FROM object_copy WHERE name = $1 AND location = 'c'`, name); err != nil {
				t.Fatal(err)
			}
			arrives("the copy that nobody noted")
		})
	}
}
