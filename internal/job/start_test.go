package job_test

import (
	"testing"
	"time"

	"holdfast/internal/job"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// testCutAtStart ends every connection of the process before it begins to
// work, as a database does that restarts in that moment.
func testCutAtStart(t *testing.T, d *storetest.Database) {
	if d.Engine() == store.SQLite {
		t.Skip("SQLite has no connections that could be cut")
	}
	s := new(fakeSource)
	c := config(d.DB, s)
	queue, err := job.New(c)
	if err != nil {
		t.Fatal(err)
	}
	request(t, d.DB, queue, "code", "webhook")
	if _, err := d.Raw.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	waitFor(t, 30*time.Second, "the sync", func() bool { return len(s.seen()) == 1 })
}
