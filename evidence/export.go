package evidence

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
)

// LedgerFormat names the format of an exported ledger: a header line, then a
// line per entry, each canonical JSON.
const LedgerFormat = "holdfast-ledger/v1"

// ExportHeader is the first line of an export.
type ExportHeader struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
}

// exportLine is the line of an entry; payload and salt are null when closed.
type exportLine struct {
	Commitment string  `json:"commitment"`
	Index      int64   `json:"index"`
	Payload    *string `json:"payload"`
	Salt       *string `json:"salt"`
}

// maxExportLine leaves room for a payload whose every byte is escaped.
const maxExportLine = 6*MaxActPayload + 512

// Line returns the header's line, with its newline.
func (h ExportHeader) Line() ([]byte, error) { return canonicalLine(h) }

// Line returns the line of an export for e, with its newline.
func (e Entry) Line() ([]byte, error) {
	line := exportLine{Commitment: hex.EncodeToString(e.Commitment[:]), Index: e.Index}
	if e.Open() {
		payload, salt := string(e.Payload), hex.EncodeToString(e.Salt)
		line.Payload, line.Salt = &payload, &salt
	}
	return canonicalLine(line)
}

func canonicalLine(v any) ([]byte, error) {
	line, err := Canonical(v)
	if err != nil {
		return nil, err
	}
	return append(line, '\n'), nil
}

// ReadExport reads an export as a stream. The entries can be read once; an
// error ends them and names the line. Nothing is verified; see [VerifyExport].
func ReadExport(r io.Reader) (ExportHeader, iter.Seq2[Entry, error], error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxExportLine)
	lines.Split(wholeLines)
	var h ExportHeader
	if !lines.Scan() {
		return h, nil, fmt.Errorf("export: line 1: %w", endOf(lines))
	}
	if err := ParseCanonical(lines.Bytes(), &h); err != nil {
		return h, nil, fmt.Errorf("export: line 1: %w", err)
	}
	if h.Format != LedgerFormat || !isOrigin(h.Origin) || h.Size < 0 {
		return h, nil, fmt.Errorf("export: line 1: format %q, origin %q, size %d; want %q, a key name and a size", h.Format, h.Origin, h.Size, LedgerFormat)
	}
	return h, func(yield func(Entry, error) bool) {
		for i := range h.Size {
			var e Entry
			var err error
			if lines.Scan() {
				e, err = parseExportLine(lines.Bytes())
			} else {
				err = endOf(lines)
			}
			if err != nil {
				yield(Entry{}, fmt.Errorf("export: line %d: %w", i+2, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if lines.Scan() || lines.Err() != nil {
			yield(Entry{}, fmt.Errorf("export: line %d: there is more than the %d entries of the header", h.Size+2, h.Size))
		}
	}, nil
}

func parseExportLine(data []byte) (Entry, error) {
	var line exportLine
	if err := ParseCanonical(data, &line); err != nil {
		return Entry{}, err
	}
	commitment, err := decodeHex(line.Commitment, len(Entry{}.Commitment))
	if err != nil || line.Index < 0 {
		return Entry{}, fmt.Errorf("index %d or commitment %q is malformed", line.Index, line.Commitment)
	}
	e := Entry{Index: line.Index, Commitment: [32]byte(commitment)}
	if (line.Payload == nil) != (line.Salt == nil) {
		return Entry{}, errors.New("payload and salt must both be there or both be null")
	}
	if line.Payload != nil {
		e.Payload = []byte(*line.Payload)
		if e.Salt, err = decodeHex(*line.Salt, SaltSize); err != nil {
			return Entry{}, fmt.Errorf("salt %w", err)
		}
	}
	return e, nil
}

// decodeHex reads exactly n bytes in lower-case hexadecimal.
func decodeHex(s string, n int) ([]byte, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != n || hex.EncodeToString(raw) != s {
		return nil, fmt.Errorf("%.80q is not %d bytes in lower-case hexadecimal", s, n)
	}
	return raw, nil
}

// wholeLines splits at newlines and nowhere else, and takes no line without one.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

func endOf(lines *bufio.Scanner) error {
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
