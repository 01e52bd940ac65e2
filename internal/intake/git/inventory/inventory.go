// Package inventory holds the first line of a Git deposit: which refs the
// source had, where its HEAD stood, and what changed since the deposit
// before. A restore proves with it that it has the exact list.
//
// The format is holdfast-git/v1: one line of canonical JSON, a line feed, and
// after it the Git bundle. The package depends on evidence, escrow and object
// only and does no I/O beyond reading that line.
package inventory

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
)

// Format names the format of the line.
const Format = "holdfast-git/v1"

// MaxLine bounds the line: about 600,000 refs with names of usual length.
const MaxLine = 64 << 20

// Inventory says which refs a deposit stands for.
//
// Head is the ref that HEAD names, also when that ref does not exist (a
// branch without commits); it is "" when HEAD is detached or the source did
// not say. HeadOID is what HEAD resolves to, zero when it resolves to nothing.
type Inventory struct {
	ObjectFormat object.Format
	Kind         escrow.DepositKind
	Previous     string // Incremental: the RefsDigest of the predecessor
	Head         string
	HeadOID      object.OID
	Refs         []object.Ref // Full: all; Incremental: new or changed; by name; Peeled is not kept
	Deleted      []string     // Incremental: refs gone since the predecessor; by name
	Count        int          // refs after applying
	RefsDigest   string       // RefsDigest of the list after applying
}

// line is the form in the file. Ref names are quoted by [object.QuoteRef],
// since JSON has no place for a name that is not UTF-8.
type line struct {
	Format       string             `json:"format"`
	ObjectFormat string             `json:"object_format"`
	Kind         escrow.DepositKind `json:"kind"`
	Previous     string             `json:"previous,omitempty"`
	Head         string             `json:"head,omitempty"`
	HeadOID      string             `json:"head_oid,omitempty"`
	Refs         []string           `json:"refs,omitempty"` // "oid name"
	Deleted      []string           `json:"deleted,omitempty"`
	Count        int                `json:"count"`
	RefsDigest   string             `json:"refs_digest"`
}

// NewFull describes a deposit that holds all of refs, which need not be
// sorted.
func NewFull(f object.Format, head string, headOID object.OID, refs []object.Ref) (*Inventory, error) {
	sorted := Sorted(refs)
	inv := &Inventory{ObjectFormat: f, Kind: escrow.FullDeposit, Head: head, HeadOID: headOID, Refs: sorted, Count: len(sorted), RefsDigest: RefsDigest(sorted)}
	return inv, inv.check()
}

// NewIncremental describes a deposit whose refs are those of previous with
// what changed since. Neither list need be sorted.
func NewIncremental(f object.Format, head string, headOID object.OID, previous, refs []object.Ref) (*Inventory, error) {
	before, after := Sorted(previous), Sorted(refs)
	inv := &Inventory{
		ObjectFormat: f, Kind: escrow.IncrementalDeposit, Previous: RefsDigest(before), Head: head, HeadOID: headOID,
		Count: len(after), RefsDigest: RefsDigest(after),
	}
	old := make(map[string]object.OID, len(before))
	for _, r := range before {
		old[r.Name] = r.OID
	}
	for _, r := range after {
		if oid, ok := old[r.Name]; !ok || oid != r.OID {
			inv.Refs = append(inv.Refs, object.Ref{Name: r.Name, OID: r.OID})
		}
		delete(old, r.Name)
	}
	for _, r := range before {
		if _, gone := old[r.Name]; gone {
			inv.Deleted = append(inv.Deleted, r.Name)
		}
	}
	return inv, inv.check()
}

// Sorted returns a copy of refs in the order of their names' bytes.
func Sorted(refs []object.Ref) []object.Ref {
	sorted := slices.Clone(refs)
	slices.SortFunc(sorted, func(a, b object.Ref) int { return strings.Compare(a.Name, b.Name) })
	return sorted
}

// RefsDigest is the SHA-256 of "oid name\n" for each ref, which must be
// sorted by name. Stock tools print the same:
//
//	git for-each-ref --format='%(objectname) %(refname)' | sha256sum
func RefsDigest(sorted []object.Ref) string {
	h := sha256.New()
	var buf []byte
	for _, r := range sorted {
		buf = append(append(append(r.OID.AppendHex(buf[:0]), ' '), r.Name...), '\n')
		h.Write(buf)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ErrChain is wrapped when an incremental inventory is applied to another
// list than the one it was made from.
var ErrChain = errors.New("does not follow the deposit before it")

// Apply returns the complete list of refs after this deposit, sorted by name.
// previous is the list after the predecessor; a Full inventory ignores it.
// It fails where the result is not the list the inventory was made from.
func (inv *Inventory) Apply(previous []object.Ref) ([]object.Ref, error) {
	if err := inv.check(); err != nil {
		return nil, err
	}
	if inv.Kind == escrow.FullDeposit {
		return slices.Clone(inv.Refs), nil
	}
	before := Sorted(previous)
	if got := RefsDigest(before); got != inv.Previous {
		return nil, fmt.Errorf("inventory %w: it was made from refs with digest %s, not %s", ErrChain, inv.Previous, got)
	}
	gone := make(map[string]bool, len(inv.Deleted))
	for _, name := range inv.Deleted {
		gone[name] = true
	}
	after := make([]object.Ref, 0, len(before)+len(inv.Refs))
	changed := inv.Refs
	for _, r := range before {
		for len(changed) > 0 && changed[0].Name < r.Name {
			after, changed = append(after, changed[0]), changed[1:]
		}
		switch {
		case len(changed) > 0 && changed[0].Name == r.Name:
			after, changed = append(after, changed[0]), changed[1:]
		case gone[r.Name]:
			delete(gone, r.Name)
		default:
			after = append(after, object.Ref{Name: r.Name, OID: r.OID})
		}
	}
	after = append(after, changed...)
	if len(gone) > 0 {
		return nil, fmt.Errorf("inventory: deletes %d refs that were not there", len(gone))
	}
	if got := RefsDigest(after); len(after) != inv.Count || got != inv.RefsDigest {
		return nil, fmt.Errorf("inventory: %d refs with digest %s after applying, it says %d with %s", len(after), got, inv.Count, inv.RefsDigest)
	}
	return after, nil
}

// Line returns the canonical bytes, without the line feed that follows them
// in a deposit.
func (inv *Inventory) Line() ([]byte, error) {
	if err := inv.check(); err != nil {
		return nil, err
	}
	l := line{
		Format: Format, ObjectFormat: inv.ObjectFormat.String(), Kind: inv.Kind, Previous: inv.Previous,
		Head: object.QuoteRef(inv.Head), HeadOID: inv.HeadOID.String(), Count: inv.Count, RefsDigest: inv.RefsDigest,
	}
	small, err := evidence.Canonical(l)
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	// The two lists are put in one string at a time: as a whole, 100,000 refs
	// would take the canonical encoder over a hundred megabytes. "deleted"
	// belongs before the first "format", "refs" before the last key.
	format, last := bytes.Index(small, []byte(`"format":`)), bytes.LastIndex(small, []byte(`"refs_digest":`))
	data := make([]byte, 0, len(small)+len(inv.Refs)*(inv.ObjectFormat.HexSize()+40)+len(inv.Deleted)*40)
	data = append(data, small[:format]...)
	if data, err = appendList(data, "deleted", len(inv.Deleted), func(i int) string { return object.QuoteRef(inv.Deleted[i]) }); err != nil {
		return nil, err
	}
	data = append(data, small[format:last]...)
	if data, err = appendList(data, "refs", len(inv.Refs), func(i int) string {
		return inv.Refs[i].OID.String() + " " + object.QuoteRef(inv.Refs[i].Name)
	}); err != nil {
		return nil, err
	}
	data = append(data, small[last:]...)
	if len(data) > MaxLine {
		return nil, fmt.Errorf("inventory: %d refs need %d bytes, more than %d", len(inv.Refs), len(data), MaxLine)
	}
	return data, nil
}

// appendList appends a key and a list of n strings, nothing when n is 0.
func appendList(dst []byte, key string, n int, text func(int) string) ([]byte, error) {
	if n == 0 {
		return dst, nil
	}
	dst = append(append(append(dst, '"'), key...), `":`...)
	sep := byte('[')
	for i := range n {
		item := text(i)
		dst, sep = append(dst, sep), ','
		// A quoted name is valid UTF-8 without control characters, so that
		// these two are all that JSON would escape.
		if !strings.ContainsAny(item, `"\`) {
			dst = append(append(append(dst, '"'), item...), '"')
			continue
		}
		escaped, err := evidence.Canonical(item)
		if err != nil {
			return nil, fmt.Errorf("inventory: %s[%d]: %w", key, i, err)
		}
		dst = append(dst, escaped...)
	}
	return append(dst, `],`...), nil
}

// Parse reads what [Inventory.Line] wrote and nothing else: canonical bytes,
// legal ref names in order and once, and counts that fit.
func Parse(data []byte) (*Inventory, error) {
	if len(data) > MaxLine {
		return nil, fmt.Errorf("inventory: longer than %d bytes", MaxLine)
	}
	var l line
	if err := evidence.ParseCanonical(data, &l); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	if l.Format != Format {
		return nil, fmt.Errorf("inventory: format is %.40q, want %q", l.Format, Format)
	}
	f, err := object.ParseFormat(l.ObjectFormat)
	if err != nil {
		return nil, fmt.Errorf("inventory: %v", err)
	}
	inv := &Inventory{ObjectFormat: f, Kind: l.Kind, Previous: l.Previous, Count: l.Count, RefsDigest: l.RefsDigest}
	if inv.Head, err = object.UnquoteRef(l.Head); err != nil {
		return nil, fmt.Errorf("inventory: head: %v", err)
	}
	if l.HeadOID != "" {
		if inv.HeadOID, err = object.ParseOID(f, l.HeadOID); err != nil {
			return nil, fmt.Errorf("inventory: head_oid: %v", err)
		}
	}
	inv.Refs = make([]object.Ref, len(l.Refs))
	for i, text := range l.Refs {
		hexID, quoted, _ := strings.Cut(text, " ")
		if inv.Refs[i].OID, err = object.ParseOID(f, hexID); err != nil {
			return nil, fmt.Errorf("inventory: refs[%d]: %v", i, err)
		}
		if inv.Refs[i].Name, err = object.UnquoteRef(quoted); err != nil {
			return nil, fmt.Errorf("inventory: refs[%d]: %v", i, err)
		}
	}
	inv.Deleted = make([]string, len(l.Deleted))
	for i, quoted := range l.Deleted {
		if inv.Deleted[i], err = object.UnquoteRef(quoted); err != nil {
			return nil, fmt.Errorf("inventory: deleted[%d]: %v", i, err)
		}
	}
	return inv, inv.check()
}

// Read takes the inventory and its line feed off the front of a deposit's
// plaintext and leaves r at the bundle.
func Read(r *bufio.Reader) (*Inventory, error) {
	var data []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(data)+len(part) > MaxLine+1 {
			return nil, fmt.Errorf("inventory: longer than %d bytes", MaxLine)
		}
		data = append(data, part...)
		switch {
		case err == nil:
			return Parse(bytes.TrimSuffix(data, []byte("\n")))
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("inventory: no line feed after %d bytes: %w", len(data), io.ErrUnexpectedEOF)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("inventory: %w", err)
		}
	}
}

func (inv *Inventory) check() error {
	full := inv.Kind == escrow.FullDeposit
	switch {
	case inv.ObjectFormat.Size() == 0:
		return errors.New("inventory: no object format")
	case !full && inv.Kind != escrow.IncrementalDeposit:
		return fmt.Errorf("inventory: kind %.40q is neither %s nor %s", inv.Kind, escrow.FullDeposit, escrow.IncrementalDeposit)
	case full && (inv.Previous != "" || len(inv.Deleted) > 0):
		return fmt.Errorf("inventory: a %s one has no predecessor and deletes nothing", escrow.FullDeposit)
	case !full && !evidence.IsDigest(inv.Previous):
		return fmt.Errorf("inventory: previous %.80q is not a digest", inv.Previous)
	case !evidence.IsDigest(inv.RefsDigest):
		return fmt.Errorf("inventory: refs_digest %.80q is not a digest", inv.RefsDigest)
	case !inv.HeadOID.IsZero() && inv.HeadOID.Format() != inv.ObjectFormat:
		return fmt.Errorf("inventory: head_oid is not a %s id", inv.ObjectFormat)
	case inv.Count < len(inv.Refs):
		return fmt.Errorf("inventory: lists %d refs and counts %d", len(inv.Refs), inv.Count)
	}
	if inv.Head != "" {
		if err := object.CheckRefName(inv.Head); err != nil {
			return fmt.Errorf("inventory: head %.200q %v", inv.Head, err)
		}
	}
	for i, r := range inv.Refs {
		if err := object.CheckRefName(r.Name); err != nil {
			return fmt.Errorf("inventory: ref %.200q %v", r.Name, err)
		}
		if r.OID.IsZero() || r.OID.Format() != inv.ObjectFormat {
			return fmt.Errorf("inventory: ref %.200q has no %s id", r.Name, inv.ObjectFormat)
		}
		if i > 0 && inv.Refs[i-1].Name >= r.Name {
			return fmt.Errorf("inventory: ref %.200q is listed twice or out of order", r.Name)
		}
		if r.Name == inv.Head && r.OID != inv.HeadOID {
			return fmt.Errorf("inventory: HEAD is %.200q but at another id", r.Name)
		}
	}
	for i, name := range inv.Deleted {
		if err := object.CheckRefName(name); err != nil {
			return fmt.Errorf("inventory: deleted ref %.200q %v", name, err)
		}
		if i > 0 && inv.Deleted[i-1] >= name {
			return fmt.Errorf("inventory: deleted ref %.200q is listed twice or out of order", name)
		}
		if _, also := slices.BinarySearchFunc(inv.Refs, name, func(r object.Ref, n string) int { return strings.Compare(r.Name, n) }); also {
			return fmt.Errorf("inventory: ref %.200q is both listed and deleted", name)
		}
	}
	if full && (inv.Count != len(inv.Refs) || RefsDigest(inv.Refs) != inv.RefsDigest) {
		return fmt.Errorf("inventory: the %d refs listed are not the %d with digest %s it stands for", len(inv.Refs), inv.Count, inv.RefsDigest)
	}
	return nil
}
