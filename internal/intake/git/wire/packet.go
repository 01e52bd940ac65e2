package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// PacketKind tells a packet with data from the special ones.
type PacketKind int

// The packets of Git's pkt-line format: "0000", "0001", "0002", and data.
const (
	Flush PacketKind = iota
	Delim
	ResponseEnd
	Data
)

func (k PacketKind) String() string {
	switch k {
	case Flush:
		return "flush"
	case Delim:
		return "delimiter"
	case ResponseEnd:
		return "response end"
	}
	return "data"
}

// MaxPacketData is the most data one packet holds, in bytes.
const MaxPacketData = 65516

const packetHeader = 4

// errPacket is wrapped by every complaint about the form of a packet.
var errPacket = errors.New("malformed packet")

// PacketReader reads pkt-lines. It buffers nothing beyond the packet it
// returned, so what follows in the stream can be read by somebody else.
type PacketReader struct {
	r    io.Reader
	buf  []byte
	read int64
}

// NewPacketReader reads packets from r.
func NewPacketReader(r io.Reader) *PacketReader { return &PacketReader{r: r} }

// Next returns the next packet. Its data is valid until the next call. At the
// end of the stream between packets it returns io.EOF, within one
// io.ErrUnexpectedEOF.
func (p *PacketReader) Next() (PacketKind, []byte, error) {
	var head [packetHeader]byte
	n, err := io.ReadFull(p.r, head[:])
	p.read += int64(n)
	if err != nil {
		return 0, nil, err
	}
	size := 0
	for _, c := range head {
		d := hexDigit(c)
		if d < 0 {
			return 0, nil, fmt.Errorf("%w: length %q", errPacket, head[:])
		}
		size = size<<4 | d
	}
	switch {
	case size < packetHeader-1:
		return PacketKind(size), nil, nil
	case size < packetHeader || size > packetHeader+MaxPacketData:
		return 0, nil, fmt.Errorf("%w: length %q", errPacket, head[:])
	}
	size -= packetHeader
	if cap(p.buf) < size {
		p.buf = make([]byte, max(size, 1024))
	}
	data := p.buf[:size]
	n, err = io.ReadFull(p.r, data)
	p.read += int64(n)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return Data, data, nil
}

// BytesRead counts the bytes taken from the stream so far.
func (p *PacketReader) BytesRead() int64 { return p.read }

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// AppendPacket appends one data packet to dst. It panics when data is longer
// than [MaxPacketData]: no caller sends anything that long.
func AppendPacket(dst []byte, data ...string) []byte {
	size := packetHeader
	for _, d := range data {
		size += len(d)
	}
	if size > packetHeader+MaxPacketData {
		panic("wire: packet of " + strconv.Itoa(size) + " bytes")
	}
	const digits = "0123456789abcdef"
	dst = append(dst, digits[size>>12&15], digits[size>>8&15], digits[size>>4&15], digits[size&15])
	for _, d := range data {
		dst = append(dst, d...)
	}
	return dst
}

// AppendSpecial appends a flush, delimiter or response-end packet to dst.
func AppendSpecial(dst []byte, kind PacketKind) []byte {
	return append(dst, '0', '0', '0', '0'+byte(kind))
}

// line takes the line feed off a packet that holds text; Git allows it to be
// there or not.
func line(data []byte) string { return string(bytes.TrimSuffix(data, []byte("\n"))) }
