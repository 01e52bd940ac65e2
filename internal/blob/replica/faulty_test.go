package replica_test

import (
	"context"
	"io"
	"sync"

	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
)

// faulty is a directory whose answers can be broken: each hook, when set, is
// asked before the call goes through.
type faulty struct {
	*file.Store
	mu    sync.Mutex
	down  func() error                    // of every call
	write func() error                    // of every write
	read  func(p []byte, off int64) error // after a read; it may change the bytes
	after func(ctx context.Context) error // before an object settles
}

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faulty) ask(pick func(*faulty) func() error) error {
	f.mu.Lock()
	fn := pick(f)
	f.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn()
}

func isDown(f *faulty) func() error  { return f.down }
func isWrite(f *faulty) func() error { return f.write }

func (f *faulty) Stat(ctx context.Context, name string) (int64, error) {
	if err := f.ask(isDown); err != nil {
		return 0, err
	}
	return f.Store.Stat(ctx, name)
}

func (f *faulty) Probe(ctx context.Context) error {
	if err := f.ask(isDown); err != nil {
		return err
	}
	if err := f.ask(isWrite); err != nil {
		return err
	}
	return f.Store.Probe(ctx)
}

func (f *faulty) Delete(ctx context.Context, name string) error {
	if err := f.ask(isDown); err != nil {
		return err
	}
	return f.Store.Delete(ctx, name)
}

func (f *faulty) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := f.ask(isDown); err != nil {
		return err
	}
	if err := f.ask(isWrite); err != nil {
		return err
	}
	return f.Store.Put(ctx, name, size, r)
}

func (f *faulty) Replace(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := f.ask(isDown); err != nil {
		return err
	}
	if err := f.ask(isWrite); err != nil {
		return err
	}
	return f.Store.Replace(ctx, name, size, r)
}

func (f *faulty) Open(ctx context.Context, name string) (blob.Reader, error) {
	if err := f.ask(isDown); err != nil {
		return nil, err
	}
	r, err := f.Store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return faultyReader{r, f}, nil
}

type faultyReader struct {
	blob.Reader
	f *faulty
}

func (r faultyReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.f.ask(isDown); err != nil {
		return 0, err
	}
	n, err := r.Reader.ReadAt(p, off)
	r.f.mu.Lock()
	fn := r.f.read
	r.f.mu.Unlock()
	if fn != nil {
		if err := fn(p[:n], off); err != nil {
			return 0, err
		}
	}
	return n, err
}

func (f *faulty) Stream(ctx context.Context) (blob.Stream, error) {
	if err := f.ask(isDown); err != nil {
		return nil, err
	}
	s, err := f.Store.Stream(ctx)
	if err != nil {
		return nil, err
	}
	return faultyStream{s, f}, nil
}

type faultyStream struct {
	blob.Stream
	f *faulty
}

func (s faultyStream) Write(p []byte) (int, error) {
	if err := s.f.ask(isDown); err != nil {
		return 0, err
	}
	if err := s.f.ask(isWrite); err != nil {
		return 0, err
	}
	return s.Stream.Write(p)
}

func (s faultyStream) Settle(ctx context.Context, name string) (bool, error) {
	if err := s.f.ask(isDown); err != nil {
		return false, err
	}
	s.f.mu.Lock()
	fn := s.f.after
	s.f.mu.Unlock()
	if fn != nil {
		if err := fn(ctx); err != nil {
			_ = s.Abort()
			return false, err
		}
	}
	return s.Stream.Settle(ctx, name)
}
