package wire

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"holdfast/internal/intake/git/object"
)

// Listing is what a source says it has.
type Listing struct {
	Version int // of the protocol: 0, 1 or 2
	Format  object.Format

	// Head is the ref HEAD names, also when it does not exist yet. It is ""
	// for a detached HEAD, and where the server does not say: protocols v0 and
	// v1 do not for a branch without commits. HeadOID is what HEAD resolves
	// to, zero for nothing.
	Head    string
	HeadOID object.OID

	Refs    []object.Ref // by name, each once, all legal and able to stand side by side
	Refused []Refused    // names the source has that no repository may hold
}

// Refused is a ref that is not taken.
type Refused struct {
	Name   string // as the server sent it: any bytes
	Reason string
}

// maxRefused bounds the refused names of one source; an honest one has none.
const maxRefused = 10_000

// List asks the source which refs it has. It is called once, first.
func (c *Conn) List() (*Listing, error) {
	l, err := c.list()
	if err != nil {
		return nil, c.fail("listing refs", err)
	}
	return l, nil
}

func (c *Conn) list() (*Listing, error) {
	r, err := c.carrier.greeting()
	if err != nil {
		return nil, err
	}
	p := &lister{packets: NewPacketReader(r), limits: c.limits, listing: new(Listing)}
	kind, first, err := p.next()
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("no answer: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	case kind == Flush:
		// Protocol v0 of an empty repository: no refs, and so no line that
		// would carry capabilities or the object format.
		p.listing.Format = object.SHA1
		return p.listing, nil
	case kind != Data:
		return nil, malformed("the listing begins with a %s packet", kind)
	}
	switch first {
	case "version 2":
		if err := p.commands(&c.caps); err != nil {
			return nil, err
		}
		err = c.listV2(p)
	case "version 1":
		c.caps.version = 1
		kind, first, err = p.next()
		switch {
		case err != nil:
		case kind == Flush:
			p.listing.Format = object.SHA1
		case kind != Data:
			err = malformed("the listing begins with a %s packet", kind)
		default:
			err = p.refsV0(first, &c.caps)
		}
	default:
		err = p.refsV0(first, &c.caps)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	p.listing.Version = c.caps.version
	return p.listing, p.finish()
}

// lister reads a listing.
type lister struct {
	packets *PacketReader
	limits  Limits
	before  int64 // bytes read from earlier answers
	listing *Listing
}

// next returns the next packet as a line of text.
func (p *lister) next() (PacketKind, string, error) {
	kind, data, err := p.packets.Next()
	if err != nil {
		return 0, "", err
	}
	if p.before+p.packets.BytesRead() > p.limits.Advertisement {
		return 0, "", tooMuch("the listing of refs is longer than %d bytes", p.limits.Advertisement)
	}
	if text, ok := strings.CutPrefix(string(data), "ERR "); ok && kind == Data {
		return 0, "", &remoteError{printable(text)}
	}
	return kind, line(data), nil
}

// commands reads the capabilities of a v2 server.
func (p *lister) commands(caps *capabilities) error {
	caps.version = 2
	for {
		kind, text, err := p.next()
		switch {
		case err != nil:
			return err
		case kind == Flush:
			return nil
		case kind != Data:
			return malformed("a %s packet among the capabilities", kind)
		}
		if err := caps.add(text); err != nil {
			return err
		}
	}
}

func (c *Conn) listV2(p *lister) error {
	var err error
	if p.listing.Format, err = c.caps.format(); err != nil {
		return err
	}
	if !c.caps.has("ls-refs") || !c.caps.has("fetch") {
		return malformed("the server speaks protocol v2 without the commands ls-refs and fetch")
	}
	r, err := c.carrier.request(func(w io.Writer) error {
		buf := c.command("ls-refs")
		buf = AppendPacket(buf, "peel\n")
		buf = AppendPacket(buf, "symrefs\n")
		if c.caps.offers("ls-refs", "unborn") {
			buf = AppendPacket(buf, "unborn\n")
		}
		_, err := w.Write(AppendSpecial(buf, Flush))
		return err
	})
	if err != nil {
		return err
	}
	p.before += p.packets.BytesRead()
	p.packets = NewPacketReader(r)
	for {
		kind, text, err := p.next()
		switch {
		case err != nil:
			return err
		case kind == Flush:
			return nil
		case kind != Data:
			return malformed("a %s packet among the refs", kind)
		}
		if err := p.refV2(text); err != nil {
			return err
		}
	}
}

// command begins a v2 request, up to the delimiter behind which its arguments stand.
func (c *Conn) command(name string) []byte {
	buf := AppendPacket(nil, "command=", name, "\n")
	if c.caps.has("agent") {
		buf = AppendPacket(buf, "agent=", strings.ReplaceAll(c.agent, " ", "-"), "\n")
	}
	if f := c.caps.values["object-format"]; len(f) > 0 {
		buf = AppendPacket(buf, "object-format=", f[0], "\n")
	}
	return AppendSpecial(buf, Delim)
}

// refV2 reads "oid name[ symref-target:ref][ peeled:oid]".
func (p *lister) refV2(text string) error {
	id, rest, ok := strings.Cut(text, " ")
	if !ok {
		return malformed("ref line %.200q", text)
	}
	name, attributes, _ := strings.Cut(rest, " ")
	var target string
	var peeled object.OID
	for attributes != "" {
		var word string
		word, attributes, _ = strings.Cut(attributes, " ")
		if t, ok := strings.CutPrefix(word, "symref-target:"); ok && target == "" {
			target = t
		} else if id, ok := strings.CutPrefix(word, "peeled:"); ok && peeled.IsZero() {
			var err error
			if peeled, err = object.ParseOID(p.listing.Format, id); err != nil {
				return malformed("ref %.200q: peeled %v", name, err)
			}
		} else {
			// Nothing else was asked for. A name with a space must not be
			// taken for the shorter name before the space.
			return p.refuse(rest, "holds a space, or words that nobody asked for")
		}
	}
	if id == "unborn" {
		if name == headName {
			p.listing.Head = target
		}
		return nil
	}
	oid, err := object.ParseOID(p.listing.Format, id)
	if err != nil {
		return malformed("ref %.200q: %v", name, err)
	}
	if name == headName {
		p.listing.Head, p.listing.HeadOID = target, oid
		return nil
	}
	return p.ref(object.Ref{Name: name, OID: oid, Peeled: peeled})
}

const headName = "HEAD"

// ref takes one ref, if its name is legal.
func (p *lister) ref(r object.Ref) error {
	if err := object.CheckRefName(r.Name); err != nil {
		return p.refuse(r.Name, err.Error())
	}
	if len(p.listing.Refs) >= p.limits.Refs {
		return tooMuch("the source has more than %d refs", p.limits.Refs)
	}
	r.Name = strings.Clone(r.Name) // the line it stands in is four times as long
	p.listing.Refs = append(p.listing.Refs, r)
	return nil
}

func (p *lister) refuse(name, reason string) error {
	if len(p.listing.Refused) >= maxRefused {
		return tooMuch("the source has more than %d refs with illegal names", maxRefused)
	}
	p.listing.Refused = append(p.listing.Refused, Refused{Name: name, Reason: reason})
	return nil
}

// refsV0 reads the listing of protocols v0 and v1, which differ by one line.
func (p *lister) refsV0(first string, caps *capabilities) error {
	text, list, ok := strings.Cut(first, "\x00")
	if !ok {
		return malformed("the first line of the listing, %.80q, has no capabilities", printable(first))
	}
	for word := range strings.FieldsSeq(list) {
		if err := caps.add(word); err != nil {
			return err
		}
	}
	var err error
	if p.listing.Format, err = caps.format(); err != nil {
		return err
	}
	for _, s := range caps.values["symref"] {
		if from, to, ok := strings.Cut(s, ":"); ok && from == headName {
			p.listing.Head = to
		}
	}
	none := strings.Repeat("0", p.listing.Format.HexSize()) + " capabilities^{}"
	for {
		if text != none {
			if err := p.refV0(text); err != nil {
				return err
			}
		}
		kind, next, err := p.next()
		switch {
		case err != nil:
			return err
		case kind == Flush:
			return nil
		case kind != Data:
			return malformed("a %s packet among the refs", kind)
		}
		text = next
	}
}

// refV0 reads "oid name", and "oid name^{}" behind an annotated tag.
func (p *lister) refV0(text string) error {
	if strings.HasPrefix(text, "shallow ") {
		return ErrShallow
	}
	id, name, ok := strings.Cut(text, " ")
	if !ok {
		return malformed("ref line %.200q", text)
	}
	oid, err := object.ParseOID(p.listing.Format, id)
	if err != nil {
		return malformed("ref %.200q: %v", name, err)
	}
	if name == headName {
		p.listing.HeadOID = oid
		return nil
	}
	if tag, ok := strings.CutSuffix(name, "^{}"); ok {
		// Behind a refused tag the peeled line has nothing to belong to.
		if n := len(p.listing.Refs); n > 0 && p.listing.Refs[n-1].Name == tag {
			p.listing.Refs[n-1].Peeled = oid
		}
		return nil
	}
	return p.ref(object.Ref{Name: name, OID: oid})
}

// finish sorts the refs and refuses what cannot stand together.
func (p *lister) finish() error {
	l := p.listing
	byName := func(a, b object.Ref) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(l.Refs, byName) {
		slices.SortFunc(l.Refs, byName)
	}
	for i := 1; i < len(l.Refs); i++ {
		if l.Refs[i-1].Name == l.Refs[i].Name {
			return malformed("ref %.200q is listed twice", l.Refs[i].Name)
		}
	}
	if err := p.refuseNested(); err != nil {
		return err
	}
	if l.Head != "" {
		if err := object.CheckRefName(l.Head); err != nil {
			if err := p.refuse(l.Head, "is what HEAD names, and "+err.Error()); err != nil {
				return err
			}
			l.Head = ""
		}
	}
	// The server reads HEAD and its branch one after the other: between them
	// somebody can push.
	if i, ok := l.find(l.Head); ok {
		l.HeadOID = l.Refs[i].OID
	}
	return nil
}

func (l *Listing) find(name string) (int, bool) {
	return slices.BinarySearchFunc(l.Refs, name, func(r object.Ref, n string) int { return strings.Compare(r.Name, n) })
}

// refuseNested refuses a ref below another: "a" and "a/b" are a file and a
// directory of one name. A repository cannot have both; a server can say so.
func (p *lister) refuseNested() error {
	refs := p.listing.Refs
	var drop []bool
	for i, r := range refs {
		if i+1 >= len(refs) || !strings.HasPrefix(refs[i+1].Name, r.Name) {
			continue
		}
		below := r.Name + "/"
		for j := sort.Search(len(refs), func(k int) bool { return refs[k].Name >= below }); j < len(refs) && strings.HasPrefix(refs[j].Name, below); j++ {
			if drop == nil {
				drop = make([]bool, len(refs))
			}
			if drop[j] {
				break // and so is all that follows below it
			}
			drop[j] = true
			if err := p.refuse(refs[j].Name, "lies below another ref, "+object.QuoteRef(r.Name)); err != nil {
				return err
			}
		}
	}
	if drop == nil {
		return nil
	}
	kept := refs[:0:0]
	for i, r := range refs {
		if !drop[i] {
			kept = append(kept, r)
		}
	}
	p.listing.Refs = kept
	return nil
}
