package server_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// TestProcesses runs a web process and two workers on one PostgreSQL, with one
// keys directory and one directory of objects, and kills them one after the
// other in the middle of syncs: nothing that was acknowledged is lost, every
// sync that was asked for is made, each change of the source once, and the
// ledger holds.
func TestProcesses(t *testing.T) {
	in := install(t, onEngine(t, "PostgreSQL"))
	in.ceremony(1)
	repo := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: repo.Dir, Rebase: 100})
	token, err := os.ReadFile(in.server.AdminTokenFile())
	if err != nil {
		t.Fatal(err)
	}
	in.stop()

	process := func(name string, role config.Role) *victim {
		c := in.config
		c.Role, c.Keys = role, in.config.KeysDir()
		c.Data = filepath.Join(filepath.Dir(in.config.Data), name)
		// One mount for all; it is the directory that the first process had for itself.
		c.Locations = []config.Location{{ID: config.DefaultLocation, Kind: config.FileLocation, Path: in.config.ObjectsDir()}}
		own := *in
		own.config = c
		v := &victim{installation: &own, tokens: map[string]string{"admin": strings.TrimSpace(string(token))}}
		v.begin()
		t.Cleanup(v.end)
		return v
	}
	web, workers := process("web", config.RoleWeb), []*victim{process("worker1", config.RoleWorker), process("worker2", config.RoleWorker)}
	for _, w := range workers {
		if _, err := os.Stat(filepath.Join(w.config.Data, "admin.token")); err == nil {
			t.Error("a worker issued an administrator's token")
		}
	}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := &promises{held: map[string]map[int]string{}}
	rounds := 3
	if text := os.Getenv("HOLDFAST_KILLS"); text != "" {
		if n, err := strconv.Atoi(text); err == nil {
			rounds = max(n/4, rounds)
		}
	}
	patience := 90 * time.Second
	if os.Getenv("HOLDFAST_RESCUE") == "1" {
		patience = 2 * time.Minute // what is promised
	}
	var slowest time.Duration
	for n := range rounds {
		latest := web.module("r1").Latest
		churn(t, repo)
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { web.pull(ctx, repo, p) })
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		dead := []*victim{workers[0], web, workers[1]}[n%3]
		dead.kill()
		cancel()
		work.Wait()
		if dead == web {
			web.begin()
		}
		// The last change is deposited by whoever is left.
		churn(t, repo)
		killed := time.Now()
		if err := web.admin.RequestSync(t.Context(), arrangementID, "r1"); err != nil {
			t.Fatal(err)
		}
		for {
			if settled(web, killed) && web.module("r1").Latest > latest {
				break
			}
			if time.Since(killed) > patience {
				web.complaints()
				t.Fatalf("kill %d: the sync was not made", n)
			}
			time.Sleep(50 * time.Millisecond)
		}
		slowest = max(slowest, time.Since(killed))
		web.keepsPromises(p)
		if dead != web {
			dead.begin()
		}
	}
	t.Logf("%d kills; with a lease of %s (0s: that of servers, a minute) the slowest sync was made %s after its worker was killed; %d deposits acknowledged, 0 lost",
		rounds, lease(), slowest.Round(100*time.Millisecond), len(p.held["r1"]))

	list, _ := web.deposits("r1")
	web.restored("r1", len(list), look(t, repo))
	for _, v := range append(workers, web) {
		v.kill()
	}
	c := in.config
	if _, err := server.Verify(t.Context(), c, server.Options{}, nil, nil); err != nil {
		t.Error(err)
	}
	// Other keys than the installation's do not get in.
	c.Keys, c.Role = filepath.Join(t.TempDir(), "keys"), config.RoleWeb
	c.Locations = []config.Location{{ID: config.DefaultLocation, Kind: config.FileLocation, Path: in.config.ObjectsDir()}}
	if _, err := server.Open(t.Context(), c, server.Options{}); escrow.CodeOf(err) != escrow.Missing {
		t.Errorf("without keys: %v", err)
	}
	c.Role = config.RoleAll
	if _, err := server.Open(t.Context(), c, server.Options{}); escrow.CodeOf(err) != escrow.Missing || !strings.Contains(err.Error(), "belongs to the ledger with key") {
		t.Errorf("with new keys: %v", err)
	}
	if _, err := os.Stat(c.Keys); err == nil {
		t.Error("the keys that were made for nothing are still there")
	}
}

// settled reports whether no sync is about to be made or running and one ended
// after a moment. A retry that is far off does not count: whoever asked for a
// sync got one without it.
func settled(v *victim, after time.Time) bool {
	m := v.module("r1")
	db := v.raw(v.t)
	defer db.Close()
	for _, row := range texts(v.t, db, `SELECT state, scheduled_at FROM river_job WHERE kind = 'sync' AND state IN ('available', 'running', 'retryable', 'scheduled')`) {
		at, err := time.Parse(time.RFC3339Nano, row[1])
		if err != nil {
			v.t.Fatal(err)
		}
		if row[0] == "available" || row[0] == "running" || at.Before(time.Now().Add(10*time.Second)) {
			return false
		}
	}
	return m.LastTry != nil && m.LastTry.After(after) && m.LastError == ""
}
