package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// transport carries the conversation. What a request answers with must be
// read to its end, or left, before the next request.
type transport interface {
	// greeting returns what the server says first.
	greeting() (io.Reader, error)
	// request sends what write produces and returns the answer.
	request(write func(io.Writer) error) (io.Reader, error)
	// maxLines bounds the want and have lines of one request, 0 for no bound.
	maxLines(hexSize int) int
	// explain adds what the server said outside the protocol to err.
	explain(err error) error
	// close ends the conversation and frees what it holds.
	close()
}

// stream is a transport over one two-way byte stream, on which the server
// talks first: ssh, git:// and a local process.
type stream struct {
	in      io.Reader // watched and buffered
	out     io.WriteCloser
	hangUp  func()         // closes everything, also what blocks a Read or Write
	said    func() string  // what the server wrote to its standard error, or nil
	stop    func() bool    // ends the link between the context and hangUp
	writing sync.WaitGroup // one writer at a time
	wrote   error          // of the last writer, valid after writing.Wait
}

func newStream(ctx context.Context, in io.Reader, out io.WriteCloser, hangUp func(), said func() string, idle *watchdog) *stream {
	hangUp = sync.OnceFunc(hangUp)
	return &stream{
		in: bufio.NewReaderSize(idle.watch(in), 64<<10), out: out, hangUp: hangUp, said: said,
		stop: context.AfterFunc(ctx, hangUp),
	}
}

func (s *stream) greeting() (io.Reader, error) { return s.in, nil }

// request writes beside the reader: a server answers the first have lines
// while it still reads the others, and two full pipes would wait for each
// other for ever.
func (s *stream) request(write func(io.Writer) error) (io.Reader, error) {
	s.writing.Wait()
	if s.wrote != nil {
		return nil, s.wrote
	}
	s.writing.Go(func() {
		w := bufio.NewWriterSize(s.out, 32<<10)
		if s.wrote = write(w); s.wrote == nil {
			s.wrote = w.Flush()
		}
	})
	return s.in, nil
}

func (s *stream) maxLines(int) int { return 0 }

// explain waits a moment for the standard error of a server that hung up:
// it arrives on a channel of its own.
func (s *stream) explain(err error) error {
	if s.said == nil || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	for range 20 {
		if text := printable(s.said()); text != "" {
			return fmt.Errorf("%w (%w)", &remoteError{text}, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func (s *stream) close() {
	s.stop()
	s.hangUp()
	s.writing.Wait()
}

// watchdog cancels a connection when a read waits too long. It counts only
// while somebody waits for the server, so that a slow consumer is not taken
// for a silent server.
type watchdog struct {
	limit    time.Duration
	cancel   context.CancelCauseFunc
	received atomic.Int64 // bytes read from watched readers
}

// guard runs f and cancels when it takes longer than the limit.
func (w *watchdog) guard(f func()) {
	t := time.AfterFunc(w.limit, func() { w.cancel(fmt.Errorf("%w: nothing for %v", errIdle, w.limit)) })
	defer t.Stop()
	f()
}

func (w *watchdog) watch(r io.Reader) io.Reader { return &watched{r: r, dog: w} }

type watched struct {
	r     io.Reader
	dog   *watchdog
	timer *time.Timer
}

func (w *watched) Read(p []byte) (n int, err error) {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.dog.limit, func() { w.dog.cancel(fmt.Errorf("%w: nothing for %v", errIdle, w.dog.limit)) })
	} else {
		w.timer.Reset(w.dog.limit)
	}
	n, err = w.r.Read(p)
	w.timer.Stop()
	w.dog.received.Add(int64(n))
	return n, err
}

// DialFunc connects to an address. It decides which addresses may be reached.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// beginning keeps the beginning of what is written to it, for a message.
type beginning struct {
	limit int
	mu    sync.Mutex
	text  []byte
}

func (t *beginning) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), t.limit-len(t.text))]...)
	return len(p), nil
}

func (t *beginning) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
