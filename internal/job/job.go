// Package job runs what happens without being asked for: syncs of modules, on
// schedule and on demand, one at a time for each module, again when a process
// died in the middle.
//
// It imports escrow, trace, River and the standard library, and works on the database
// handle and River driver it is given; the tables come with the store's
// migrations. What a sync does is behind the interface [Syncer].
package job

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
)

// Module names what is synced.
type Module struct {
	Arrangement string
	Module      string
}

// Syncer does the work.
type Syncer interface {
	// Sync fetches and deposits what a module's source has. It runs for at
	// most one call per module at a time, in all processes together, as long
	// as it returns soon after ctx ends. It may be called again for what it
	// had done already, and must then do no harm. Whether a failed sync is
	// tried again depends on the error's escrow code.
	Sync(ctx context.Context, arrangement, module, reason string) error
	// Due lists the modules whose time has come.
	Due(ctx context.Context, now time.Time) ([]Module, error)
}

// Config is what a [Runner] is made of. Zero durations and numbers mean the
// defaults.
type Config struct {
	DB     *sql.DB                     // the handle River's driver works on
	Driver riverdriver.Driver[*sql.Tx] // River's view of the database
	Syncer Syncer
	Tasks  []Task           // what else is looked after; none for none
	Now    func() time.Time // what the schedule goes by
	Log    *slog.Logger

	// Exclusive says that no other process uses the database, as with SQLite
	// under the lock of its data directory. Whatever is running at Start then
	// belongs to a dead process and is taken over at once.
	Exclusive bool

	// QueueOnly says that this process queues work and does none.
	QueueOnly bool

	Workers int           // syncs at once in this process; default 2
	Every   time.Duration // how often due modules are looked for; default 30 s
	Timeout time.Duration // longest sync; default 6 h
	Grace   time.Duration // what running syncs get to end by themselves at Stop; default 10 s

	// Lease is how long a process may be silent before its syncs are taken
	// for dead; default 60 s. A dead one is noticed within a quarter more.
	// The clocks of processes on one database must agree much better than
	// this.
	Lease time.Duration

	// Retry lists the waits before a failed sync is tried again; when it is
	// used up, the next scheduled or requested sync is the next try.
	Retry []time.Duration
}

func (c Config) orDefault() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.Every, 30*time.Second)
	set(&c.Timeout, 6*time.Hour)
	set(&c.Grace, 10*time.Second)
	set(&c.Lease, time.Minute)
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.Retry == nil {
		c.Retry = []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	}
	return c
}

// Runner queues and runs jobs.
type Runner struct {
	config Config
	client *river.Client[*sql.Tx]
	leases *leases
	cancel context.CancelFunc
	reaper sync.WaitGroup
}

// The queues. Looking for due modules must not wait for syncs that take hours.
const (
	syncQueue     = "sync"
	scheduleQueue = "schedule"
)

// New prepares a runner. It queues at once and works after [Runner.Start].
func New(c Config) (*Runner, error) {
	if c.DB == nil || c.Driver == nil || c.Syncer == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("job: database, driver, syncer, clock and log are all needed")
	}
	c = c.orDefault()
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	r := &Runner{config: c, leases: &leases{db: c.DB, owner: hex.EncodeToString(id), length: c.Lease}}
	if c.QueueOnly {
		client, err := river.NewClient(c.Driver, &river.Config{Logger: c.Log})
		if err != nil {
			return nil, fmt.Errorf("job: %w", err)
		}
		r.client = client
		return r, nil
	}
	workers := river.NewWorkers()
	if err := errors.Join(
		river.AddWorkerSafely(workers, &syncWorker{runner: r}),
		river.AddWorkerSafely(workers, &scheduleWorker{runner: r}),
		river.AddWorkerSafely(workers, &taskWorker{runner: r}),
	); err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	var err error
	r.client, err = river.NewClient(c.Driver, &river.Config{
		Queues: map[string]river.QueueConfig{
			syncQueue:     {MaxWorkers: c.Workers},
			scheduleQueue: {MaxWorkers: 1},
			taskQueue:     {MaxWorkers: 2},
		},
		Workers: workers,
		PeriodicJobs: append(c.periodicTasks(), river.NewPeriodicJob(river.PeriodicInterval(c.Every),
			func() (river.JobArgs, *river.InsertOpts) { return scheduleArgs{}, nil },
			&river.PeriodicJobOpts{ID: "schedule", RunOnStart: true})),
		JobTimeout:      c.Lease / 2,
		SoftStopTimeout: c.Grace,
		// What a dead process was at is found sooner, see reap.
		RescueStuckJobsAfter:        2 * c.Lease,
		CompletedJobRetentionPeriod: time.Hour,
		Logger:                      c.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	return r, nil
}

// Start begins to work. Only [Runner.Stop] ends it, not the end of ctx. A
// database that breaks connections off in this moment, as when it restarts, is
// asked again for some seconds.
func (r *Runner) Start(ctx context.Context) error {
	if r.config.QueueOnly {
		return nil
	}
	if r.config.Exclusive {
		if err := r.takeOver(ctx); err != nil {
			return fmt.Errorf("job: take over from the process before: %w", err)
		}
	}
	asked := ctx
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for began := time.Now(); ; {
		err := r.client.Start(ctx)
		if err == nil {
			break
		}
		if asked.Err() != nil || time.Since(began) > startPatience {
			r.cancel()
			r.cancel = nil // nothing runs that would have to be stopped
			return fmt.Errorf("job: start: %w", err)
		}
		r.config.Log.WarnContext(ctx, "job: the database does not answer; trying again", "error", err)
		select {
		case <-asked.Done():
		case <-time.After(startPause):
		}
	}
	r.reaper.Go(func() { r.reapUntil(ctx) })
	return nil
}

// Stop takes no more jobs and lets running ones end. Those that have not
// ended after the grace time, or when ctx ends, are cancelled and waited for a
// little longer; they are queued again as if they had not begun.
func (r *Runner) Stop(ctx context.Context) error {
	if r.cancel == nil {
		return nil // never started
	}
	defer r.reaper.Wait()
	defer r.cancel()
	err := r.client.Stop(ctx)
	if err == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := r.client.StopAndCancel(last); err != nil {
		return fmt.Errorf("job: running syncs did not stop: %w", err)
	}
	return nil
}

// startPatience is how long a database may fail while the work begins; after
// that whoever supervises the process starts it again. startPause is between
// two tries.
const (
	startPatience = 10 * time.Second
	startPause    = 250 * time.Millisecond
)

// stopPatience is how long cancelled syncs may take to notice.
const stopPatience = 5 * time.Second
