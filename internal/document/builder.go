package document

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/agreement/quantity"
)

// builder writes the blocks of a document from what its readers may read.
type builder struct {
	phrase.Lang
	v *part.View
	a *agreement.Agreement

	blocks                  []Block
	article, clause, letter int
	expressions             []expression
	err                     error
}

// expression is the exact text of a condition, for the annex.
type expression struct{ about, text string }

func newBuilder(v *part.View, l phrase.Lang) *builder {
	return &builder{Lang: l, v: v, a: v.Agreement}
}

func (b *builder) add(blocks ...Block) { b.blocks = append(b.blocks, blocks...) }

// heading begins a numbered article.
func (b *builder) heading(nl, en string) {
	b.article++
	b.clause, b.letter = 0, 0
	b.add(Block{Kind: Heading, Level: 1, Number: fmt.Sprintf("%d.", b.article), Text: b.Pick(nl, en)})
}

// title begins an unnumbered section.
func (b *builder) title(level int, nl, en string) {
	b.add(Block{Kind: Heading, Level: level, Text: b.Pick(nl, en)})
}

// c adds a numbered clause.
func (b *builder) c(nl, en string, args ...any) { b.clauseText(b.F(nl, en, args...)) }

func (b *builder) clauseText(text string) {
	b.clause++
	b.letter = 0
	b.add(Block{Kind: Clause, Level: 1, Number: fmt.Sprintf("%d.%d", b.article, b.clause), Text: phrase.Sentence(text)})
}

// item adds a lettered item below the last clause.
func (b *builder) item(text string) {
	b.letter++
	b.add(Block{Kind: Clause, Level: 2, Number: letter(b.letter) + ".", Text: text})
}

// items adds a lettered list: semicolons, the conjunction before the last,
// a full stop at the end.
func (b *builder) items(list []string, conjunction string) {
	for i, text := range list {
		text = strings.TrimSuffix(text, ".")
		switch {
		case i == len(list)-1:
			text += "."
		case i == len(list)-2 && conjunction != "":
			text += "; " + conjunction
		default:
			text += ";"
		}
		b.item(text)
	}
}

func letter(n int) string {
	if n <= 26 {
		return string(rune('a' + n - 1))
	}
	return letter((n-1)/26) + letter((n-1)%26+1)
}

func (b *builder) p(nl, en string, args ...any) {
	b.add(Block{Kind: Para, Text: phrase.Sentence(b.F(nl, en, args...))})
}

func (b *builder) bullet(nl, en string, args ...any) { b.bulletText(b.F(nl, en, args...)) }

func (b *builder) bulletText(text string) {
	b.add(Block{Kind: Bullet, Text: phrase.Sentence(text)})
}

func (b *builder) callout(nl, en string, args ...any) {
	b.add(Block{Kind: Callout, Text: phrase.Sentence(b.F(nl, en, args...))})
}

func (b *builder) table(head []string, widths []int, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	t := &Table{Head: head, Widths: widths}
	for _, r := range rows {
		t.Rows = append(t.Rows, Row{Cells: r})
	}
	b.add(Block{Kind: Grid, Table: t})
}

// and is a word that lists end with.
func (b *builder) and() string { return b.Pick("en", "and") }
func (b *builder) or() string  { return b.Pick("of", "or") }

// Party names a party. It is part of phrase.Names.
func (b *builder) Party(id string) string {
	switch id {
	case "curator":
		return b.Pick("de curator", "the insolvency practitioner")
	case "acquirer":
		return b.Pick("de verkrijger", "the acquirer")
	case "self":
		return b.self()
	case "claimant":
		return b.Pick("degene die de Vrijgave heeft ingeroepen", "the party that claimed the Release")
	case "court":
		return b.Pick("de bevoegde rechter", "the competent court")
	case "operator":
		if ids := b.a.WithRole(escrow.Operator); len(ids) > 0 {
			return b.And(b.names(ids))
		}
		return b.Pick("de uitvoerder", "the operator")
	case "beneficiaries":
		return b.Pick("elke begunstigde", "each beneficiary")
	}
	p := b.a.Party(id)
	switch {
	case p == nil:
		return id
	case p.Name == "":
		return b.placeholder(id)
	}
	return p.Name
}

// placeholder stands for a customer that the readers may not learn of.
func (b *builder) placeholder(id string) string {
	n, which := 0, 0
	for _, p := range b.a.Parties {
		if p.Name == "" {
			n++
			if p.ID == id {
				which = n
			}
		}
	}
	if n == 1 {
		return b.Pick("een in haar toetreding aangewezen begunstigde", "a beneficiary designated in its accession")
	}
	return b.F("een in haar toetreding aangewezen begunstigde (%d)", "a beneficiary designated in its accession (%d)", which)
}

// self names the member of a set that a rule is repeated for.
func (b *builder) self() string {
	if b.v.Self != "" {
		return b.Party(b.v.Self)
	}
	return b.Pick("de begunstigde die het betreft", "the beneficiary concerned")
}

func (b *builder) names(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = b.Party(id)
	}
	return out
}

// parties lists parties by name with a conjunction.
func (b *builder) parties(ids []string) string { return b.And(b.names(ids)) }

// Component names a component. It is part of phrase.Names.
func (b *builder) Component(id string) string {
	for _, c := range b.a.Application.Components {
		if c.ID == id && c.Name != "" {
			return c.Name
		}
	}
	return b.F("het onderdeel %s", "the component %s", b.Quote(id))
}

// Licence names a licence. It is part of phrase.Names.
func (b *builder) Licence(id string) string {
	if id == "self" {
		return b.Pick("die het betreft", "concerned")
	}
	return b.Quote(id)
}

// Module names a module. It is part of phrase.Names.
func (b *builder) Module(id string) string {
	for i := range b.a.Modules {
		if base, _ := b.a.Modules[i].Base(); base.ID == id && base.Title != "" {
			return base.Title
		}
	}
	return b.Quote(id)
}

// Service names a business service. It is part of phrase.Names.
func (b *builder) Service(id string) string {
	return b.F("de dienst %s", "the service %s", b.Quote(id))
}

// Fact says what a fact of the agreement's own means. It is part of
// phrase.Names.
func (b *builder) Fact(id string) string {
	for _, f := range b.a.Release.Facts {
		if f.ID == id {
			return strings.TrimSpace(f.Doc)
		}
	}
	return id
}

// compartment names a compartment.
func (b *builder) compartment(id string) string {
	if name, ok := strings.CutSuffix(id, "/self"); ok {
		return b.F("%s (van %s)", "%s (of %s)", b.Quote(name), b.self())
	}
	return b.Quote(id)
}

func (b *builder) compartments(ids []string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = b.compartment(id)
	}
	return b.And(out)
}

// condition puts a condition into words; what cannot be said stops the
// document.
func (b *builder) condition(text string) phrase.Condition {
	c, err := b.Lang.Condition(text, b)
	if err != nil && b.err == nil {
		b.err = err
	}
	return c
}

// moment says when something begins or ends.
func (b *builder) moment(m agreement.Moment) string {
	kind, id, ok := strings.Cut(string(m), "/")
	switch {
	case ok && kind == "event":
		return b.F("zodra grond %s zich voordoet", "as soon as event %s occurs", b.Quote(id))
	case ok:
		return b.F("zodra fase %s in werking treedt", "as soon as stage %s comes into force", b.Quote(id))
	}
	switch m {
	case "release":
		return b.Pick("bij de Vrijgave", "upon the Release")
	case "insolvency":
		return b.Pick("bij insolventie", "upon insolvency")
	}
	return b.Pick("bij ondertekening", "upon signature")
}

// decision says who votes and how many votes it takes.
func (b *builder) decision(d agreement.Decision) string {
	who := b.parties(d.Of)
	if slices.Equal(d.Of, []string{"beneficiaries"}) {
		who = b.Pick("de begunstigden", "the beneficiaries")
	}
	if d.Votes > 0 {
		return b.F("%s gezamenlijk, met ten minste %s van hun stemmen", "%s together, by at least %s of their votes", who, b.Number(int64(d.Votes)))
	}
	return b.F("%s gezamenlijk, bij %s", "%s together, by %s", who, b.W("majority", d.Majority))
}

// optional is a format with a value, or nothing for an absent value.
func (b *builder) period(p quantity.Period, nl, en string) string {
	if p.IsZero() {
		return ""
	}
	return b.F(nl, en, b.Period(p))
}

// sentences joins what is not empty into running text.
func sentences(list ...string) string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, phrase.Sentence(s))
		}
	}
	return strings.Join(out, " ")
}

// clean removes the line breaks of a free text.
func clean(s string) string { return strings.Join(strings.Fields(s), " ") }
