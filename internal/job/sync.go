package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"holdfast/internal/escrow"
	"holdfast/internal/trace"
)

// syncArgs are the arguments of a sync. Jobs with equal unique arguments are
// one job, from when it is queued until it has ended.
type syncArgs struct {
	Arrangement string `json:"arrangement" river:"unique"`
	Module      string `json:"module" river:"unique"`
	// After is the id of the job that was running when this one was asked
	// for, or 0.
	After  int64  `json:"after" river:"unique"`
	Reason string `json:"reason"`
	Deaths int    `json:"deaths"` // processes that died while running it
	// Request is the id of the request that asked for it, for the log.
	Request string `json:"request,omitempty"`
}

// Scheduled is the reason of a sync that nobody asked for.
const Scheduled = "schedule"

func (syncArgs) Kind() string { return "sync" }

func (syncArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: syncQueue, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished()}}
}

func (a syncArgs) lease() string { return "sync " + a.Arrangement + " " + a.Module }

func unfinished() []rivertype.JobState {
	return []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
		rivertype.JobStateRunning, rivertype.JobStateScheduled}
}

// maxFollowers bounds the jobs of one module that stand in line behind each
// other; more than two takes a chain of unlikely moments.
const maxFollowers = 8

// EnqueueSync queues a sync of a module in tx; it is there only if tx commits.
// One that waits already is enough, and need not wait any longer. One that is
// running is not: it may have read the source before the change that is the
// reason for asking, so another one is queued to run after it.
func (r *Runner) EnqueueSync(ctx context.Context, tx *sql.Tx, arrangement, module, reason string) error {
	args := syncArgs{Arrangement: arrangement, Module: module, Reason: reason, Request: trace.Request(ctx)}
	for range maxFollowers {
		res, err := r.client.InsertTx(ctx, tx, args, r.attempts())
		if err != nil {
			return fmt.Errorf("job: queue a sync of %s/%s: %w", arrangement, module, err)
		}
		if !res.UniqueSkippedAsDuplicate {
			return nil
		}
		switch res.Job.State {
		case rivertype.JobStateRunning:
			args.After = res.Job.ID
		case rivertype.JobStateRetryable, rivertype.JobStateScheduled:
			if _, err := r.client.JobRetryTx(ctx, tx, res.Job.ID); err != nil {
				return fmt.Errorf("job: hurry the sync of %s/%s: %w", arrangement, module, err)
			}
			return nil
		default:
			return nil
		}
	}
	return escrow.Errorf(escrow.Unavailable, "%d syncs of module %q are running or waiting", maxFollowers, module).WithHint("try again when they have ended")
}

func (r *Runner) attempts() *river.InsertOpts {
	return &river.InsertOpts{MaxAttempts: len(r.config.Retry) + 1}
}

type syncWorker struct {
	river.WorkerDefaults[syncArgs]
	runner *Runner
}

// Timeout keeps River's clock away: Work has its own, and whether the process
// is alive is told by the lease.
func (w *syncWorker) Timeout(*river.Job[syncArgs]) time.Duration { return -1 }

// NextRetry spreads retries by a quarter, so that modules that failed together
// do not come back together.
func (w *syncWorker) NextRetry(j *river.Job[syncArgs]) time.Time {
	waits := w.runner.config.Retry
	if len(waits) == 0 {
		return time.Time{}
	}
	wait := waits[min(max(j.Attempt, 1), len(waits))-1]
	return time.Now().Add(wait + rand.N(wait/4+1))
}

// Work runs one sync under the lease of its module.
func (w *syncWorker) Work(ctx context.Context, j *river.Job[syncArgs]) error {
	r, a := w.runner, j.Args
	ctx = trace.WithJob(trace.WithRequest(ctx, a.Request), j.ID)
	lease, ok, err := r.leases.acquire(ctx, a.lease(), j.ID, j.Attempt)
	if err != nil {
		return err
	}
	if !ok {
		return river.JobSnooze(r.config.Lease / 30) // somebody is at it; look again soon
	}
	work, cancel := context.WithCancelCause(ctx)
	timed, stop := context.WithTimeoutCause(work, r.config.Timeout, fmt.Errorf("a sync may take %s at most", r.config.Timeout))
	kept := make(chan struct{})
	go func() { defer close(kept); lease.keep(timed, cancel) }()

	err = r.sync(timed, a)
	if err != nil && timed.Err() != nil && ctx.Err() == nil {
		err = context.Cause(timed) // the reason, instead of where it happened to be noticed
	}
	stop()
	cancel(nil)
	<-kept // no renewal may come after the release
	if rerr := lease.release(ctx); rerr != nil {
		r.config.Log.WarnContext(ctx, "job", "error", rerr)
	}
	if err == nil {
		return nil
	}
	r.config.Log.WarnContext(ctx, "sync failed", "arrangement", a.Arrangement, "module", a.Module, "reason", a.Reason,
		"attempt", j.Attempt, "code", escrow.CodeOf(err), "error", err)
	if ctx.Err() == nil && !retryable(err) {
		return river.JobCancel(public(err))
	}
	return public(err)
}

// sync calls the syncer and turns a panic into an error.
func (r *Runner) sync(ctx context.Context, a syncArgs) (err error) {
	defer func() {
		if v := recover(); v != nil {
			// River would store the stack, and with it whatever it mentions.
			r.config.Log.ErrorContext(ctx, "sync panicked", "arrangement", a.Arrangement, "module", a.Module, "panic", escrow.PanicText(v), "stack", string(debug.Stack()))
			err = errors.New("the program failed")
		}
	}()
	return r.config.Syncer.Sync(ctx, a.Arrangement, a.Module, a.Reason)
}

// retryable says whether the same sync may go well a little later. What the
// parties must change first is left to the next scheduled or requested one.
func retryable(err error) bool {
	switch escrow.CodeOf(err) {
	case escrow.Invalid, escrow.Unauthenticated, escrow.Forbidden, escrow.NotFound, escrow.WrongKey, escrow.BelowQuorum:
		return false
	}
	return true
}

// public is the part of an error that may stand in the queue's table: what is
// not meant for people's eyes stays in the log.
func public(err error) error {
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return errors.New(e.Message)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errLost) {
		return err
	}
	return errors.New("internal fault; the log has the details")
}

// scheduleArgs are the arguments of a look for due modules.
type scheduleArgs struct{}

func (scheduleArgs) Kind() string { return "schedule" }

func (scheduleArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: scheduleQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByState: unfinished(), ByQueue: true}}
}

type scheduleWorker struct {
	river.WorkerDefaults[scheduleArgs]
	runner *Runner
}

// Work queues a sync for every due module. For one that is waiting or running
// this does nothing.
func (w *scheduleWorker) Work(ctx context.Context, _ *river.Job[scheduleArgs]) error {
	r := w.runner
	due, err := r.config.Syncer.Due(ctx, r.config.Now())
	if err != nil {
		r.config.Log.ErrorContext(ctx, "look for due modules", "error", err)
		return public(err)
	}
	if len(due) == 0 {
		return nil
	}
	list := make([]river.InsertManyParams, len(due))
	for i, m := range due {
		list[i] = river.InsertManyParams{Args: syncArgs{Arrangement: m.Arrangement, Module: m.Module, Reason: Scheduled}, InsertOpts: r.attempts()}
	}
	if _, err := r.client.InsertMany(ctx, list); err != nil {
		return fmt.Errorf("queue %d due modules: %w", len(due), err)
	}
	return nil
}

func parseArgs(row *rivertype.JobRow) (syncArgs, error) {
	var a syncArgs
	if err := json.Unmarshal(row.EncodedArgs, &a); err != nil {
		return a, fmt.Errorf("arguments of job %d: %w", row.ID, err)
	}
	return a, nil
}
