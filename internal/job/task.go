package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"holdfast/internal/escrow"
	"holdfast/internal/trace"
)

// Task is something that is looked after again and again, such as messages
// that are due. It runs for at most one call at a time in all processes
// together, ends well within half of the lease's length, and does no harm when
// it begins again after an interruption.
type Task struct {
	Name  string
	Every time.Duration // default 15 s
	Run   func(ctx context.Context) error
}

// taskQueue is apart from syncs, which may take hours.
const taskQueue = "task"

// taskArgs are the arguments of a task. What is queued or running is enough.
type taskArgs struct {
	Name string `json:"name" river:"unique"`
}

func (taskArgs) Kind() string { return "task" }

func (taskArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: taskQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished()}}
}

type taskWorker struct {
	river.WorkerDefaults[taskArgs]
	runner *Runner
}

// Work runs one look of a task under its lease.
func (w *taskWorker) Work(ctx context.Context, j *river.Job[taskArgs]) error {
	r := w.runner
	ctx = trace.WithJob(ctx, j.ID)
	for _, t := range r.config.Tasks {
		if t.Name != j.Args.Name {
			continue
		}
		lease, ok, err := r.leases.acquire(ctx, "task "+t.Name, j.ID, j.Attempt)
		if err != nil || !ok {
			return err // another process is at it
		}
		err = r.run(ctx, t)
		if rerr := lease.release(ctx); rerr != nil {
			r.config.Log.WarnContext(ctx, "job", "error", rerr)
		}
		if err != nil && ctx.Err() == nil {
			r.config.Log.ErrorContext(ctx, "task failed", "task", t.Name, "error", err)
		}
		return nil // the next look is the next try
	}
	return nil // a task of another release
}

// run calls the task and turns a panic into an error.
func (r *Runner) run(ctx context.Context, t Task) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.config.Log.ErrorContext(ctx, "task panicked", "task", t.Name, "panic", escrow.PanicText(v), "stack", string(debug.Stack()))
			err = errors.New("the program failed")
		}
	}()
	return t.Run(ctx)
}

// periodicTasks are the tasks as River begins them.
func (c Config) periodicTasks() []*river.PeriodicJob {
	out := make([]*river.PeriodicJob, len(c.Tasks))
	for i, t := range c.Tasks {
		every := t.Every
		if every <= 0 {
			every = 15 * time.Second
		}
		out[i] = river.NewPeriodicJob(river.PeriodicInterval(every),
			func() (river.JobArgs, *river.InsertOpts) { return taskArgs{t.Name}, nil },
			&river.PeriodicJobOpts{ID: "task-" + t.Name, RunOnStart: true})
	}
	return out
}

// reapTasks closes looks that are older than age; see reapSchedule.
func (r *Runner) reapTasks(ctx context.Context, age time.Duration) error {
	running, err := r.running(ctx, taskArgs{}.Kind())
	if err != nil {
		return err
	}
	for _, row := range running {
		if stillYoung(row, age) {
			continue
		}
		if _, err := r.config.DB.ExecContext(ctx, closeRow, row.ID, row.Attempt); err != nil {
			return fmt.Errorf("job %d: %w", row.ID, err)
		}
	}
	return nil
}

func stillYoung(row *rivertype.JobRow, age time.Duration) bool {
	return row.AttemptedAt != nil && time.Since(*row.AttemptedAt) < age
}
