package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ShareFormat is the first line of a share text.
const ShareFormat = "holdfast-share/v1"

const (
	shareGroup   = "ristretto255"
	maxShareText = 256 << 10
	checksumLen  = 16 // hexadecimal digits: typing errors only, authenticity comes from the digest
)

// ErrShareChecksum is wrapped when a share text does not match its own
// checksum: somebody changed or mistyped it.
var ErrShareChecksum = errors.New("the text was changed or mistyped: its checksum does not match")

// ShareText is one trustee's secret share of a release identity together
// with everything needed to use it decades later: what it opens, the
// commitments it is checked against and for whom it may be sealed anew.
type ShareText struct {
	Arrangement   string
	Compartment   string
	Epoch         int
	IdentityEpoch int // epoch in which the release identity was made, part of its derivation
	Set           string
	Trustee       string
	Release       string // fingerprint of the release recipient
	Recipients    []ShareRecipient
	Parts         []SharePart
}

// ShareRecipient is one recipient this share may be sealed to.
type ShareRecipient struct {
	Party       string
	Fingerprint string
}

// SharePart is one part of the sharing and, where Index is not 0, the
// trustee's share of it. Every text carries all parts, so that who combines
// knows what is still missing.
type SharePart struct {
	Part
	Index int // 0 when the trustee is not of that class
	Share Bytes32
	Blind Bytes32
}

// Text returns the canonical text, the bytes that are digested, sealed and
// sealed anew verbatim.
func (s *ShareText) Text() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("share text: %w", err)
	}
	var b bytes.Buffer
	line := func(key string, value any) { fmt.Fprintf(&b, "%s: %v\n", key, value) }
	fmt.Fprintln(&b, ShareFormat)
	line("arrangement", s.Arrangement)
	line("compartment", s.Compartment)
	line("epoch", s.Epoch)
	line("identity-epoch", s.IdentityEpoch)
	line("set", s.Set)
	line("trustee", s.Trustee)
	line("release", s.Release)
	for _, r := range s.Recipients {
		line("recipient", r.Party+" "+r.Fingerprint)
	}
	line("group", shareGroup)
	for _, p := range s.Parts {
		line("part", p.Name)
		line("threshold", p.Threshold)
		line("holders", p.Holders)
		for _, c := range p.Commitments {
			line("commitment", c)
		}
		if p.Index > 0 {
			line("index", p.Index)
			line("share", p.Share)
			line("blind", p.Blind)
		}
	}
	line("checksum", Digest(b.Bytes())[:checksumLen])
	return b.Bytes(), nil
}

// ParseShareText reads a share text and returns it with the digest of its
// canonical form. Carriage returns, blanks and tabs at the end of a line, a
// byte order mark, and missing or additional newlines at the end are what
// mail and editors do to a text, and are forgiven; nothing else is. An error
// for a text whose checksum is wrong wraps [ErrShareChecksum] and names the
// trustee and index the text claims to be of.
func ParseShareText(data []byte) (*ShareText, string, error) {
	if len(data) > maxShareText {
		return nil, "", fmt.Errorf("share text: %d bytes, at most %d", len(data), maxShareText)
	}
	lines := shareLines(data)
	if lines[0] != ShareFormat {
		return nil, "", fmt.Errorf("share text: line 1 is not %q", ShareFormat)
	}
	body := strings.Join(lines[:len(lines)-1], "\n") + "\n"
	sum, ok := strings.CutPrefix(lines[len(lines)-1], "checksum: ")
	switch {
	case !ok:
		return nil, "", fmt.Errorf("share text%s: the last line is not the checksum: the text was changed or cut off", claimedHolder(lines))
	case sum != Digest([]byte(body))[:checksumLen]:
		return nil, "", fmt.Errorf("share text%s: %w", claimedHolder(lines), ErrShareChecksum)
	}
	p := shareParser{lines: lines[:len(lines)-1], at: 1}
	s := p.parse()
	if p.err == nil {
		p.err = s.validate()
	}
	if p.err != nil {
		return nil, "", fmt.Errorf("share text%s: %w", claimedHolder(lines), p.err)
	}
	text, err := s.Text()
	if err != nil {
		return nil, "", err
	}
	if string(text) != body+lines[len(lines)-1]+"\n" {
		return nil, "", fmt.Errorf("share text%s: not in its canonical form", claimedHolder(lines))
	}
	return s, Digest(text), nil
}

// shareLines undoes what mail and editors do to a text. It returns at least
// one line.
func shareLines(data []byte) []string {
	text := strings.TrimPrefix(string(data), "\uFEFF")
	text = strings.TrimRight(text, " \t\r\n")
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t\r")
	}
	return lines
}

// claimedHolder reads trustee and index from a text that may be damaged, so
// that the complaint can name whose share it is.
func claimedHolder(lines []string) string {
	trustee, index := "", ""
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, "trustee: "); ok && trustee == "" && IsName(v) {
			trustee = v
		}
		if v, ok := strings.CutPrefix(l, "index: "); ok && index == "" {
			if n, err := strconv.Atoi(v); err == nil && n >= 1 && n <= MaxTrustees {
				index = strconv.Itoa(n)
			}
		}
	}
	switch {
	case trustee != "" && index != "":
		return " of " + trustee + " (number " + index + ")"
	case trustee != "":
		return " of " + trustee
	case index != "":
		return " number " + index
	}
	return ""
}

// shareParser walks the lines in their one order; the first error stays.
type shareParser struct {
	lines []string
	at    int
	err   error
}

func (p *shareParser) parse() *ShareText {
	var s ShareText
	s.Arrangement = p.value("arrangement")
	s.Compartment = p.value("compartment")
	s.Epoch = p.number("epoch")
	s.IdentityEpoch = p.number("identity-epoch")
	s.Set = p.value("set")
	s.Trustee = p.value("trustee")
	s.Release = p.value("release")
	for p.next("recipient") {
		party, print, _ := strings.Cut(p.value("recipient"), " ")
		s.Recipients = append(s.Recipients, ShareRecipient{party, print})
	}
	if g := p.value("group"); p.err == nil && g != shareGroup {
		p.err = fmt.Errorf("group is %.40q, want %q", g, shareGroup)
	}
	for p.next("part") {
		var part SharePart
		part.Name = p.value("part")
		part.Threshold = p.number("threshold")
		part.Holders = p.number("holders")
		for p.next("commitment") {
			part.Commitments = append(part.Commitments, p.bytes("commitment"))
		}
		if p.next("index") {
			part.Index = p.number("index")
			part.Share = p.bytes("share")
			part.Blind = p.bytes("blind")
			if p.err == nil && part.Index == 0 {
				p.err = fmt.Errorf("line %d: index 0 with a share", p.at)
			}
		}
		s.Parts = append(s.Parts, part)
	}
	if p.err == nil && p.at != len(p.lines) {
		p.err = fmt.Errorf("line %d: unexpected line", p.at+1)
	}
	return &s
}

func (p *shareParser) next(key string) bool {
	return p.err == nil && p.at < len(p.lines) && strings.HasPrefix(p.lines[p.at], key+": ")
}

func (p *shareParser) value(key string) string {
	if p.err != nil {
		return ""
	}
	if !p.next(key) {
		p.err = fmt.Errorf("line %d: want %q", p.at+1, key+": …")
		return ""
	}
	v := p.lines[p.at][len(key)+2:]
	p.at++
	return v
}

func (p *shareParser) number(key string) int {
	v := p.value(key)
	n, err := strconv.Atoi(v)
	if p.err == nil && (err != nil || strconv.Itoa(n) != v) {
		p.err = fmt.Errorf("line %d: %s is not a number", p.at, key)
	}
	return n
}

func (p *shareParser) bytes(key string) Bytes32 {
	v := p.value(key)
	if p.err != nil {
		return Bytes32{}
	}
	b, err := ParseBytes32(v)
	if err != nil {
		p.err = fmt.Errorf("line %d: %s is %w", p.at, key, err)
	}
	return b
}

func (s *ShareText) validate() error {
	switch {
	case !IsID(s.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", s.Arrangement)
	case !IsID(s.Compartment):
		return fmt.Errorf("compartment %.80q is not an identifier", s.Compartment)
	case s.Epoch < 1 || s.IdentityEpoch < 1 || s.IdentityEpoch > s.Epoch:
		return fmt.Errorf("epoch %d cannot hold an identity made in epoch %d", s.Epoch, s.IdentityEpoch)
	case !IsDigest(s.Set):
		return fmt.Errorf("set %.80q is not a set id", s.Set)
	case !IsName(s.Trustee):
		return fmt.Errorf("trustee %.80q is not a name", s.Trustee)
	case !IsDigest(s.Release):
		return fmt.Errorf("release %.80q is not a fingerprint", s.Release)
	case len(s.Recipients) == 0 || len(s.Recipients) > MaxKeyRecipient:
		return fmt.Errorf("%d recipients, want 1 to %d", len(s.Recipients), MaxKeyRecipient)
	case len(s.Parts) == 0 || len(s.Parts) > MaxParts:
		return fmt.Errorf("%d parts, want 1 to %d", len(s.Parts), MaxParts)
	}
	for i, r := range s.Recipients {
		switch {
		case !IsName(r.Party) || !IsDigest(r.Fingerprint):
			return fmt.Errorf("recipient %d is not a party and a fingerprint", i+1)
		case i > 0 && !before(s.Recipients[i-1].Party, s.Recipients[i-1].Fingerprint, r.Party, r.Fingerprint):
			return fmt.Errorf("recipient %d is out of order or listed twice", i+1)
		}
	}
	for i, p := range s.Parts {
		switch {
		case i == 0 && p.Name != AllPart, i > 0 && (!IsName(p.Name) || p.Name == AllPart), i > 1 && s.Parts[i-1].Name >= p.Name:
			return fmt.Errorf("part %.80q is not expected in place %d", p.Name, i+1)
		case p.Holders < 1 || p.Holders > MaxTrustees || p.Threshold < 1 || p.Threshold > p.Holders:
			return fmt.Errorf("part %s: threshold %d of %d holders", p.Name, p.Threshold, p.Holders)
		case i == 0 && p.Index == 0:
			return fmt.Errorf("part %s: no share", p.Name)
		case p.Index < 0 || p.Index > p.Holders:
			return fmt.Errorf("part %s: index %d of %d holders", p.Name, p.Index, p.Holders)
		case len(p.Commitments) != p.Threshold:
			return fmt.Errorf("part %s: %d commitments, want %d", p.Name, len(p.Commitments), p.Threshold)
		}
	}
	return nil
}

// Permits reports whether the share may be sealed to the recipient with that
// fingerprint on behalf of party.
func (s *ShareText) Permits(party, fingerprint string) bool {
	for _, r := range s.Recipients {
		if r.Party == party && r.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}
