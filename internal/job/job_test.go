package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/job"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// fakeSource is a Syncer whose syncs do what the test says.
type fakeSource struct {
	mu      sync.Mutex
	due     []job.Module
	askedAt []time.Time
	running map[string]int
	calls   []string
	work    func(ctx context.Context, call int) error
	overlap bool
}

func (f *fakeSource) Due(_ context.Context, now time.Time) ([]job.Module, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.askedAt = append(f.askedAt, now)
	return slices.Clone(f.due), nil
}

func (f *fakeSource) Sync(ctx context.Context, arrangement, module, reason string) error {
	name := arrangement + "/" + module
	f.mu.Lock()
	if f.running == nil {
		f.running = make(map[string]int)
	}
	f.running[name]++
	f.overlap = f.overlap || f.running[name] > 1
	f.calls = append(f.calls, name+" "+reason)
	call, work := len(f.calls), f.work
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running[name]--
		f.mu.Unlock()
	}()
	if work == nil {
		return nil
	}
	return work(ctx, call)
}

func (f *fakeSource) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// waitFor fails the test when the condition does not become true in time.
func waitFor(t testing.TB, limit time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !condition() {
		if time.Since(began) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// waitUntil waits for a state of the queue.
func waitUntil(t testing.TB, d *storetest.Database, reached func(states string) bool) {
	t.Helper()
	began := time.Now()
	for {
		now := states(t, d, "sync")
		if reached(now) {
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("after %s the syncs are: %s", time.Since(began).Round(time.Second), now)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func config(db *store.DB, s job.Syncer) job.Config {
	handle, driver := db.Jobs()
	return job.Config{DB: handle, Driver: driver, Syncer: s, Now: storetest.Now, Log: slog.New(slog.DiscardHandler),
		Exclusive: db.Engine() == store.SQLite, Every: time.Hour, Lease: 30 * time.Second, Grace: 100 * time.Millisecond,
		Retry: []time.Duration{10 * time.Millisecond, 20 * time.Millisecond}}
}

// impatient is config for tests in which somebody falls silent. The others are
// not to lose a lease only because the machine is busy.
func impatient(db *store.DB, s job.Syncer) job.Config {
	c := config(db, s)
	c.Lease = 3 * time.Second
	return c
}

func start(t testing.TB, c job.Config) *job.Runner {
	t.Helper()
	r, err := job.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// request queues a sync the way the server does: with the act that says why.
func request(t testing.TB, db *store.DB, r *job.Runner, module, reason string) {
	t.Helper()
	_, err := db.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		if err := tx.EnqueueSync(t.Context(), r, storetest.Acme, module, reason); err != nil {
			return nil, err
		}
		return []escrow.Act{storetest.Act("sync.requested", module)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// states counts the jobs of a kind by state.
func states(t testing.TB, d *storetest.Database, kind string) string {
	t.Helper()
	rows, err := d.Raw.Query(`SELECT state, COUNT(*) FROM river_job WHERE kind = $1 GROUP BY state ORDER BY state`, kind)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%d %s", n, state))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestJobs(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		t.Parallel()
		for _, tt := range []struct {
			name string
			run  func(*testing.T, *storetest.Database)
		}{
			{"requested", testRequested},
			{"rolled back", testRolledBack},
			{"unique while waiting", testUniqueWhileWaiting},
			{"again when asked for while running", testAgainWhenAskedForWhileRunning},
			{"modules side by side", testModulesSideBySide},
			{"schedule", testSchedule},
			{"retry", testRetry},
			{"request hurries a retry", testRequestHurriesARetry},
			{"no retry", testNoRetry},
			{"nothing secret is stored", testNothingSecretIsStored},
			{"timeout", testTimeout},
			{"stop", testStop},
			{"stopped work is done at the next start", testStoppedWorkIsDoneAtTheNextStart},
			{"two runners", testTwoRunners},
			{"lost lease", testLostLease},
			{"killed", testKilled},
			{"killed before the lease", testKilledBeforeTheLease},
			{"deadly sync", testDeadlySync},
			{"stopped process", testStoppedProcess},
			{"dead look at the schedule", testDeadSchedule},
			{"cut connections at the start", testCutAtStart},
		} {
			t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
		}
	})
}

func testRequested(t *testing.T, d *storetest.Database) {
	s := new(fakeSource)
	r := start(t, config(d.DB, s))
	began := time.Now()
	request(t, d.DB, r, "code", "webhook")
	waitFor(t, 10*time.Second, "the sync", func() bool { return len(s.seen()) == 1 })
	t.Logf("picked up after %s", time.Since(began).Round(time.Millisecond))
	if got := s.seen()[0]; got != "acme/code webhook" {
		t.Errorf("synced %q", got)
	}
	waitUntil(t, d, func(states string) bool { return states == "1 completed" })
	// One that has ended does not stand in the way of the next.
	request(t, d.DB, r, "code", "webhook")
	waitFor(t, 10*time.Second, "the second sync", func() bool { return len(s.seen()) == 2 })
}

func testRolledBack(t *testing.T, d *storetest.Database) {
	s := new(fakeSource)
	r := start(t, config(d.DB, s))
	boom := errors.New("boom")
	_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return nil, errors.Join(tx.EnqueueSync(t.Context(), r, storetest.Acme, "code", "webhook"), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got := states(t, d, "sync"); got != "" {
		t.Errorf("a rolled-back request left %s", got)
	}
}

func testUniqueWhileWaiting(t *testing.T, d *storetest.Database) {
	s := new(fakeSource)
	r, err := job.New(config(d.DB, s)) // queues without working
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		request(t, d.DB, r, "code", fmt.Sprint(i))
		request(t, d.DB, r, "docs", fmt.Sprint(i))
	}
	if got := states(t, d, "sync"); got != "2 available" {
		t.Errorf("ten requests for two modules made %s", got)
	}
}

// A request that comes while a sync is running gets a run that begins after
// it. Many such requests share one, but for those that come at the moment when
// the waiting job looks whether it may run.
func testAgainWhenAskedForWhileRunning(t *testing.T, d *storetest.Database) {
	begun, release := make(chan string, 100), make(chan struct{})
	s := new(fakeSource)
	s.work = func(ctx context.Context, call int) error {
		begun <- s.seen()[call-1]
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	r := start(t, config(d.DB, s))
	request(t, d.DB, r, "code", "first")
	<-begun
	for range 10 {
		request(t, d.DB, r, "code", "second")
	}
	time.Sleep(300 * time.Millisecond) // the second is fetched and put back meanwhile
	request(t, d.DB, r, "code", "second")
	release <- struct{}{}
	if got := <-begun; got != "acme/code second" {
		t.Errorf("after the first ran %q", got)
	}
	before := len(s.seen())
	request(t, d.DB, r, "code", "third")
	close(release)
	waitUntil(t, d, func(states string) bool { return states == fmt.Sprintf("%d completed", len(s.seen())) })
	if got := s.seen(); len(got) == before || len(got) > 6 {
		t.Errorf("synced %q, the last request after %d", got, before)
	}
	if s.overlap {
		t.Error("two syncs of one module ran at once")
	}
}

func testModulesSideBySide(t *testing.T, d *storetest.Database) {
	both := make(chan struct{}, 2)
	s := &fakeSource{work: func(ctx context.Context, _ int) error {
		both <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	r := start(t, config(d.DB, s))
	request(t, d.DB, r, "code", "x")
	request(t, d.DB, r, "docs", "x")
	for range 2 {
		select {
		case <-both:
		case <-time.After(10 * time.Second):
			t.Fatal("the modules wait for each other")
		}
	}
}

func testSchedule(t *testing.T, d *storetest.Database) {
	release := make(chan struct{})
	s := &fakeSource{due: []job.Module{{Arrangement: "acme", Module: "code"}, {Arrangement: "acme", Module: "docs"}},
		work: func(ctx context.Context, _ int) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		}}
	c := config(d.DB, s)
	c.Every = 200 * time.Millisecond
	start(t, c)
	ticks := func(n int) func() bool {
		return func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.askedAt) >= n
		}
	}
	// Both stay due for several ticks while they run; they run once.
	waitFor(t, 20*time.Second, "ticks", ticks(4))
	if got := states(t, d, "sync"); got != "2 running" {
		t.Errorf("after four ticks: %s", got)
	}
	s.mu.Lock()
	s.due = nil
	if !s.askedAt[0].Equal(storetest.Now()) {
		t.Errorf("the schedule went by %v, not by the clock it was given", s.askedAt[0])
	}
	s.mu.Unlock()
	close(release)
	waitUntil(t, d, func(states string) bool { return states == "2 completed" })
	if got := s.seen(); len(got) != 2 || !strings.HasSuffix(got[0], " schedule") {
		t.Errorf("synced %q", got)
	}
}

func testRetry(t *testing.T, d *storetest.Database) {
	s := &fakeSource{work: func(_ context.Context, call int) error {
		if call < 3 {
			return escrow.Errorf(escrow.Unavailable, "host does not answer")
		}
		return nil
	}}
	r := start(t, config(d.DB, s))
	request(t, d.DB, r, "code", "webhook")
	waitFor(t, 30*time.Second, "three tries", func() bool { return len(s.seen()) == 3 })
	waitUntil(t, d, func(states string) bool { return states == "1 completed" })

	// Retries come to an end.
	s.mu.Lock()
	s.work = func(context.Context, int) error { return errors.New("always") }
	s.mu.Unlock()
	request(t, d.DB, r, "docs", "webhook")
	waitUntil(t, d, func(states string) bool { return states == "1 completed, 1 discarded" })
	if got := len(s.seen()); got != 6 {
		t.Errorf("%d runs, want 3 of each", got)
	}
}

func testRequestHurriesARetry(t *testing.T, d *storetest.Database) {
	s := &fakeSource{work: func(_ context.Context, call int) error {
		if call == 1 {
			return escrow.Errorf(escrow.Unavailable, "host does not answer")
		}
		return nil
	}}
	c := config(d.DB, s)
	c.Retry = []time.Duration{time.Hour}
	r := start(t, c)
	request(t, d.DB, r, "code", "webhook")
	waitUntil(t, d, func(states string) bool { return states == "1 retryable" })
	request(t, d.DB, r, "code", "webhook")
	waitUntil(t, d, func(states string) bool { return states == "1 completed" })
}

func testNoRetry(t *testing.T, d *storetest.Database) {
	s := &fakeSource{work: func(context.Context, int) error { return escrow.Errorf(escrow.Forbidden, "the token was refused") }}
	r := start(t, config(d.DB, s))
	request(t, d.DB, r, "code", "webhook")
	waitUntil(t, d, func(states string) bool { return states == "1 cancelled" })
	if got := len(s.seen()); got != 1 {
		t.Errorf("%d runs", got)
	}
}

func testNothingSecretIsStored(t *testing.T, d *storetest.Database) {
	const canary = "CANARY-hunter2"
	s := &fakeSource{work: func(_ context.Context, call int) error {
		switch call {
		case 1:
			return fmt.Errorf("GET https://user:%s@host/", canary)
		case 2:
			return escrow.Wrap(errors.New(canary), escrow.Unavailable, "host does not answer")
		}
		panic(canary)
	}}
	r := start(t, config(d.DB, s))
	request(t, d.DB, r, "code", "webhook")
	waitUntil(t, d, func(states string) bool { return states == "1 discarded" })
	text := `CAST(json(errors) AS TEXT)`
	if d.Engine() == store.Postgres {
		text = `CAST(errors AS TEXT)`
	}
	var stored string
	if err := d.Raw.QueryRow(`SELECT ` + text + ` FROM river_job WHERE kind = 'sync'`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, "CANARY") {
		t.Errorf("the queue holds a secret: %s", stored)
	}
	if !strings.Contains(stored, "host does not answer") || !strings.Contains(stored, "internal fault") {
		t.Errorf("the queue does not say what happened: %s", stored)
	}
}

func testTimeout(t *testing.T, d *storetest.Database) {
	var cause error
	s := &fakeSource{work: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return ctx.Err()
	}}
	c := config(d.DB, s)
	c.Timeout, c.Retry = 100*time.Millisecond, []time.Duration{}
	r := start(t, c)
	request(t, d.DB, r, "code", "webhook")
	waitUntil(t, d, func(states string) bool { return states == "1 discarded" })
	if cause == nil || !strings.Contains(cause.Error(), "100ms at most") {
		t.Errorf("ended by %v", cause)
	}
	var leases int
	if err := d.Raw.QueryRow(`SELECT COUNT(*) FROM job_lease`).Scan(&leases); err != nil || leases != 0 {
		t.Errorf("%d leases left, %v", leases, err)
	}
}

func testStop(t *testing.T, d *storetest.Database) {
	begun := make(chan struct{})
	s := &fakeSource{work: func(ctx context.Context, _ int) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}}
	r, err := job.New(config(d.DB, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("stopping what never started: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, r, "code", "webhook")
	<-begun
	cancel() // does not stop the runner
	time.Sleep(100 * time.Millisecond)
	if got := states(t, d, "sync"); got != "1 running" {
		t.Errorf("after the caller's context ended: %s", got)
	}
	began := time.Now()
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if got := states(t, d, "sync"); got != "1 available" {
		t.Errorf("after stopping: %s, want the sync queued again", got)
	}
	var leases int
	if err := d.Raw.QueryRow(`SELECT COUNT(*) FROM job_lease`).Scan(&leases); err != nil || leases != 0 {
		t.Errorf("%d leases left, %v", leases, err)
	}
}

func testStoppedWorkIsDoneAtTheNextStart(t *testing.T, d *storetest.Database) {
	s := &fakeSource{work: func(ctx context.Context, call int) error {
		if call > 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	first, err := job.New(config(d.DB, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, first, "code", "webhook")
	waitFor(t, 10*time.Second, "the sync", func() bool { return len(s.seen()) == 1 })
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, config(d.DB, s))
	began := time.Now()
	waitUntil(t, d, func(states string) bool { return states == "1 completed" })
	t.Logf("done %s after the next start", time.Since(began).Round(time.Millisecond))
}

// Two processes on one database share the work and never a module.
func testTwoRunners(t *testing.T, d *storetest.Database) {
	if d.Engine() == store.SQLite {
		t.Skip("a SQLite database has one process")
	}
	s := &fakeSource{work: func(context.Context, int) error { time.Sleep(20 * time.Millisecond); return nil }}
	a := start(t, config(d.DB, s))
	b := start(t, config(d.Reopen(t), s))
	for i := range 30 {
		request(t, d.DB, a, fmt.Sprint("m", i%3), "a")
		request(t, d.DB, b, fmt.Sprint("m", i%3), "b")
	}
	waitFor(t, 60*time.Second, "the end", func() bool {
		return !strings.Contains(states(t, d, "sync"), "available") &&
			!strings.Contains(states(t, d, "sync"), "running") && !strings.Contains(states(t, d, "sync"), "scheduled")
	})
	if s.overlap {
		t.Error("two syncs of one module ran at once")
	}
	if len(s.seen()) < 3 {
		t.Errorf("%d syncs of three modules", len(s.seen()))
	}
}

// A process that cannot renew its lease stops working before another one may
// begin.
func testLostLease(t *testing.T, d *storetest.Database) {
	ended := make(chan error, 1)
	s := &fakeSource{work: func(ctx context.Context, call int) error {
		if call > 1 {
			return nil
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	}}
	r := start(t, impatient(d.DB, s))
	request(t, d.DB, r, "code", "webhook")
	waitFor(t, 10*time.Second, "the sync", func() bool { return len(s.seen()) == 1 })
	d.Exec(t, `UPDATE job_lease SET owner = 'somebody else', expires_us = 0`)
	select {
	case cause := <-ended:
		if !strings.Contains(cause.Error(), "lease") {
			t.Errorf("ended by %v", cause)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the sync went on without its lease")
	}
	waitUntil(t, d, func(states string) bool { return states == "1 completed" })
}

// A process that dies while it looks at the schedule leaves a row that would
// keep every other look out; it is closed when it is older than a lease.
func testDeadSchedule(t *testing.T, d *storetest.Database) {
	start(t, impatient(d.DB, new(fakeSource)))
	waitFor(t, 20*time.Second, "the first look", func() bool { return states(t, d, "schedule") == "1 completed" })
	d.Exec(t, `UPDATE river_job SET state = 'running', finalized_at = NULL, attempted_at = '2020-01-01 00:00:00' WHERE kind = 'schedule'`)
	waitFor(t, 20*time.Second, "the end of the dead look", func() bool { return states(t, d, "schedule") == "1 discarded" })
}
