package document

import (
	"slices"
	"strings"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// Against marks what differs from a former version of the same document:
// blocks and rows that are new or say something else are Added, and what was
// dropped is put back, Deleted, where it stood. Numbers are not compared, so
// that a clause does not count as changed because one before it was taken out.
func Against(now, former *Document) *Document {
	out := *now
	out.Changed = true
	out.Blocks = nil
	for _, step := range script(keys(former.Blocks), keys(now.Blocks)) {
		switch {
		case step.old >= 0 && step.now >= 0:
			out.Blocks = append(out.Blocks, now.Blocks[step.now])
		case step.now >= 0:
			b := now.Blocks[step.now]
			if b.Kind == Grid {
				b.Table = markRows(b.Table, formerTable(former, b.Table))
			} else {
				b.Mark = Added
			}
			out.Blocks = append(out.Blocks, b)
		default:
			b := former.Blocks[step.old]
			if b.Kind == Grid && formerTable(now, b.Table) != nil {
				continue // its rows are marked in the table that took its place
			}
			b.Mark = Deleted
			if b.Kind == Grid {
				b.Table = markRows(&Table{Head: b.Table.Head, Widths: b.Table.Widths}, b.Table)
			}
			out.Blocks = append(out.Blocks, b)
		}
	}
	return &out
}

// formerTable finds the table with the same head in the other version.
func formerTable(d *Document, t *Table) *Table {
	for _, b := range d.Blocks {
		if b.Kind == Grid && slices.Equal(b.Table.Head, t.Head) {
			return b.Table
		}
	}
	return nil
}

// markRows compares two tables with the same columns row by row.
func markRows(now, former *Table) *Table {
	out := &Table{Head: now.Head, Widths: now.Widths}
	var before []Row
	if former != nil {
		before = former.Rows
	}
	key := func(rows []Row) []string {
		list := make([]string, len(rows))
		for i, r := range rows {
			list[i] = strings.Join(r.Cells, "\x1f")
		}
		return list
	}
	for _, step := range script(key(before), key(now.Rows)) {
		switch {
		case step.now < 0:
			out.Rows = append(out.Rows, Row{Cells: before[step.old].Cells, Mark: Deleted})
		case step.old < 0:
			out.Rows = append(out.Rows, Row{Cells: now.Rows[step.now].Cells, Mark: Added})
		default:
			out.Rows = append(out.Rows, now.Rows[step.now])
		}
	}
	return out
}

// keys is what blocks are compared by: everything but their numbers.
func keys(blocks []Block) []string {
	out := make([]string, len(blocks))
	for i, b := range blocks {
		b.Number = ""
		out[i] = string(rune('0'+int(b.Kind))) + strings.Join(b.Words(), "\x1f")
	}
	return out
}

// step is one line of an edit script; -1 is absent.
type step struct{ old, now int }

// script is the shortest edit script between two lists, by their longest
// common subsequence; what was dropped comes before what took its place.
func script(old, now []string) []step {
	n, m := len(old), len(now)
	length := make([][]int, n+1)
	for i := range length {
		length[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if old[i] == now[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []step
	i, j := 0, 0
	for i < n || j < m {
		switch {
		case i < n && j < m && old[i] == now[j]:
			out = append(out, step{i, j})
			i, j = i+1, j+1
		case i < n && (j == m || length[i+1][j] >= length[i][j+1]):
			out = append(out, step{i, -1})
			i++
		default:
			out = append(out, step{-1, j})
			j++
		}
	}
	return out
}

// Wording is a clause that reads differently: Was is empty for one that is
// new, Now for one that was dropped.
type Wording struct {
	Number string `json:"number,omitempty"`
	Was    string `json:"was,omitempty"`
	Now    string `json:"now,omitempty"`
}

// Wordings lists the clauses in which two versions of a document differ, in
// the order they are read.
func Wordings(now, former *Document) []Wording {
	var out []Wording
	var pending []Wording // dropped, waiting for what took their place
	flush := func() { out, pending = append(out, pending...), nil }
	section := ""
	for _, s := range script(keys(flat(former.Blocks)), keys(flat(now.Blocks))) {
		switch {
		case s.old >= 0 && s.now >= 0:
			flush()
			if b := flat(now.Blocks)[s.now]; b.Kind == Heading {
				section = b.Text
			} else if b.Kind == Clause && b.Level == 1 {
				section = b.Number
			}
		case s.now < 0:
			b := flat(former.Blocks)[s.old]
			pending = append(pending, Wording{Number: b.at(section), Was: said(b)})
		default:
			b := flat(now.Blocks)[s.now]
			w := Wording{Number: b.at(section), Now: said(b)}
			if len(pending) > 0 {
				w.Was, pending = pending[0].Was, pending[1:]
			}
			out = append(out, w)
		}
	}
	flush()
	return out
}

// at is where a block stands: its number, or what it stands below.
func (b Block) at(section string) string {
	if b.Number != "" && b.Kind == Clause && b.Level == 1 {
		return b.Number
	}
	return section
}

func said(b Block) string {
	b.Number = ""
	words := b.Words()
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return strings.Join(words, " | ")
}

// flat makes each row of a table a block of its own, and leaves out the annex
// of exact expressions: the clauses say the same in words.
func flat(blocks []Block) []Block {
	var out []Block
	for _, b := range blocks {
		switch b.Kind {
		case Code:
		case Grid:
			for _, r := range b.Table.Rows {
				cells := slices.DeleteFunc(slices.Clone(r.Cells), func(c string) bool { return c == "" })
				out = append(out, Block{Kind: Para, Text: strings.Join(cells, " | ")})
			}
		default:
			out = append(out, b)
		}
	}
	return out
}

// Words gives the words an agreement's own ids and rules are said in, for
// those who compare agreements.
type Words struct{ b *builder }

// NewWords returns the words for the whole of an agreement.
func NewWords(a *agreement.Agreement, l phrase.Lang) *Words {
	return &Words{newBuilder(part.Whole(a), l)}
}

// Parties lists parties by name.
func (w *Words) Parties(ids []string) string { return w.b.parties(ids) }

// Compartment names a compartment.
func (w *Words) Compartment(id string) string { return w.b.compartment(id) }

// Component names a component.
func (w *Words) Component(id string) string { return w.b.Component(id) }

// Condition puts a condition into one clause.
func (w *Words) Condition(text string) string { return w.b.condition(text).Inline(w.b.Lang) }

// Module says what a module is.
func (w *Words) Module(m *agreement.Module) string {
	_, kind := m.Base()
	return w.b.W("module", string(kind)) + ": " + w.b.moduleText(m)
}

// Stage says what a stage does.
func (w *Words) Stage(s agreement.Stage) string { return sentences(w.b.stageText(s)...) }

// Approvals is how many approvals a stage takes.
func (w *Words) Approvals(s agreement.Stage) int { return w.b.approvals(s) }

// Event says the rules of an event besides its condition.
func (w *Words) Event(e agreement.Event) string { return sentences(w.b.eventText(e)...) }
