package wire

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/internal/intake/git/object"
)

// Fetch asks for a pack with everything that wants reach and haves do not.
// It is called once on a connection, after [Conn.List]. A have is a promise:
// the server leaves out all of its history.
//
// Where the transport takes only so many lines in one request, the last haves
// are left out, which makes the pack larger and never wrong.
//
// An error that wraps [ErrNotOurRef] means that a wanted object is gone since
// the listing.
func (c *Conn) Fetch(wants, haves []object.OID) (*Pack, error) {
	p, err := c.fetch(wants, haves)
	if err != nil {
		return nil, c.fail("fetching", err)
	}
	return p, nil
}

func (c *Conn) fetch(wants, haves []object.OID) (*Pack, error) {
	if len(wants) == 0 || c.reading {
		return nil, errors.New("nothing is wanted, or the pack of this connection was fetched before")
	}
	c.reading = true
	f, err := c.caps.format()
	if err != nil {
		return nil, err
	}
	if room := c.carrier.maxLines(f.HexSize()); room > 0 {
		if len(wants) > room {
			return nil, tooMuch("%d different objects are wanted, one request over HTTP takes %d", len(wants), room)
		}
		haves = haves[:min(len(haves), room-len(wants))]
	}
	p := &Pack{conn: c, format: f, check: newPackCheck(f)}
	p.offered = slices.Clone(haves)
	slices.SortFunc(p.offered, object.OID.Compare)
	if c.caps.version == 2 {
		err = p.startV2(wants, haves)
	} else {
		err = p.startV0(wants, haves)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	p.offered = nil
	slices.SortFunc(p.Common, object.OID.Compare)
	p.Common = slices.Compact(p.Common)
	return p, nil
}

// startV2 does the negotiation in one round, or two. The first goes without
// "done": only the server's acknowledgments tell which of our objects it
// still has, and a server that sees "done" at once does not send them.
func (p *Pack) startV2(wants, haves []object.OID) error {
	done := len(haves) == 0
	for round := 1; round <= 2; round++ {
		r, err := p.conn.carrier.request(p.conn.requestV2(wants, haves, done))
		if err != nil {
			return err
		}
		p.packets = NewPacketReader(r)
		started, err := p.sections()
		if err != nil || started {
			return err
		}
		if done {
			break
		}
		haves, done = p.Common, true
	}
	return malformed("the server sent no pack")
}

func (c *Conn) requestV2(wants, haves []object.OID, done bool) func(io.Writer) error {
	return func(w io.Writer) error {
		buf := c.command("fetch")
		buf = AppendPacket(buf, "ofs-delta\n")
		buf = AppendPacket(buf, "no-progress\n")
		if _, err := w.Write(buf); err != nil {
			return err
		}
		if err := writeIDs(w, "want ", wants); err != nil {
			return err
		}
		if err := writeIDs(w, "have ", haves); err != nil {
			return err
		}
		buf = buf[:0]
		if done {
			buf = AppendPacket(buf, "done\n")
		}
		_, err := w.Write(AppendSpecial(buf, Flush))
		return err
	}
}

func writeIDs(w io.Writer, word string, ids []object.OID) error {
	var buf []byte
	for _, id := range ids {
		buf = AppendPacket(buf[:0], word, id.String(), "\n")
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// text returns the next packet outside the pack.
func (p *Pack) text() (PacketKind, string, error) {
	kind, data, err := p.packets.Next()
	if err != nil {
		return 0, "", err
	}
	if text, ok := strings.CutPrefix(string(data), "ERR "); ok && kind == Data {
		return 0, "", &remoteError{printable(text)}
	}
	return kind, line(data), nil
}

// sections reads up to the pack and reports whether there is one.
func (p *Pack) sections() (bool, error) {
	for {
		kind, text, err := p.text()
		if err != nil {
			return false, err
		}
		if kind != Data {
			return false, malformed("a %s packet instead of a section", kind)
		}
		switch text {
		case "acknowledgments":
			more, err := p.acknowledgments()
			if err != nil || !more {
				return false, err
			}
		case "packfile":
			return true, nil
		case "shallow-info":
			return false, ErrShallow
		default:
			return false, malformed("section %.80q", printable(text))
		}
	}
}

// acknowledgments reports whether another section follows.
func (p *Pack) acknowledgments() (bool, error) {
	for range len(p.offered) + 3 {
		kind, text, err := p.text()
		switch {
		case err != nil:
			return false, err
		case kind == Flush:
			return false, nil
		case kind == Delim:
			return true, nil
		case kind != Data:
			return false, malformed("a %s packet among the acknowledgments", kind)
		case text == "NAK", text == "ready":
			continue
		}
		id, ok := strings.CutPrefix(text, "ACK ")
		if !ok {
			return false, malformed("acknowledgment %.80q", printable(text))
		}
		if err := p.common(id); err != nil {
			return false, err
		}
	}
	return false, tooMuch("more acknowledgments than the %d objects offered", len(p.offered))
}

// common records an object that both sides have.
func (p *Pack) common(id string) error {
	oid, err := object.ParseOID(p.format, id)
	if err != nil {
		return malformed("acknowledgment of %v", err)
	}
	if _, ok := slices.BinarySearchFunc(p.offered, oid, object.OID.Compare); !ok {
		return malformed("the server acknowledges %s, which was not offered", oid)
	}
	p.Common = append(p.Common, oid)
	return nil
}

// startV0 sends everything in one request and reads up to the pack.
func (p *Pack) startV0(wants, haves []object.OID) error {
	caps := &p.conn.caps
	if !caps.has("side-band-64k") {
		return malformed("the server does not offer side-band-64k")
	}
	if !caps.has("multi_ack_detailed") {
		haves = nil // without it nobody says which of them the server has
	}
	words := []string{"side-band-64k"}
	for _, w := range []string{"multi_ack_detailed", "ofs-delta", "no-progress"} {
		if caps.has(w) {
			words = append(words, w)
		}
	}
	if caps.has("object-format") {
		words = append(words, "object-format="+p.format.String())
	}
	if caps.has("agent") {
		words = append(words, "agent="+strings.ReplaceAll(p.conn.agent, " ", "-"))
	}
	r, err := p.conn.carrier.request(func(w io.Writer) error {
		first := AppendPacket(nil, "want ", wants[0].String(), " ", strings.Join(words, " "), "\n")
		if _, err := w.Write(first); err != nil {
			return err
		}
		if err := writeIDs(w, "want ", wants[1:]); err != nil {
			return err
		}
		if _, err := w.Write(AppendSpecial(nil, Flush)); err != nil {
			return err
		}
		if err := writeIDs(w, "have ", haves); err != nil {
			return err
		}
		_, err := w.Write(AppendPacket(nil, "done\n"))
		return err
	})
	if err != nil {
		return err
	}
	p.packets = NewPacketReader(r)
	for range 2*len(p.offered) + 3 {
		kind, text, err := p.text()
		if err != nil {
			return err
		}
		if kind != Data {
			return malformed("a %s packet among the acknowledgments", kind)
		}
		if text == "NAK" {
			return nil
		}
		if strings.HasPrefix(text, "shallow ") || strings.HasPrefix(text, "unshallow ") {
			return ErrShallow
		}
		id, ok := strings.CutPrefix(text, "ACK ")
		if !ok {
			return malformed("acknowledgment %.80q", printable(text))
		}
		id, status, more := strings.Cut(id, " ")
		switch {
		case !more:
			return nil // the last one; it repeats one that came before
		case status == "common":
			if err := p.common(id); err != nil {
				return err
			}
		case status == "ready", status == "continue":
			// The server has enough. It says so of an object that it does
			// not have itself, so this is no acknowledgment.
		default:
			return malformed("acknowledgment %.80q", printable(text))
		}
	}
	return tooMuch("more acknowledgments than the %d objects offered", len(p.offered))
}

// Pack is a pack on its way. It reads as the bytes of the pack and ends with
// io.EOF only when the pack is whole by its own checksum.
type Pack struct {
	// Common are the offered objects that the server has too, sorted. The
	// pack leaves out what they reach, and only that.
	Common []object.OID

	conn    *Conn
	format  object.Format
	offered []object.OID // sorted
	packets *PacketReader
	rest    []byte // of the packet being handed out
	chatter int64
	bytes   int64
	check   *packCheck
	err     error
}

// Objects is the number of objects the pack says it holds, known at its end.
func (p *Pack) Objects() int { return int(p.check.objects) }

// Read implements [io.Reader].
func (p *Pack) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	for len(p.rest) == 0 {
		if p.err = p.nextPacket(); p.err == io.EOF {
			return 0, io.EOF
		} else if p.err != nil {
			p.err = p.conn.fail("receiving the pack", p.err)
			return 0, p.err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// The bands of a packet that carries a pack.
const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

func (p *Pack) nextPacket() error {
	kind, data, err := p.packets.Next()
	switch {
	case err == io.EOF:
		return fmt.Errorf("after %d bytes: %w", p.bytes, io.ErrUnexpectedEOF)
	case err != nil:
		return fmt.Errorf("after %d bytes: %w", p.bytes, err)
	case kind == Flush:
		if err := p.check.finish(); err != nil {
			return err
		}
		return io.EOF
	case kind != Data || len(data) == 0:
		return malformed("a packet without a band in the pack")
	}
	band, data := data[0], data[1:]
	switch {
	case band == bandError:
		return &remoteError{printable(string(data))}
	case band == bandProgress, band == bandData && len(data) == 0:
		if p.chatter += int64(packetHeader + 1 + len(data)); p.chatter > p.conn.limits.Chatter {
			return tooMuch("more than %d bytes of progress messages", p.conn.limits.Chatter)
		}
		return nil
	case band != bandData:
		return malformed("band %d in the pack", band)
	}
	if p.bytes += int64(len(data)); p.bytes > p.conn.limits.Pack {
		return tooMuch("the pack is longer than %d bytes", p.conn.limits.Pack)
	}
	p.rest = data
	return p.check.write(data)
}
