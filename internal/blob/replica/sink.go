package replica

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/internal/blob"
)

// Bytes on their way to the locations. A chunk is shared by all of them and
// goes back to the pool when the last has written it; a slow location holds at
// most queued chunks of one object, so memory stays bounded.
const (
	chunkSize = 256 << 10
	queued    = 8
)

type chunk struct {
	data  []byte
	users atomic.Int32
	pool  *sync.Pool
}

func (c *chunk) release() {
	if c.users.Add(-1) == 0 {
		c.pool.Put(c)
	}
}

// sink takes the bytes of one object to one stream, in a goroutine of its own.
type sink struct {
	at     *location // nil for the spool
	stream blob.Stream
	queue  chan *chunk
	done   chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	grown   *sync.Cond
	written int64
	err     error
}

func newSink(ctx context.Context, at *location, stream blob.Stream) *sink {
	k := &sink{at: at, stream: stream, queue: make(chan *chunk, queued), done: make(chan struct{})}
	k.grown = sync.NewCond(&k.mu)
	go k.run(ctx)
	return k
}

func (k *sink) run(ctx context.Context) {
	defer close(k.done)
	for c := range k.queue {
		if k.failed() == nil {
			err := context.Cause(ctx)
			if err == nil && k.at != nil {
				err = k.at.wait(ctx, len(c.data))
			}
			if err == nil {
				_, err = k.stream.Write(c.data)
			}
			k.mu.Lock()
			if err != nil {
				k.err = err
			} else {
				k.written += int64(len(c.data))
			}
			k.grown.Broadcast()
			k.mu.Unlock()
		}
		c.release()
	}
}

func (k *sink) failed() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

func (k *sink) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.err = err
	}
	k.grown.Broadcast()
}

// offer gives the sink a chunk, waiting for at most the given time. It says
// whether the sink took it.
func (k *sink) offer(ctx context.Context, c *chunk, stall time.Duration) (bool, error) {
	select {
	case k.queue <- c:
		return true, nil
	default:
	}
	timer := time.NewTimer(stall)
	defer timer.Stop()
	select {
	case k.queue <- c:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// readAt reads what was given to the sink, waiting until it has come through.
func (k *sink) readAt(p []byte, off, size int64) (int, error) {
	need := min(off+int64(len(p)), size)
	k.mu.Lock()
	for k.written < need && k.err == nil {
		k.grown.Wait()
	}
	err := k.err
	k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return k.stream.ReadAt(p, off)
}

// end takes no more chunks and waits for those given.
func (k *sink) end() {
	close(k.queue)
	<-k.done
}

// spooled reads the bytes of a sink whose end has come, for locations that
// want them again.
func (k *sink) spooled(size int64) io.Reader { return io.NewSectionReader(k.stream, 0, size) }
