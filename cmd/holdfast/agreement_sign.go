package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/part"
)

// maxCopy bounds a signed copy in bytes, as the server does.
const maxCopy = 16 << 20

type agreementDraftCmd struct {
	scoped
	File string `arg:"" help:"The agreement; - reads standard input."`
}

func (c *agreementDraftCmd) Run(ctx context.Context, s *streams) error {
	source, err := readText(s, c.File)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.DraftAgreement(ctx, c.Arrangement, source)
	if err != nil {
		return err
	}
	return s.result(v, "drafted   version %d of %s\n  digest    %s\n", v.Version, c.Arrangement, v.Digest)
}

// ofVersion is embedded by the verbs about one version.
type ofVersion struct {
	scoped
	Version int `help:"Version (default: the latest that came in)."`
}

type agreementOfferCmd struct {
	ofVersion
	Days int `help:"For how many days it can be signed." default:"30"`
}

func (c *agreementOfferCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.OfferAgreement(ctx, c.Arrangement, c.Version, time.Now().AddDate(0, 0, c.Days).UTC().Format(time.RFC3339))
	if err != nil {
		return err
	}
	return s.result(v, "offered   version %d of %s, to be signed until %s\n", v.Version, c.Arrangement, v.ExpiresAt.Format("2006-01-02 15:04 UTC"))
}

type agreementWithdrawCmd struct {
	ofVersion
	Reason string `required:"" help:"Why, for the record."`
}

func (c *agreementWithdrawCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.WithdrawAgreement(ctx, c.Arrangement, c.Version, c.Reason)
	if err != nil {
		return err
	}
	return s.result(v, "withdrawn version %d of %s\n", v.Version, c.Arrangement)
}

type agreementRefuseCmd struct {
	ofVersion
	Reason string `required:"" help:"Why, for the record: the other parties read it."`
}

func (c *agreementRefuseCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.RefuseAgreement(ctx, c.Arrangement, c.Version, c.Reason)
	if err != nil {
		return err
	}
	return s.result(v, "refused   version %d of %s: the offer has ended\n", v.Version, c.Arrangement)
}

// stating is embedded by the verbs with which a person states something about
// parts.
type stating struct {
	ofVersion
	ownKeys
	Agreement string `help:"The agreement's text as you have it: the parts are held against it." type:"existingfile"`
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

// checked refuses a part whose text is not what its digest says, or not what
// the person has in hand.
func (c *stating) checked(ctx context.Context, s *streams, cl *client.Client, v client.AgreementVersion, p client.Part) error {
	text, err := cl.PartText(ctx, c.Arrangement, v.Version, p.ID, "")
	if err != nil {
		return err
	}
	if text.Digest != p.Digest || evidence.Digest([]byte(text.Canonical)) != p.Digest {
		return escrow.Errorf(escrow.Damaged, "the server's text of part %s is not the one it names by digest", p.ID).WithHint("sign nothing; ask the agent")
	}
	if c.Agreement == "" {
		return nil
	}
	a, err := loadAgreement(s, c.Agreement)
	if err != nil {
		return err
	}
	own, err := part.Of(a, p.ID)
	if err != nil {
		return err
	}
	if own.Digest() != p.Digest || a.ID != c.Arrangement {
		return escrow.Errorf(escrow.Conflict, "part %s in %s is not the one that is offered", p.ID, c.Agreement).WithHint("compare them with 'holdfast agreement diff'")
	}
	return nil
}

type agreementSignCmd struct {
	stating
	Parts     []string `arg:"" optional:"" help:"Parts (default: every part that waits for your party)."`
	DeputyFor string   `help:"You sign because this person cannot."`
	Copy      string   `help:"You signed the part on paper or as a PDF: the copy (PDF, PNG, JPEG or TIFF). Two people of different parties attest it." type:"existingfile"`
}

func (c *agreementSignCmd) Run(ctx context.Context, s *streams) error {
	card, err := readContact(strings.TrimSuffix(c.Key, identityExt) + contactExt)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.AgreementVersion(ctx, c.Arrangement, c.Version)
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
	var given []client.GivenStatement
	var names []string
	for _, p := range v.Parts {
		waits := slices.ContainsFunc(p.Open, func(o client.OpenSignature) bool { return o.Party == card.Party && o.Needs == "" })
		if named := slices.Contains(c.Parts, p.ID); !named && (len(c.Parts) > 0 || !waits) {
			continue
		}
		if err := c.checked(ctx, s, cl, v, p); err != nil {
			return err
		}
		g, err := c.statement(v, p, time.Now(), func(st *evidence.PartStatement) {
			st.States, st.DeputyFor = evidence.PartSigned, c.DeputyFor
			if scan != nil {
				st.Copy = evidence.Digest(scan)
			}
		})
		if err != nil {
			return err
		}
		g.Copy = scan
		given, names = append(given, g), append(names, p.ID)
	}
	for _, id := range c.Parts {
		if !slices.Contains(names, id) {
			return escrow.Errorf(escrow.NotFound, "version %d has no part %q for %s", v.Version, id, card.Party).WithHint("'holdfast agreement signatures' lists the parts")
		}
	}
	if len(given) == 0 {
		return escrow.Errorf(escrow.Conflict, "no part of version %d waits for %s", v.Version, card.Party).WithHint("'holdfast agreement signatures' tells what is missing")
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

// printOpen says what comes next.
func printOpen(s *streams, v client.AgreementVersion, parts []string) error {
	if v.State == string(escrow.VersionActive) {
		_, err := fmt.Fprintf(s.out, "  version %d is signed by everybody and in force\n", v.Version)
		return err
	}
	for _, p := range v.Parts {
		for _, o := range p.Open {
			if o.Needs != "" && (len(parts) == 0 || slices.Contains(parts, p.ID)) {
				fmt.Fprintf(s.out, "  the signature of %s under %s needs %s\n", o.Party, p.ID, o.Needs)
			}
		}
	}
	return nil
}

type agreementSignaturesCmd struct{ ofVersion }

func (c *agreementSignaturesCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.AgreementVersion(ctx, c.Arrangement, c.Version)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(v)
	}
	until := ""
	if v.State == string(escrow.VersionOffered) {
		until = ", to be signed until " + v.ExpiresAt.Format("2006-01-02 15:04 UTC")
	}
	fmt.Fprintf(s.out, "version %d of %s is %s%s\n", v.Version, c.Arrangement, v.State, until)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PART\tPARTY\tSTATE\tBY\tON\tPROOF")
	for _, p := range v.Parts {
		if !p.Due {
			fmt.Fprintf(w, "%s\t-\tunchanged\t-\t-\t-\n", p.ID)
			continue
		}
		for _, g := range p.Signatures {
			state := "signed"
			if g.Needs != "" {
				state = "needs " + g.Needs
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, g.Party, state, g.Person, g.SignedAt.Format("2006-01-02 15:04"), orDash(g.Authority))
		}
		for _, o := range p.Open {
			if o.Needs == "" {
				fmt.Fprintf(w, "%s\t%s\tto sign\t-\t-\t-\n", p.ID, o.Party)
			}
		}
	}
	return w.Flush()
}

type agreementAttestCmd struct {
	stating
	Part     string `arg:"" help:"Part."`
	Party    string `arg:"" help:"Whose signature it is."`
	CallBack bool   `help:"You called the signatory back at a number that was known before. Without it: you compared the signed copy with the part."`
	Out      string `help:"File to write the signed copy to, to look at it; nothing is attested then." type:"path"`
}

func (c *agreementAttestCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.AgreementVersion(ctx, c.Arrangement, c.Version)
	if err != nil {
		return err
	}
	for _, p := range v.Parts {
		for _, g := range p.Signatures {
			if p.ID != c.Part || g.Party != c.Party || g.Needs == "" || (g.Copy == "") != c.CallBack {
				continue
			}
			if g.Copy != "" {
				data, err := cl.SignedCopy(ctx, c.Arrangement, p.ID, g.Copy)
				if err != nil {
					return err
				}
				if evidence.Digest(data) != g.Copy {
					return escrow.Errorf(escrow.Damaged, "the server's copy of part %s is not the one that was signed for", p.ID)
				}
				if c.Out != "" {
					if err := writeFiles(filepath.Dir(c.Out), map[string]string{filepath.Base(c.Out): string(data)}); err != nil {
						return err
					}
					return s.result(map[string]string{"written": c.Out, "copy": g.Copy}, "written   %s; it has to state the digest of the part:\n  %s\n", c.Out, p.Digest)
				}
			}
			if err := c.checked(ctx, s, cl, v, p); err != nil {
				return err
			}
			word, err := c.statement(v, p, time.Now(), func(st *evidence.PartStatement) {
				st.States, st.SignerParty, st.Signer, st.Copy = evidence.PartCopyAttests, g.Party, g.Person, g.Copy
				if c.CallBack {
					st.States = evidence.PartCalledBack
				}
			})
			if err != nil {
				return err
			}
			out, err := cl.AttestPart(ctx, c.Arrangement, v.Version, word)
			if err != nil {
				return err
			}
			if s.json {
				return s.printJSON(out)
			}
			fmt.Fprintf(s.out, "attested  the signature of %s/%s under %s\n", g.Party, g.Person, p.ID)
			return printOpen(s, out, []string{p.ID})
		}
	}
	return escrow.Errorf(escrow.NotFound, "no signature of %s under %s waits for that", c.Party, c.Part).WithHint("'holdfast agreement signatures' lists them")
}

type agreementReviewCmd struct {
	stating
	Part       string `arg:"" help:"Part."`
	Objections bool   `help:"You have objections; say them with --note. Without it you approve what you read."`
	Note       string `help:"One line for the record."`
}

func (c *agreementReviewCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := cl.AgreementVersion(ctx, c.Arrangement, c.Version)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(v.Parts, func(p client.Part) bool { return p.ID == c.Part })
	if i < 0 {
		return escrow.Errorf(escrow.NotFound, "version %d has no part %q that you read", v.Version, c.Part)
	}
	if err := c.checked(ctx, s, cl, v, v.Parts[i]); err != nil {
		return err
	}
	g, err := c.statement(v, v.Parts[i], time.Now(), func(st *evidence.PartStatement) {
		st.States, st.Verdict, st.Note = evidence.PartReviewed, evidence.PartApproved, c.Note
		if c.Objections {
			st.Verdict = evidence.PartObjections
		}
	})
	if err != nil {
		return err
	}
	r, err := cl.ReviewPart(ctx, c.Arrangement, v.Version, g)
	if err != nil {
		return err
	}
	return s.result(r, "reviewed  %s of version %d: %s\n  digest    %s\n", r.Part, v.Version, r.Verdict, r.Digest)
}

type agreementCommentCmd struct {
	ofVersion
	Part     string `arg:"" optional:"" help:"Part; without it what was said is listed."`
	Text     string `arg:"" optional:"" help:"What you have to say."`
	Clause   string `help:"Number of the clause, such as 3.2."`
	Proposal string `help:"Other words for the clause."`
}

func (c *agreementCommentCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if c.Part != "" {
		out, err := cl.CommentPart(ctx, c.Arrangement, c.Version, client.NewPartComment{Part: c.Part, Clause: c.Clause, Text: c.Text, Proposal: c.Proposal})
		if err != nil {
			return err
		}
		return s.result(out, "said      %s on %s\n", out.ID, out.Part)
	}
	list, err := cl.Remarks(ctx, c.Arrangement, c.Version)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	for _, k := range list.Comments {
		fmt.Fprintf(s.out, "%s %s  %s/%s, %s\n  %s\n", k.Part, k.Clause, k.Party, k.Person, k.MadeAt.Format("2006-01-02 15:04"), k.Text)
		if k.Proposal != "" {
			fmt.Fprintf(s.out, "  proposes: %s\n", k.Proposal)
		}
	}
	for _, r := range list.Reviews {
		fmt.Fprintf(s.out, "%s  reviewed by %s/%s, %s: %s, digest %s\n", r.Part, r.Party, r.Person, r.ReviewedAt.Format("2006-01-02 15:04"), r.Verdict, r.Digest)
		if r.Note != "" {
			fmt.Fprintf(s.out, "  %s\n", r.Note)
		}
	}
	return nil
}
