package job_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/internal/job"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// childEnv makes the test binary play a worker process that is to die: the
// path or URL of its database.
const childEnv = "HOLDFAST_JOB_TEST_CHILD"

func TestMain(m *testing.M) {
	if database := os.Getenv(childEnv); database != "" {
		if err := playWorker(database); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// playWorker runs syncs that never end by themselves and says what happens.
func playWorker(database string) error {
	ctx := context.Background()
	private, _, err := note.GenerateKey(rand.Reader, storetest.Origin)
	if err != nil {
		return err
	}
	c := store.Config{Path: database, Now: storetest.Now, Rand: rand.Reader}
	if strings.Contains(database, "://") {
		c.Path, c.URL = "", database
	}
	if c.Signer, err = note.NewSigner(private); err != nil {
		return err
	}
	db, err := store.Open(ctx, c)
	if err != nil {
		return err
	}
	r, err := job.New(impatient(db, &fakeSource{work: func(ctx context.Context, _ int) error {
		fmt.Println("begun")
		<-ctx.Done()
		fmt.Println("ended:", context.Cause(ctx))
		return ctx.Err()
	}}))
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	select {}
}

type worker struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startWorker(t *testing.T, d *storetest.Database) *worker {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{cmd: exec.Command(exe)}
	w.cmd.Env = append(os.Environ(), childEnv+"="+d.Config.Path+d.Config.URL)
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cmd.Process.Kill(); w.cmd.Wait() })
	w.lines = bufio.NewScanner(out)
	return w
}

func (w *worker) expect(t *testing.T, prefix string) {
	t.Helper()
	if !w.lines.Scan() || !strings.HasPrefix(w.lines.Text(), prefix) {
		t.Fatalf("the worker process says %q, want %q", w.lines.Text(), prefix)
	}
}

func (w *worker) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// busyMachine is what the tests allow a loaded machine beside the time that is
// promised. River's own rescue takes far longer.
const busyMachine = 10 * time.Second

// A worker process is killed in the middle of a sync. On PostgreSQL another
// process is there and takes over when the lease has run out; on SQLite the
// process that starts next takes over at once.
func testKilled(t *testing.T, d *storetest.Database) {
	queue, err := job.New(impatient(d.DB, new(fakeSource)))
	if err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, queue, "code", "webhook")
	w := startWorker(t, d)
	w.expect(t, "begun")

	s := new(fakeSource)
	c := impatient(d.DB, s)
	bound := c.Lease + c.Lease/4 + busyMachine // as Config.Lease promises
	if d.Engine() == store.Postgres {
		start(t, c)
		time.Sleep(c.Lease * 2) // the lease of a living process is not touched
		if got := s.seen(); len(got) != 0 || states(t, d, "sync") != "1 running" {
			t.Fatalf("while the first process lives: synced %q, %s", got, states(t, d, "sync"))
		}
	}
	w.signal(t, syscall.SIGKILL)
	w.cmd.Wait()
	if d.Engine() == store.SQLite {
		bound = busyMachine
		start(t, c)
	}
	took := waitFor(t, bound, "the sync after the kill", func() bool { return len(s.seen()) == 1 })
	t.Logf("the sync ran again %s after the kill (lease %s)", took.Round(time.Millisecond), c.Lease)
	waitUntil(t, d, func(states string) bool { return states == "1 completed, 1 discarded" })
	time.Sleep(c.Lease)
	if got := s.seen(); len(got) != 1 {
		t.Errorf("synced %d times after the kill", len(got))
	}
}

// The process dies between fetching the job and taking the lease.
func testKilledBeforeTheLease(t *testing.T, d *storetest.Database) {
	s := new(fakeSource)
	c := impatient(d.DB, s)
	queue, err := job.New(c)
	if err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, queue, "code", "webhook")
	set := `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = datetime('now', 'subsec')`
	if d.Engine() == store.Postgres {
		set = `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now()`
	}
	d.Exec(t, set)
	start(t, c)
	waitFor(t, c.Lease+c.Lease/4+busyMachine, "the sync", func() bool { return states(t, d, "sync") == "1 completed, 1 discarded" })
}

// A sync that has killed a process before is not tried at once again: it may
// be what kills.
func testDeadlySync(t *testing.T, d *storetest.Database) {
	s := new(fakeSource)
	c := impatient(d.DB, s)
	c.Retry = []time.Duration{time.Hour}
	queue, err := job.New(c)
	if err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, queue, "code", "webhook")
	set := `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = datetime('now', 'subsec'), args = jsonb_set(args, '$.deaths', 1)`
	if d.Engine() == store.Postgres {
		set = `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), args = jsonb_set(args, '{deaths}', '1')`
	}
	d.Exec(t, set)
	start(t, c)
	waitFor(t, c.Lease+c.Lease/4+busyMachine, "the replacement", func() bool { return states(t, d, "sync") == "1 discarded, 1 scheduled" })
	time.Sleep(time.Second)
	if got := s.seen(); len(got) != 0 {
		t.Errorf("synced %q at once", got)
	}
}

// A process that was stopped, not dead, and wakes up after another one took
// over must find out at once and leave no trace in the queue.
func testStoppedProcess(t *testing.T, d *storetest.Database) {
	if d.Engine() == store.SQLite {
		t.Skip("a SQLite database has one process")
	}
	queue, err := job.New(impatient(d.DB, new(fakeSource)))
	if err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, queue, "code", "webhook")
	w := startWorker(t, d)
	w.expect(t, "begun")
	w.signal(t, syscall.SIGSTOP)

	release := make(chan struct{})
	s := &fakeSource{work: func(ctx context.Context, _ int) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	}}
	c := impatient(d.DB, s)
	start(t, c)
	waitFor(t, c.Lease+c.Lease/4+busyMachine, "the takeover", func() bool { return len(s.seen()) == 1 })
	w.signal(t, syscall.SIGCONT)
	began := time.Now()
	w.expect(t, "ended: the lease")
	t.Logf("the woken process noticed after %s", time.Since(began).Round(time.Millisecond))
	time.Sleep(500 * time.Millisecond) // for it to report to the queue what it will
	if got := states(t, d, "sync"); got != "1 discarded, 1 running" {
		t.Errorf("after the first process woke up: %s", got)
	}
	close(release)
	waitUntil(t, d, func(states string) bool { return states == "1 completed, 1 discarded" })
	if s.overlap || len(s.seen()) != 1 {
		t.Errorf("synced %q", s.seen())
	}
}
