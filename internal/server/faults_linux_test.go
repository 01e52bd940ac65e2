package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob/s3/s3test"
	"holdfast/internal/config"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/server"
)

// TestFaults is the fault campaign: a server at work, or two processes on a
// PostgreSQL of their own, with three locations, while things break. After each
// batch every deposit that was acknowledged is read again, every byte of it, and
// every copy that was spoiled must have been found and healed.
//
// HOLDFAST_FAULTS says how many faults each engine gets (make faults: 600, 1,200
// in all), HOLDFAST_FAULTS_SEED repeats a run's choices; the moments at which they hit are the
// machine's.
func TestFaults(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			if os.Getenv("HOLDFAST_FAULTS") != "" {
				t.Parallel() // a long one waits most of its time: both at once are one run
			}
			faultCampaign(t, engine)
		})
	}
}

// shortCampaign is what the suite does.
const shortCampaign = 10

// batchFaults is how many faults come between two checks.
const batchFaults = 128

func faultCampaign(t *testing.T, engine string) {
	want := number(t, "HOLDFAST_FAULTS", shortCampaign)
	seed := uint64(number(t, "HOLDFAST_FAULTS_SEED", int(rand.Uint32())))
	t.Logf("seed %d: repeat the choices with HOLDFAST_FAULTS_SEED=%d", seed, seed)
	c := newCampaign(t, engine, rand.New(rand.NewPCG(seed, 1)))
	began := time.Now()
	for batch := 1; c.injected() < want && !t.Failed(); batch++ {
		c.batch(min(batchFaults, want-c.injected()))
		c.check(batch)
		t.Logf("batch %d: %d faults so far, %d deposits acknowledged, %d of %d spoiled copies healed, %s", batch, c.injected(),
			c.promises.count(), c.healed, c.copies, time.Since(began).Round(time.Second))
	}
	c.report(time.Since(began))
}

func number(t testing.TB, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q", name, text)
	}
	return n
}

// campaign is an installation under attack.
type campaign struct {
	t         *testing.T
	random    *rand.Rand
	main      *victim   // serves requests
	processes []*victim // main and, on PostgreSQL, a worker
	places    []*place
	database  *ownPostgres  // nil on SQLite
	wire      *s3test.Proxy // before the service of the second location; nil where that is a directory
	clock     string        // file with the offset of every process's clock

	serving sync.RWMutex // where main answers, which changes while clients are at it

	pulled, pushed *gittest.Repo
	depositor      *depositor
	promises       *promises
	memory         client.Memory

	count   map[string]int // faults by kind
	revived int            // processes that ended by themselves, or did not come to serve, and were started again
	spoiled []spoiled      // copies that wait for their healing
	healed  int
	copies  int // spoiled in all
	unmade  int // spoiled while they were not made yet, which is nobody's loss
	denied  int // requests that were refused or broke off, as they may
	rereads int
	bytes   int64
}

// spoiled is a copy that was changed behind the server's back.
type spoiled struct {
	object string
	at     *place
	how    string
}

func (c *campaign) injected() (n int) {
	for _, k := range c.count {
		n += k
	}
	return n
}

func newCampaign(t *testing.T, engine string, random *rand.Rand) *campaign {
	c := &campaign{t: t, random: random, count: map[string]int{}, promises: &promises{held: map[string]map[int]string{}}}
	root := t.TempDir()
	c.clock = filepath.Join(root, "clock")
	var url string
	if engine == "PostgreSQL" {
		c.database = startPostgres(t)
		url = c.database.url
	}
	in := install(t, func(cfg *config.Config) {
		cfg.Database = url
		cfg.ScrubPeriod = config.Duration(time.Hour)
		for _, id := range []string{"first", "second", "third"} {
			p := &place{id: id, dir: filepath.Join(root, id)}
			c.places = append(c.places, p)
			cfg.Locations = append(cfg.Locations, config.Location{ID: id, Kind: config.FileLocation, Path: p.dir})
		}
		c.moveToBucket(c.places[1], &cfg.Locations[1])
		c.mountSmall(c.places[2])
	})
	in.ceremony(1)
	tokens := map[string]string{}
	for _, party := range []string{"supplier", "customer"} {
		issued, err := in.admin.IssueToken(t.Context(), arrangementID, client.NewToken{Party: party, Person: party + "-1"})
		if err != nil {
			t.Fatal(err)
		}
		tokens[party] = issued.Token
	}
	token, err := os.ReadFile(in.server.AdminTokenFile())
	if err != nil {
		t.Fatal(err)
	}
	tokens["admin"] = strings.TrimSpace(string(token))
	c.pulled, c.pushed = newSource(t, "sha1"), newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: c.pulled.Dir, Rebase: 20})
	c.depositor = in.depositor(t, "r2", c.pushed)
	in.stop()

	c.main = &victim{installation: in, tokens: tokens, clock: c.clock}
	c.processes = []*victim{c.main}
	if c.database != nil { // two processes: one that serves and works, and a worker
		own := *in
		own.config.Keys, own.config.Role = in.config.KeysDir(), config.RoleWorker
		own.config.Data = filepath.Join(root, "worker")
		c.processes = append(c.processes, &victim{installation: &own, tokens: tokens, clock: c.clock})
	}
	t.Cleanup(func() {
		for _, p := range c.processes {
			p.end()
		}
		if t.Failed() && (c.database == nil || c.database.runs()) {
			c.main.complaints()
		}
	})
	c.setClock(0)
	for _, p := range c.processes {
		c.begin(p)
	}
	return c
}

// begin starts a process as a supervisor does: one that ends before it serves,
// because the database went away in that moment, is started again.
func (c *campaign) begin(v *victim) {
	c.t.Helper()
	var err error
	for range 20 {
		var url string
		if url, err = v.launch(); err == nil {
			c.serving.Lock()
			v.serves(url)
			c.serving.Unlock()
			return
		}
		c.revived++
		time.Sleep(200 * time.Millisecond)
	}
	c.t.Fatalf("a process was started 20 times and never served: %v", err)
}

// revive starts processes that ended by themselves.
func (c *campaign) revive() {
	for _, p := range c.processes {
		if p.gone() {
			c.revived++
			c.begin(p)
		}
	}
}

// party is a client of the process that serves, wherever that is now.
func (c *campaign) party(name string) *client.Client {
	c.serving.RLock()
	defer c.serving.RUnlock()
	return c.main.party(name)
}

// batch works and breaks things meanwhile.
func (c *campaign) batch(faults int) {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	var work sync.WaitGroup
	var denied [2]int
	work.Go(func() { denied[0] = c.pull(ctx) })
	work.Go(func() { denied[1] = c.push(ctx) })
	for end := c.injected() + faults; c.injected() < end; { // one that found nothing to spoil does not count
		time.Sleep(time.Duration(c.random.IntN(250)) * time.Millisecond)
		c.fault()
	}
	cancel()
	work.Wait()
	c.denied += denied[0] + denied[1]
}

// fault injects one fault and ends those that have an end.
func (c *campaign) fault() {
	kinds := []string{"process killed", "process killed", "process paused", "clock jumped", "location offline",
		"bit flipped", "bit flipped", "bit flipped", "copy cut off", "copy cut off", "copy gone", "copy replaced"}
	if c.places[2].mounted {
		kinds = append(kinds, "disk full")
	}
	if c.database != nil {
		kinds = append(kinds, "database restarted", "connections cut")
	}
	if c.wire != nil {
		kinds = append(kinds, "service offline", "service slow", "answers cut off", "answers changed")
	}
	c.revive()
	kind := kinds[c.random.IntN(len(kinds))]
	pause := time.Duration(c.random.IntN(400)) * time.Millisecond
	victim := c.processes[c.random.IntN(len(c.processes))]
	at := c.places[c.random.IntN(len(c.places))]
	switch kind {
	case "process killed":
		victim.kill()
		time.Sleep(pause / 4)
		c.begin(victim)
	case "process paused":
		victim.signal(syscall.SIGSTOP)
		time.Sleep(pause)
		victim.signal(syscall.SIGCONT)
	case "clock jumped":
		c.setClock(time.Duration(c.random.IntN(20*24)-10*24) * time.Hour)
		time.Sleep(pause)
		c.setClock(0)
	case "location offline":
		c.offline(at, pause)
	case "disk full":
		c.fill(c.places[2], pause)
	case "database restarted":
		c.database.restart()
	case "connections cut":
		c.database.cut()
	case "service offline":
		c.wire.Refuse(true)
		time.Sleep(pause)
		c.wire.Refuse(false)
	case "service slow":
		c.wire.Delay(time.Duration(c.random.IntN(1500)) * time.Millisecond)
		time.Sleep(2 * pause)
		c.wire.Delay(0)
	case "answers cut off":
		c.wire.CutAfter(1 + int64(c.random.IntN(60_000)))
		c.wire.Cut() // connections that are open would not notice
		time.Sleep(2 * pause)
		c.wire.CutAfter(0)
		c.wire.Cut()
	case "answers changed":
		c.wire.Change(600 + int64(c.random.IntN(60_000)))
		c.wire.Cut()
		time.Sleep(2 * pause)
		c.wire.Change(0)
		c.wire.Cut()
	default:
		if !c.spoil(kind, at) {
			return // no object of which another good copy is left
		}
	}
	c.count[kind]++
}

func (c *campaign) setClock(offset time.Duration) {
	if err := replace(c.clock, offset.String()); err != nil {
		c.t.Fatal(err)
	}
}

func replace(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// pull commits and asks for syncs; it returns how often it was told no.
func (c *campaign) pull(ctx context.Context) (denied int) {
	for i := 0; ctx.Err() == nil; i++ {
		if i%3 == 0 {
			churn(c.t, c.pulled)
		}
		cl := c.party("admin")
		if err := cl.RequestSync(ctx, arrangementID, "r1"); err != nil {
			denied++
			pauseFor(ctx, 50*time.Millisecond)
			continue
		}
		list, err := cl.Deposits(ctx, arrangementID, "r1")
		if err != nil {
			denied++
		}
		for _, d := range list {
			c.promises.keep(c.t, "r1", d.Number, d.Digest)
		}
		pauseFor(ctx, time.Duration(rand.IntN(60))*time.Millisecond)
	}
	return denied
}

// push commits and hands in; it returns how often it was told no.
func (c *campaign) push(ctx context.Context) (denied int) {
	for ctx.Err() == nil {
		churn(c.t, c.pushed)
		c.depositor.client = c.party("supplier")
		made, err := c.depositor.deposit(ctx)
		switch {
		case err == nil:
			c.promises.keep(c.t, "r2", made.Number, made.Digest)
		default:
			denied++
			pauseFor(ctx, 50*time.Millisecond)
		}
	}
	return denied
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// check lets the installation come to rest, then looks at everything.
func (c *campaign) check(batch int) {
	t := c.t
	t.Helper()
	time.Sleep(time.Second) // what a fault at the end of the batch takes down is down by now
	c.revive()
	for _, p := range c.processes {
		if p.config.Role.Serves() {
			ready(t, p.url)
		}
	}
	c.heal(batch)
	c.main.keepsPromisesAt(c.promises, func(o evidence.ObjectEntry) error {
		for _, p := range c.places {
			if p.good(o.Name) {
				return nil
			}
		}
		return errors.New("no location has a good copy")
	})
	c.reread()
	var err error
	if c.memory, _, err = c.main.admin.CheckLedger(t.Context(), c.memory); err != nil {
		t.Fatalf("batch %d: the ledger: %v", batch, err)
	}
	// The next sync and the next push work.
	latest := c.main.module("r1").Latest
	churn(t, c.pulled)
	asked := time.Now()
	if err := c.main.admin.RequestSync(t.Context(), arrangementID, "r1"); err != nil {
		t.Fatal(err)
	}
	c.wait(fmt.Sprintf("batch %d: a sync after it", batch), func() bool {
		return settled(c.main, asked) && c.main.module("r1").Latest > latest
	})
	churn(t, c.pushed)
	c.depositor.client = c.main.party("supplier")
	if made, err := c.depositor.deposit(t.Context()); err != nil || made.Number == 0 {
		t.Fatalf("batch %d: the next push: %+v, %v", batch, made, err)
	}
}

// heal asks for a scrub and waits until every spoiled copy is good again.
func (c *campaign) heal(batch int) {
	c.t.Helper()
	if len(c.spoiled) == 0 {
		return
	}
	c.scrub()
	// A pass that a killed process had begun at a location is taken over after
	// two minutes on PostgreSQL, and at once on SQLite.
	deadline := time.Now().Add(4 * time.Minute)
	for {
		var left []spoiled
		for _, s := range c.spoiled {
			if !s.at.good(s.object) {
				left = append(left, s)
			}
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			left = c.made(left)
		}
		if time.Now().After(deadline) {
			for _, s := range left {
				c.t.Errorf("batch %d: %s at %s (%s) was not healed", batch, s.object, s.at.id, s.how)
			}
			break
		}
		c.revive()
		time.Sleep(100 * time.Millisecond)
	}
	for _, s := range c.spoiled {
		if s.at.good(s.object) {
			c.healed++
		}
	}
	c.spoiled = nil
}

// made picks the copies that the server counts on. One that a killed process
// was about to make is to be made again, ten minutes later, and one of an object
// that nothing refers to is removed; nobody counts on what lies there, and
// spoiling it spoils nothing.
func (c *campaign) made(list []spoiled) (out []spoiled) {
	db := c.main.raw(c.t)
	defer db.Close()
	for _, s := range list {
		if c.counts(db, s.object, s.at) {
			out = append(out, s)
			continue
		}
		c.copies--
		c.unmade++
	}
	c.spoiled = slices.DeleteFunc(c.spoiled, func(s spoiled) bool { return slices.Contains(list, s) && !slices.Contains(out, s) })
	return out
}

// counts reports whether the server takes a copy for made.
func (c *campaign) counts(db *sql.DB, object string, at *place) bool {
	var n int
	if err := db.QueryRowContext(c.t.Context(), `SELECT COUNT(*) FROM object_copy AS c JOIN stored_object AS o ON o.name = c.name
		WHERE c.name = $1 AND c.location = $2 AND c.state <> 'due' AND o.going = FALSE`, object, at.id).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n > 0
}

// scrub asks for every object at every location to be read now.
func (c *campaign) scrub() {
	db := c.main.raw(c.t)
	defer db.Close()
	if _, err := db.Exec(`UPDATE scrub SET wanted = TRUE`); err != nil {
		c.t.Fatal(err)
	}
}

// reread reads every object of every acknowledged deposit at every location.
func (c *campaign) reread() {
	db := c.main.raw(c.t)
	defer db.Close()
	for _, module := range []string{"r1", "r2"} {
		_, manifests := c.main.deposits(module)
		for _, m := range manifests {
			for _, o := range m.Objects {
				for _, p := range c.places {
					data, err := os.ReadFile(p.path(o.Name))
					if err != nil {
						continue // it is owed there; another one has it
					}
					c.rereads++
					c.bytes += int64(len(data))
					if evidence.Digest(data) != o.Name && c.counts(db, o.Name, p) {
						c.t.Errorf("silent: %s at %s is not what it was, and nobody said so", o.Name, p.id)
					}
				}
			}
		}
	}
}

func (c *campaign) wait(what string, condition func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(50 * time.Millisecond) {
		c.revive()
		if time.Now().After(deadline) {
			m := c.main.module("r1")
			c.t.Fatalf("%s: not within two minutes; last tried %v: %s", what, m.LastTry, m.LastError)
		}
	}
}

// report reads everything once more from outside the server and prints the
// table of docs/reliability.md.
func (c *campaign) report(took time.Duration) {
	t := c.t
	t.Helper()
	for module, r := range map[string]*gittest.Repo{"r1": c.pulled, "r2": c.pushed} {
		list, _ := c.main.deposits(module)
		c.main.restored(module, len(list), look(t, r))
	}
	for _, p := range c.processes {
		p.kill()
	}
	report, err := server.Verify(t.Context(), c.main.config, server.Options{}, remembered(t, c.memory), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range slices.Sorted(maps.Keys(c.count)) {
		t.Logf("| %s | %d |", kind, c.count[kind])
	}
	t.Logf("%d processes that ended by themselves were started again; %d copies were spoiled before they were made", c.revived, c.unmade)
	t.Logf("%d faults in %s; %d requests refused or broken off; %d deposits acknowledged, 0 lost; %d copies spoiled, %d healed; %d copies (%d MiB) read again, 0 silently wrong; verified %d entries, %d objects",
		c.injected(), took.Round(time.Second), c.denied, c.promises.count(), c.copies, c.healed, c.rereads, c.bytes>>20, report.Entries, report.Objects)
	if c.healed != c.copies {
		t.Errorf("%d of %d spoiled copies were healed", c.healed, c.copies)
	}
}
