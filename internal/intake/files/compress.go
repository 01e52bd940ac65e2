package files

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"holdfast/internal/escrow"
)

// Compress writes what fn writes to w as one zstd frame. It compresses beside fn.
func Compress(w io.Writer, fn func(io.Writer) error) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(2), zstd.WithEncoderLevel(level), zstd.WithWindowSize(maxFrameWindow))
	if err != nil {
		return fmt.Errorf("compressor: %w", err)
	}
	if err := fn(z); err != nil {
		_ = z.Close() // the error before says more
		return err
	}
	return z.Close()
}

// Decompress reads what [Compress] wrote, with bounded memory. Bytes that are
// something else give code Damaged, whatever the decoder calls it; what r itself
// fails with is passed on. The caller closes it.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	source := &failing{r: r}
	z, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxFrame), zstd.WithDecoderMaxMemory(1<<40))
	if err != nil {
		return nil, fmt.Errorf("decompressor: %w", err)
	}
	return &decompressed{ReadCloser: z.IOReadCloser(), source: source}, nil
}

// failing remembers what a reader failed with.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

type decompressed struct {
	io.ReadCloser
	source *failing
}

func (d *decompressed) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	switch {
	case err == nil || err == io.EOF:
	case d.source.err != nil:
		err = d.source.err
	default:
		err = escrow.Wrap(err, escrow.Damaged, "it cannot be decompressed")
	}
	return n, err
}
