package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// leases says which process is syncing which module. A lease is a row that
// its owner renews while it works. An owner that falls silent is taken for
// dead when the lease has run out; the owner itself stops working a little
// before that, by its own clock, so that two never work at once.
type leases struct {
	db     *sql.DB
	owner  string
	length time.Duration
	count  atomic.Int64
}

// errLost is the cause of a sync's end when its lease could not be renewed.
var errLost = errors.New("the lease of the module was lost: the database did not answer in time, or another process took over")

// lease is one acquired lease.
type lease struct {
	leases *leases
	name   string
	owner  string // of this one lease, never used again
	until  time.Time
}

// acquire takes the lease of a module for a job, unless somebody has it.
func (l *leases) acquire(ctx context.Context, name string, job int64, attempt int) (*lease, bool, error) {
	now := time.Now()
	held := &lease{l, name, l.owner + "/" + strconv.FormatInt(l.count.Add(1), 10), now.Add(l.length)}
	result, err := l.db.ExecContext(ctx, `INSERT INTO job_lease (name, owner, job, attempt, expires_us) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, job = excluded.job, attempt = excluded.attempt, expires_us = excluded.expires_us
		WHERE job_lease.expires_us <= $6`, name, held.owner, job, attempt, held.until.UnixMicro(), now.UnixMicro())
	if err != nil {
		return nil, false, fmt.Errorf("lease of %s: %w", name, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return nil, false, fmt.Errorf("lease of %s: %w", name, err)
	}
	return held, n == 1, nil
}

// keep renews the lease until ctx ends, and cancels the work when it cannot.
func (h *lease) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	length := h.leases.length
	// The margin is for the work to notice and for clocks to differ. The timer
	// runs by the monotonic clock, also while the process is stopped.
	margin := length / 6
	watchdog := time.AfterFunc(time.Until(h.until)-margin, func() { cancel(errLost) })
	defer watchdog.Stop()
	ticker := time.NewTicker(length / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		if now.After(h.until.Add(-margin)) {
			cancel(errLost)
			return
		}
		held, err := h.renew(ctx, now)
		switch {
		case err != nil: // tried again until the watchdog barks
		case !held:
			cancel(errLost)
			return
		default:
			h.until = now.Add(length)
			watchdog.Reset(time.Until(h.until) - margin)
		}
	}
}

func (h *lease) renew(ctx context.Context, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, h.leases.length/4)
	defer cancel()
	result, err := h.leases.db.ExecContext(ctx, `UPDATE job_lease SET expires_us = $1 WHERE name = $2 AND owner = $3 AND expires_us > $4`,
		now.Add(h.leases.length).UnixMicro(), h.name, h.owner, now.UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// release gives the module free. When it fails, the lease runs out by itself.
func (h *lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if _, err := h.leases.db.ExecContext(ctx, `DELETE FROM job_lease WHERE name = $1 AND owner = $2`, h.name, h.owner); err != nil {
		return fmt.Errorf("give back the lease of %s: %w", h.name, err)
	}
	return nil
}
