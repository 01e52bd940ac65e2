package files

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Compress writes what fn writes to w as one zstd frame.
func Compress(w io.Writer, fn func(io.Writer) error) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxFrameWindow))
	if err != nil {
		return fmt.Errorf("compressor: %w", err)
	}
	if err := fn(z); err != nil {
		_ = z.Close() // the error before says more
		return err
	}
	return z.Close()
}

// Decompress reads what [Compress] wrote, with bounded memory. The caller
// closes it.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxFrame), zstd.WithDecoderMaxMemory(1<<40))
	if err != nil {
		return nil, fmt.Errorf("decompressor: %w", err)
	}
	return z.IOReadCloser(), nil
}
