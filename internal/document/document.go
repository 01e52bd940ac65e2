// Package document makes the documents of an agreement: the legal text of each
// part, the service level agreement of each customer, and plain-language
// summaries, in Dutch and English, each from the agreement narrowed to what
// its readers may read. Its sub-packages render a document as HTML, PDF and
// text, and compare two versions of an agreement.
//
// It may import escrow and its sub-packages. It does no I/O and keeps no
// state; the same agreement gives the same bytes.
package document

import "holdfast/internal/escrow/agreement/phrase"

// Document is a text as a tree flattened to blocks, in the order they are read.
type Document struct {
	Lang     phrase.Lang
	Title    string
	Subtitle string
	Meta     []Pair // what the head of the document says about it
	Digest   string // SHA-256 of what it was made from
	Running  string // the running title in the foot of a page
	Blocks   []Block
	Changed  bool // it carries change marks
}

// Pair is a label with its value.
type Pair struct{ Label, Value string }

// Kind is what a block is.
type Kind int

// The kinds of block.
const (
	Heading    Kind = iota // Level 1 or 2, Number for a numbered article
	Clause                 // a numbered clause: Level 1 is 3.1, Level 2 is a., Level 3 is (i)
	Para                   // running text
	Bullet                 // an item of an unnumbered list
	Definition             // Term and what it means
	Grid                   // Table
	Sign                   // Signature
	Code                   // an exact expression, line by line
	Callout                // a paragraph that must not be overlooked
)

// Mark says how a block differs from a former version.
type Mark int

// The marks.
const (
	Same Mark = iota
	Added
	Deleted
)

// Block is one element of a document.
type Block struct {
	Kind   Kind
	Level  int
	Number string
	Term   string
	Text   string
	Table  *Table
	Sign   *Signature
	Mark   Mark
}

// Table has rows of as many cells as its head.
type Table struct {
	Head   []string
	Widths []int // relative widths of the columns
	Rows   []Row
}

// Row is a row of a table.
type Row struct {
	Cells []string
	Mark  Mark
}

// Signature is the block in which one party signs.
type Signature struct {
	Party  string
	As     string
	Fields []string // labels of what is filled in
}

// Words returns the block's text as it is read, without marks: what two
// versions are compared by and what every rendering contains.
func (b Block) Words() []string {
	var out []string
	add := func(texts ...string) {
		for _, t := range texts {
			if t != "" {
				out = append(out, t)
			}
		}
	}
	add(b.Number, b.Term, b.Text)
	if b.Table != nil {
		add(b.Table.Head...)
		for _, r := range b.Table.Rows {
			add(r.Cells...)
		}
	}
	if b.Sign != nil {
		add(b.Sign.Party, b.Sign.As)
		add(b.Sign.Fields...)
	}
	return out
}

// Words returns everything the document says, in the order it is read.
func (d *Document) Words() []string {
	out := []string{d.Title}
	if d.Subtitle != "" {
		out = append(out, d.Subtitle)
	}
	for _, m := range d.Meta {
		out = append(out, m.Label, m.Value)
	}
	for _, b := range d.Blocks {
		out = append(out, b.Words()...)
	}
	return out
}
