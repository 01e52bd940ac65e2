// Package inflate decodes a zlib stream that lies in memory into a buffer of
// known size: a pack is hundreds of thousands of such streams, each with its
// size declared beforehand. The decoder underneath is klauspost/compress; what
// is added is the bookkeeping of a pack: how much of the source a stream takes,
// and which of the ways to be wrong it is. It does no I/O.
package inflate

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// What [Decoder.Decode] can find wrong. ErrShort also comes when src is
// simply cut too early: the caller may try again with more of the stream.
var (
	ErrShort    = errors.New("zlib stream goes on after the end of the data")
	ErrHeader   = errors.New("not a zlib stream")
	ErrCorrupt  = errors.New("zlib stream is damaged")
	ErrSize     = errors.New("zlib stream does not inflate to the declared size")
	ErrChecksum = errors.New("zlib stream's checksum does not match")
)

// Decoder may be used again and again, by one goroutine at a time. The zero
// Decoder is ready; it takes about 45 kB once it has been used.
type Decoder struct {
	src    bytes.Reader // a ByteReader, so that no byte behind the stream is taken
	stream io.ReadCloser
	extra  [1]byte
}

// Decode inflates the zlib stream at the beginning of src to fill dst exactly,
// and returns how many bytes of src the stream takes. It never reads beyond
// src nor writes beyond dst.
func (d *Decoder) Decode(dst, src []byte) (int, error) {
	if len(src) > 1 && src[1]&presetDictionary != 0 {
		return 0, ErrHeader // Git writes none
	}
	d.src.Reset(src)
	if err := d.begin(); err != nil {
		return 0, explain(err)
	}
	for n := 0; n < len(dst); {
		m, err := d.stream.Read(dst[n:])
		n += m
		if err == io.EOF && n < len(dst) { // the stream is whole, and too small
			return 0, ErrSize
		}
		if err != nil && err != io.EOF {
			return 0, explain(err)
		}
	}
	// The end has to be read, or the checksum is never compared.
	switch n, err := d.stream.Read(d.extra[:]); {
	case n > 0:
		return 0, ErrSize
	case err != io.EOF:
		return 0, explain(err)
	}
	return len(src) - d.src.Len(), nil
}

// presetDictionary is the bit of a zlib header that announces one.
const presetDictionary = 1 << 5

func (d *Decoder) begin() error {
	if d.stream != nil {
		return d.stream.(zlib.Resetter).Reset(&d.src, nil)
	}
	stream, err := zlib.NewReader(&d.src)
	if err != nil {
		return err
	}
	d.stream = stream
	return nil
}

func explain(err error) error {
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return ErrShort
	case errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrDictionary):
		return ErrHeader
	case errors.Is(err, zlib.ErrChecksum):
		return ErrChecksum
	}
	return fmt.Errorf("%w: %v", ErrCorrupt, err)
}
