package replica_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/blob/blobtest"
	"holdfast/internal/blob/file"
	"holdfast/internal/blob/replica"
	"holdfast/internal/store/storetest"
)

// bench is a replica store over directories, with the real journal.
type bench struct {
	*replica.Store
	dir      string
	db       *storetest.Database
	files    []*file.Store
	faults   []*faulty
	findings chan replica.Finding
}

func build(t *testing.T, o replica.Options, n int) *bench {
	t.Helper()
	return buildOn(t, o, n, storetest.SQLite(t), t.TempDir())
}

func buildOn(t *testing.T, o replica.Options, n int, db *storetest.Database, dir string) *bench {
	t.Helper()
	b := &bench{db: db, dir: dir, findings: make(chan replica.Finding, 1000)}
	o.Every, o.Backoff = 20*time.Millisecond, 30*time.Millisecond
	o.Journal = db.Journal(time.Now, 0)
	if o.Found == nil {
		o.Found = func(_ context.Context, f replica.Finding) { b.findings <- f }
	}
	var list []replica.Location
	for i := range n {
		s, err := file.Open(filepath.Join(b.dir, string(rune('a'+i))))
		if err != nil {
			t.Fatal(err)
		}
		f := &faulty{Store: s}
		b.files, b.faults = append(b.files, s), append(b.faults, f)
		list = append(list, replica.Location{ID: string(rune('a' + i)), State: replica.Active, Counts: true, Driver: f})
	}
	b.Store = replica.New(o, list)
	return b
}

func (b *bench) path(i int, name string) string {
	return filepath.Join(b.dir, string(rune('a'+i)), name[:2], name)
}

func TestSuite(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		t.Run(string(rune('0'+n)), func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) blob.Store { return build(t, replica.Options{}, n).Store })
		})
	}
}

func TestEveryLocationGetsTheBytes(t *testing.T) {
	b := build(t, replica.Options{}, 3)
	data := bytes.Repeat([]byte("bytes "), 200_000)
	name := blobtest.Put(t, b.Store, data)
	b.settled(t)
	for i, s := range b.files {
		r, err := s.Open(t.Context(), name)
		if err != nil {
			t.Fatalf("location %d: %v", i, err)
		}
		if err := blob.Check(t.Context(), r, name); err != nil {
			t.Errorf("location %d: %v", i, err)
		}
		r.Close()
	}
}

// settled runs catch-up until nothing is owed.
func (b *bench) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); b.CatchUp(ctx) }()
	for ctx.Err() == nil {
		if b.owed(t) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n := b.owed(t); n > 0 {
		t.Fatalf("%d copies are still owed", n)
	}
	cancel()
	<-done
}

func (b *bench) owed(t *testing.T) (n int) {
	t.Helper()
	if err := b.db.Raw.QueryRow(`SELECT COUNT(*) FROM object_copy WHERE state <> 'held'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func read(ctx context.Context, s blob.Store, name string) ([]byte, error) {
	r, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}
