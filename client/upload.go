package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// UploadState says how far an upload has come.
type UploadState struct {
	Size   int64 `json:"size"`
	Offset int64 `json:"offset"` // bytes that have arrived
	Done   bool  `json:"done"`
}

// UploadOf tells how much of an object has arrived at the server.
func (c *Client) UploadOf(ctx context.Context, arrangement, module, name string) (out UploadState, err error) {
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "objects", name, "upload"), nil, &out)
}

// How often an upload that makes no headway is tried again, and the pause
// after the first time, which doubles.
const (
	uploadTries = 5
	firstPause  = 500 * time.Millisecond
)

// Upload sends a sealed object of the given size, from where the server says
// that an earlier upload of it stands. It goes on there when the connection
// breaks, and gives up only after several tries without headway. progress is
// told how much was sent; it may be nil.
func (c *Client) Upload(ctx context.Context, arrangement, module, name string, r io.ReaderAt, size int64, progress func(sent int64)) error {
	furthest, pause := int64(0), firstPause
	for try := 1; ; try++ {
		state, err := c.UploadOf(ctx, arrangement, module, name)
		if err == nil {
			if state.Done && state.Size == size {
				return nil
			}
			if state.Offset > furthest {
				furthest, try, pause = state.Offset, 1, firstPause
			}
			if state.Offset >= size || state.Done { // of no use: only the whole can tell what is wrong
				state.Offset = 0
			}
			err = c.uploadFrom(ctx, arrangement, module, name, r, state.Offset, size, progress)
		}
		again := broken(err) || state.Offset > 0 // what had arrived may have been spoilt; then the server has dropped it
		if err == nil || ctx.Err() != nil || !again || try >= uploadTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// broken reports whether it was the way to the server that failed.
func broken(err error) bool {
	if errors.Is(err, ErrUnreachable) {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout)
}

func (c *Client) uploadFrom(ctx context.Context, arrangement, module, name string, r io.ReaderAt, offset, size int64, progress func(int64)) error {
	body := &sending{r: io.NewSectionReader(r, offset, size-offset), sent: offset, progress: progress}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if offset > 0 {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
	}
	resp, err := c.sendWith(ctx, http.MethodPut, path("arrangements", arrangement, "modules", module, "objects", name), body, size-offset, header)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

type sending struct {
	r        io.Reader
	sent     int64
	progress func(int64)
}

func (s *sending) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sent += int64(n)
	if s.progress != nil {
		s.progress(s.sent)
	}
	return n, err
}

// ObjectFrom is [Client.Object] from an offset on, to go on with a download
// that broke off. The caller compares all of the bytes with the name.
func (c *Client) ObjectFrom(ctx context.Context, arrangement, name string, offset int64) (io.ReadCloser, error) {
	if offset == 0 {
		return c.Object(ctx, arrangement, name)
	}
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-", offset)}}
	resp, err := c.sendWith(ctx, http.MethodGet, path("arrangements", arrangement, "objects", name), nil, -1, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusPartialContent {
		_ = resp.Body.Close() // what it says is of no use
		return nil, fmt.Errorf("%s gives no part of object %s, only the whole", c.base.Redacted(), name)
	}
	return resp.Body, nil
}
