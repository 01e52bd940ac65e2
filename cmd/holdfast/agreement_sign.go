package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/document"
	textdoc "holdfast/internal/document/text"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// maxCopy bounds a signed copy in bytes, as the server does.
const maxCopy = 16 << 20

// reading is embedded by the verbs that read parts.
type reading struct {
	ofVersion
	Agreement string `help:"The agreement's text as you have it: the parts are held against it." type:"existingfile"`
}

// stating is embedded by the verbs with which a person states something about
// parts.
type stating struct {
	reading
	ownKeys
}

// statement makes a signed statement about a part as the server shows it.
func (c *stating) statement(v client.AgreementVersion, p client.Part, now time.Time, fill func(*evidence.PartStatement)) (client.GivenStatement, error) {
	var none client.GivenStatement
	signer, err := c.signer()
	if err != nil {
		return none, err
	}
	card, err := readContact(strings.TrimSuffix(c.Key, identityExt) + contactExt)
	if err != nil {
		return none, err
	}
	st := evidence.PartStatement{Arrangement: c.Arrangement, Agreement: v.Digest, Version: v.Version, Part: p.ID, Digest: p.Digest, Party: card.Party, Person: card.Person, At: evidence.At(now)}
	if v.OfferedAt != nil {
		offered := evidence.At(*v.OfferedAt)
		st.Offered = &offered
	}
	for _, r := range p.RestsOn {
		st.RestsOn = append(st.RestsOn, evidence.NamedPart{Part: r.Part, Digest: r.Digest})
	}
	fill(&st)
	document, err := st.Bytes()
	if err != nil {
		return none, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	signature, err := evidence.Sign(signer, evidence.NamespaceAgreement, document)
	return client.GivenStatement{Document: string(document), Signature: string(signature)}, err
}

// checked returns a part in words. It refuses one whose text is not what its
// digest says, or not what the person has in hand. The words are made here
// from the person's own text where there is one, and by the server otherwise.
func (c *reading) checked(ctx context.Context, s *streams, cl *client.Client, v client.AgreementVersion, p client.Part) (string, error) {
	text, err := cl.PartText(ctx, c.Arrangement, v.Version, p.ID, "")
	if err != nil {
		return "", err
	}
	if text.Digest != p.Digest || evidence.Digest([]byte(text.Canonical)) != p.Digest {
		return "", escrow.Errorf(escrow.Damaged, "the server's text of part %s is not the one it names by digest", p.ID).WithHint("sign nothing; ask the agent")
	}
	if c.Agreement == "" {
		return text.Text, nil
	}
	a, err := loadAgreement(s, c.Agreement)
	if err != nil {
		return "", err
	}
	own, err := part.Of(a, p.ID)
	if err != nil {
		return "", err
	}
	if own.Digest() != p.Digest || a.ID != c.Arrangement {
		return "", escrow.Errorf(escrow.Conflict, "part %s in %s is not the one that is offered", p.ID, c.Agreement).WithHint("compare them with 'holdfast agreement diff'")
	}
	d, err := document.Part(a, p.ID, phrase.Lang(a.Language))
	if err != nil {
		return "", err
	}
	return string(textdoc.Render(d, textWidth(s))), nil
}

type agreementSignCmd struct {
	stating
	Parts     []string `arg:"" optional:"" help:"Parts (default: every part that waits for your party)."`
	DeputyFor string   `help:"You sign because this person cannot."`
	Copy      string   `help:"You signed the part on paper or as a PDF: the copy (PDF, PNG, JPEG or TIFF). Two people of different parties attest it." type:"existingfile"`
	Yes       bool     `help:"You have read the parts: do not show them and do not ask."`
}

func (c *agreementSignCmd) Run(ctx context.Context, s *streams) error {
	card, err := readContact(strings.TrimSuffix(c.Key, identityExt) + contactExt)
	if err != nil {
		return err
	}
	cl, v, err := c.fetch(ctx, s)
	if err != nil {
		return err
	}
	if v.OfferedAt == nil {
		return escrow.Errorf(escrow.Conflict, "version %d of %s is a draft", v.Version, c.Arrangement).WithHint("it is signed once it is offered: 'holdfast agreement offer'")
	}
	var scan []byte
	if c.Copy != "" {
		if len(c.Parts) != 1 {
			return escrow.Errorf(escrow.Invalid, "a signed copy is of one part").WithHint("name the part")
		}
		if scan, err = readFile(c.Copy, maxCopy); err != nil {
			return err
		}
	}
	parts, err := c.mine(v, card.Party)
	if err != nil {
		return err
	}
	given := make([]client.GivenStatement, len(parts))
	names := make([]string, len(parts))
	texts := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.ID
		if texts[i], err = c.checked(ctx, s, cl, v, p); err != nil {
			return err
		}
		if given[i], err = c.statement(v, p, time.Now(), func(st *evidence.PartStatement) {
			st.States, st.DeputyFor = evidence.PartSigned, c.DeputyFor
			if scan != nil {
				st.Copy = evidence.Digest(scan)
			}
		}); err != nil {
			return err
		}
		given[i].Copy = scan
	}
	if err := c.confirm(s, v, parts, texts, card.Party); err != nil {
		return err
	}
	out, err := cl.SignParts(ctx, c.Arrangement, v.Version, given)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(out)
	}
	fmt.Fprintf(s.out, "signed    %s of version %d, for %s\n", strings.Join(names, ", "), out.Version, card.Party)
	return printOpen(s, out, names)
}

// mine picks the parts to sign: those that are named, or those that wait for
// the party.
func (c *agreementSignCmd) mine(v client.AgreementVersion, party string) ([]client.Part, error) {
	var out []client.Part
	for _, p := range v.Parts {
		waits := slices.ContainsFunc(p.Open, func(o client.OpenSignature) bool { return o.Party == party && o.Needs == "" })
		if slices.Contains(c.Parts, p.ID) || len(c.Parts) == 0 && waits {
			out = append(out, p)
		}
	}
	for _, id := range c.Parts {
		if !slices.ContainsFunc(out, func(p client.Part) bool { return p.ID == id }) {
			return nil, escrow.Errorf(escrow.NotFound, "version %d has no part %q for %s", v.Version, id, party).WithHint("'holdfast agreement signatures' lists the parts")
		}
	}
	if len(out) == 0 {
		return nil, escrow.Errorf(escrow.Conflict, "no part of version %d waits for %s", v.Version, party).WithHint("'holdfast agreement signatures' tells what is missing")
	}
	return out, nil
}

// confirm shows what is signed and asks.
func (c *agreementSignCmd) confirm(s *streams, v client.AgreementVersion, parts []client.Part, texts []string, party string) error {
	if c.Yes {
		return nil
	}
	if !s.onTerminal() {
		return escrow.Errorf(escrow.Invalid, "nothing was signed: there is no terminal to show the parts on and ask").WithHint("read them with 'holdfast agreement read PART' and give --yes")
	}
	for i, p := range parts {
		fmt.Fprintf(s.err, "%s\n\n==== part %s of version %d, digest %s ====\n\n", texts[i], p.ID, v.Version, p.Digest)
	}
	fmt.Fprintf(s.err, "You sign the text above for %s. Type sign to do it: ", party)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if strings.TrimSpace(line) != "sign" {
		return escrow.Wrap(err, escrow.Invalid, "nothing was signed")
	}
	return nil
}

// onTerminal reports whether somebody can be asked.
func (s *streams) onTerminal() bool {
	f, ok := s.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

type agreementReadCmd struct {
	reading
	Part string `arg:"" help:"Part."`
}

func (c *agreementReadCmd) Run(ctx context.Context, s *streams) error {
	cl, v, err := c.fetch(ctx, s)
	if err != nil {
		return err
	}
	p, err := partOf(v, c.Part)
	if err != nil {
		return err
	}
	text, err := c.checked(ctx, s, cl, v, p)
	if err != nil {
		return err
	}
	return s.result(map[string]any{"part": p.ID, "version": v.Version, "digest": p.Digest, "text": text}, "%s\npart %s of version %d, digest %s\n", text, p.ID, v.Version, p.Digest)
}

// partOf is a part of the version that its reader sees.
func partOf(v client.AgreementVersion, id string) (client.Part, error) {
	for _, p := range v.Parts {
		if p.ID == id {
			return p, nil
		}
	}
	return client.Part{}, escrow.Errorf(escrow.NotFound, "version %d has no part %q that you read", v.Version, id).WithHint("'holdfast agreement signatures' lists the parts")
}
