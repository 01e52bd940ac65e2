package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// A sync whose process died stays "running" in River's table. River itself
// would give it back only after the longest time a sync may take. Here its
// lease tells sooner: the dead row is closed, and a new job takes its place,
// so that whatever the old attempt may still do, should it not be dead after
// all, touches a row that has ended.

// reapUntil looks for dead syncs until ctx ends.
func (r *Runner) reapUntil(ctx context.Context) {
	ticker := time.NewTicker(r.config.Lease / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := errors.Join(r.reap(ctx, r.config.Lease), r.reapSchedule(ctx, r.config.Lease), r.reapTasks(ctx, r.config.Lease)); err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "job: look for dead syncs", "error", err)
		}
	}
}

// reap replaces the syncs that have run for longer than age without holding a
// lease that is still good.
func (r *Runner) reap(ctx context.Context, age time.Duration) error {
	running, err := r.running(ctx, syncArgs{}.Kind())
	if err != nil {
		return err
	}
	for _, row := range running {
		if row.AttemptedAt != nil && time.Since(*row.AttemptedAt) < age {
			continue // it may not have come to take its lease yet
		}
		if err := r.replace(ctx, row); err != nil {
			return fmt.Errorf("job %d: %w", row.ID, err)
		}
	}
	return nil
}

// reapSchedule closes looks at the schedule that are older than age, which no
// living process lets one become. While such a row is "running" no other look
// is queued, and River itself would leave it for some minutes.
func (r *Runner) reapSchedule(ctx context.Context, age time.Duration) error {
	running, err := r.running(ctx, scheduleArgs{}.Kind())
	if err != nil {
		return err
	}
	for _, row := range running {
		if row.AttemptedAt != nil && time.Since(*row.AttemptedAt) < age {
			continue
		}
		if _, err := r.config.DB.ExecContext(ctx, closeRow, row.ID, row.Attempt); err != nil {
			return fmt.Errorf("job %d: %w", row.ID, err)
		}
	}
	return nil
}

// closeRow ends a job, unless it is not any more as it was when it was read.
const closeRow = `UPDATE river_job SET state = 'discarded', finalized_at = CURRENT_TIMESTAMP
	WHERE id = $1 AND state = 'running' AND attempt = $2`

func (r *Runner) running(ctx context.Context, kind string) ([]*rivertype.JobRow, error) {
	const most = 10_000
	res, err := r.client.JobList(ctx, river.NewJobListParams().Kinds(kind).States(rivertype.JobStateRunning).First(most))
	if err != nil {
		return nil, fmt.Errorf("list running jobs: %w", err)
	}
	return res.Jobs, nil
}

// replace closes a dead sync and queues another in its place, if it is dead.
func (r *Runner) replace(ctx context.Context, row *rivertype.JobRow) error {
	args, err := parseArgs(row)
	if err != nil {
		return err
	}
	tx, err := r.config.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// The row is closed first: the lock on it keeps others, who look at the
	// same moment, from doing this twice. The conditions are those under
	// which the row was read.
	n, err := affected(tx.ExecContext(ctx, closeRow, row.ID, row.Attempt))
	if err != nil || n == 0 {
		return err
	}
	var alive int
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM job_lease WHERE name = $1 AND job = $2 AND expires_us > $3`,
		args.lease(), row.ID, time.Now().UnixMicro()).Scan(&alive)
	if err != nil || alive > 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM job_lease WHERE name = $1 AND job = $2`, args.lease(), row.ID); err != nil {
		return err
	}
	args.After = 0
	args.Deaths++
	opts := r.attempts()
	if wait := r.afterDeath(args.Deaths); wait > 0 {
		// Not otherwise: what is scheduled, even for now, waits for River's
		// leader, and the dead process may have been that.
		opts.ScheduledAt = time.Now().Add(wait)
	}
	if _, err := r.client.InsertTx(ctx, tx, args, opts); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	r.config.Log.WarnContext(ctx, "a process died during a sync; it is queued again", "arrangement", args.Arrangement, "module", args.Module,
		"job", row.ID, "deaths", args.Deaths)
	return nil
}

// afterDeath is the wait before a sync whose process died is tried again: none
// at first, then as after failures, since it may be the sync that kills.
func (r *Runner) afterDeath(deaths int) time.Duration {
	if deaths <= 1 || len(r.config.Retry) == 0 {
		return 0
	}
	return r.config.Retry[min(deaths-1, len(r.config.Retry))-1]
}

// takeOver ends what a dead process has left behind, on a database that this
// process has for itself.
func (r *Runner) takeOver(ctx context.Context) error {
	if _, err := r.config.DB.ExecContext(ctx, `DELETE FROM job_lease`); err != nil {
		return err
	}
	// Otherwise nothing is scheduled until the dead leader's term has run out.
	if _, err := r.config.DB.ExecContext(ctx, `DELETE FROM river_leader`); err != nil {
		return err
	}
	if _, err := r.config.DB.ExecContext(ctx, `UPDATE river_job SET state = 'discarded', finalized_at = CURRENT_TIMESTAMP
		WHERE kind = $1 AND state = 'running'`, scheduleArgs{}.Kind()); err != nil {
		return err
	}
	return r.reap(ctx, 0)
}

func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
