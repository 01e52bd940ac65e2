package document

import (
	"regexp"
	"strconv"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// Part writes the legal text of one part, such as frame or accession/acme,
// for exactly those who sign and read it.
func Part(a *agreement.Agreement, id string, l phrase.Lang) (*Document, error) {
	v, err := part.Of(a, id)
	if err != nil {
		return nil, err
	}
	b := newBuilder(v, l)
	p := v.Part
	kind := b.W("part_kind", p.Kind)
	b.partyBlock(p.Parties)
	if p.Kind == "frame" {
		b.involved(p.Parties)
	}
	switch p.Kind {
	case "accession":
		b.accession()
	case "processing":
		b.processing()
	case "host":
		b.hostPart()
	case "sla":
		b.slaPart()
	case "supplement", "annex":
		b.supplement()
	default:
		b.definitions()
	}
	b.content(p)
	if v.Term != nil && p.Kind != "frame" {
		b.term(v.Term)
	}
	if v.Note != "" && p.Kind != "supplement" && p.Kind != "annex" {
		b.heading("Opmerking", "Remark")
		b.clauseText(clean(v.Note))
	}
	b.signatures(p)
	b.annex()
	d := b.document(kind)
	d.Subtitle = title(a)
	if self := v.Self; self != "" {
		d.Subtitle += " · " + b.Party(self)
		if v.Instance != self {
			d.Subtitle += ", " + b.Pick("licentie", "licence") + " " + b.Quote(v.Instance)
		}
	}
	d.Digest = v.Digest()
	d.Running = kind + " · " + d.Subtitle
	d.Meta = append(d.Meta, Pair{b.Pick("Deel", "Part"), p.ID})
	if len(p.RestsOn) > 0 {
		d.Meta = append(d.Meta, Pair{b.Pick("Steunt op", "Rests on"), b.And(p.RestsOn)})
	}
	d.Meta = append(d.Meta, Pair{b.Pick("Versie van de regeling", "Version of the arrangement"), strconv.Itoa(a.Version)}, Pair{b.Pick("Controlesom (SHA-256)", "Digest (SHA-256)"), d.Digest})
	return d, b.finish(d)
}

// SLA writes the service level agreement of one customer as a document of its
// own.
func SLA(a *agreement.Agreement, customer string, l phrase.Lang) (*Document, error) {
	p := a.Party(customer)
	if p == nil || p.Role != agreement.Role(escrow.Beneficiary) {
		return nil, escrow.Errorf(escrow.NotFound, "%q is not a beneficiary of the agreement", customer).
			WithHint("its beneficiaries are %s", strings.Join(a.WithRole(escrow.Beneficiary), ", "))
	}
	v, err := part.For(a, customer)
	if err != nil {
		return nil, err
	}
	b := newBuilder(v, l)
	if len(b.a.SLA) == 0 {
		return nil, escrow.Errorf(escrow.NotFound, "the agreement has no service level that %s reads", p.Name).
			WithHint("add sla, and a part of kind sla that holds it")
	}
	b.slaScope()
	b.serviceLevels()
	b.slaClosing()
	d := b.document(b.W("part_kind", "sla"))
	d.Subtitle = title(a) + " · " + b.Party(customer)
	d.Running = d.Title + " · " + d.Subtitle
	var parts []string
	for _, inst := range a.Expand().Parts {
		if inst.Kind == "sla" && a.Self(inst.Instance) == customer {
			w, err := part.Of(a, inst.ID)
			if err != nil {
				return nil, err
			}
			parts, d.Digest = append(parts, inst.ID), w.Digest()
		}
	}
	if d.Digest == "" {
		if d.Digest, err = v.ContentDigest(); err != nil {
			return nil, err
		}
	} else {
		d.Meta = append(d.Meta, Pair{b.Pick("Deel", "Part"), b.And(parts)})
	}
	d.Meta = append(d.Meta, Pair{b.Pick("Versie van de regeling", "Version of the arrangement"), strconv.Itoa(a.Version)}, Pair{b.Pick("Controlesom (SHA-256)", "Digest (SHA-256)"), d.Digest})
	return d, b.finish(d)
}

func title(a *agreement.Agreement) string {
	if a.Title != "" {
		return a.Title
	}
	return a.Application.Name
}

// document takes the blocks into a document.
func (b *builder) document(title string) *Document {
	return &Document{Lang: b.Lang, Title: title, Blocks: b.blocks}
}

// finish refuses a document that could not be put into words, or that names
// what its readers may not know: a free text can do that, and no rendering
// may.
func (b *builder) finish(d *Document) error {
	d.Blocks = b.blocks
	curl(d)
	if b.err != nil {
		return b.err
	}
	all := strings.Join(d.Words(), "\n")
	for _, secret := range b.v.Hidden() {
		if regexp.MustCompile(`(^|[^\pL\pN])` + regexp.QuoteMeta(curled(secret)) + `($|[^\pL\pN])`).MatchString(all) {
			return escrow.Errorf(escrow.Invalid, "a text in %q names %q, which a reader of it may not know", d.Title, secret).
				WithHint("change the free text that says so, or let the readers of the part know the party")
		}
	}
	return nil
}

// curl puts the apostrophe of print in the place of the typewriter's, except
// in exact expressions.
func curl(d *Document) {
	d.Title, d.Subtitle, d.Running = curled(d.Title), curled(d.Subtitle), curled(d.Running)
	for i := range d.Meta {
		d.Meta[i].Value = curled(d.Meta[i].Value)
	}
	for i := range d.Blocks {
		b := &d.Blocks[i]
		if b.Kind != Code {
			b.Text, b.Term = curled(b.Text), curled(b.Term)
		}
		if b.Table != nil {
			for _, r := range b.Table.Rows {
				for j := range r.Cells {
					r.Cells[j] = curled(r.Cells[j])
				}
			}
		}
		if b.Sign != nil {
			b.Sign.Party = curled(b.Sign.Party)
		}
	}
}

func curled(s string) string { return strings.ReplaceAll(s, "'", "’") }

// content writes every article that the part holds, in the order of a
// contract. What it does not hold is not there to write.
func (b *builder) content(p agreement.PartInstance) {
	whole := p.Kind == "frame" || p.Kind == "accession"
	if whole {
		b.application()
		b.term(b.a.Term)
	}
	b.modules()
	b.keys()
	b.rights()
	b.hosting()
	b.licences()
	b.serviceLevels()
	b.stages()
	b.events()
	b.procedure()
	b.useTerms()
	b.money()
	b.changes()
	if whole {
		b.operators()
		b.authority()
	}
	b.clauses(func(string) bool { return true })
	if p.Kind == "frame" || p.Kind == "accession" {
		b.regimes()
		b.limits()
		b.legal()
	} else if p.Kind != "annex" {
		b.legal()
	}
}

// limits says what the arrangement is not.
func (b *builder) limits() {
	b.heading("Wat deze regeling niet is", "What this arrangement is not")
	b.c("Deze regeling is geen back-up: zij vervangt de reservekopieën van partijen niet.", "This arrangement is not a back-up: it does not replace the parties' own back-up copies.")
	b.c("Deze regeling is geen uitwijk en geen garantie van beschikbaarheid.", "This arrangement is neither redundancy nor a guarantee of availability.")
	b.c("Sleutelbewaarders die in voldoende aantal samen met een ontvanger tegen deze overeenkomst handelen, kunnen een Compartiment buiten het systeem om openen. Daarop ziet hun keuze en hun aansprakelijkheid, niet de techniek.",
		"Key holders who, in sufficient number and together with a recipient, act against this agreement can open a Compartment outside the system. Their choice and their liability guard against that; the technology does not.")
}
