package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/yamltext"
)

// agreementCmd is the verbs over the text of an agreement, which need no
// server, and those with which it is offered and signed.
type agreementCmd struct {
	New        agreementNewCmd        `cmd:"" help:"Write a new agreement from a template: a few questions, and a text that passes the check."`
	Check      agreementCheckCmd      `cmd:"" help:"Check agreements: print every problem with file, line and column."`
	Explain    agreementExplainCmd    `cmd:"" help:"Say in plain language what an agreement means, for everybody or for one party."`
	Render     agreementRenderCmd     `cmd:"" help:"Write a part, a summary or a service level agreement as HTML, PDF or text."`
	Diff       agreementDiffCmd       `cmd:"" help:"Say what changed between two versions, what it means, and who must sign again."`
	Draft      agreementDraftCmd      `cmd:"" help:"Bring in the text of a version, to be commented on, reviewed and offered."`
	Comment    agreementCommentCmd    `cmd:"" help:"Say something about a clause of a draft, or list what was said."`
	Review     agreementReviewCmd     `cmd:"" help:"Sign off that you read a part, by its digest."`
	Read       agreementReadCmd       `cmd:"" help:"Read a part of a version as it is signed, held against its digest."`
	Offer      agreementOfferCmd      `cmd:"" help:"Let the parties sign a version."`
	Sign       agreementSignCmd       `cmd:"" help:"Sign the parts that wait for your party, or bring a signed copy."`
	Attest     agreementAttestCmd     `cmd:"" help:"Attest somebody's signed copy, or that you called a signatory back."`
	Signatures agreementSignaturesCmd `cmd:"" help:"Show who has signed which part and what is missing."`
	Refuse     agreementRefuseCmd     `cmd:"" help:"Say that your party does not sign; who has signed cannot."`
	Withdraw   agreementWithdrawCmd   `cmd:"" help:"Take an offer or a draft back."`
	Join       agreementJoinCmd       `cmd:"" help:"Let one beneficiary join: the text is written and offered, and no other beneficiary signs."`
	Leave      agreementLeaveCmd      `cmd:"" help:"Give notice that your party leaves, or see what that takes."`
	Left       agreementLeftCmd       `cmd:"" help:"Who gave notice or has left, and the certificates of that."`
	Rights     agreementRightsCmd     `cmd:"" help:"Show the rights every stage and module rests on, and how they stand."`
	Map        agreementMapCmd        `cmd:"" help:"Show which part of an agreement answers which requirement of a regulation."`
	Framework  agreementFrameworkCmd  `cmd:"" help:"Check a host's framework and print the digest agreements name it by."`
	Schema     agreementSchemaCmd     `cmd:"" help:"Print the JSON Schema of agreements, for editors."`
	Canonical  agreementCanonicalCmd  `cmd:"" help:"Print the canonical JSON that is hashed and signed, and its digest."`
	Expand     agreementExpandCmd     `cmd:"" help:"Print the modules, compartments, stages, events and parts an agreement comes to."`
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type agreementSchemaCmd struct{}

func (agreementSchemaCmd) Run(s *streams) error {
	schema, err := agreement.Schema()
	if err != nil {
		return err
	}
	_, err = s.out.Write(schema)
	return err
}

type agreementCanonicalCmd struct {
	File   string `arg:"" help:"The agreement; - reads standard input."`
	Digest bool   `help:"Print the digest alone."`
}

func (c agreementCanonicalCmd) Run(s *streams) error {
	a, err := loadAgreement(s, c.File)
	if err != nil {
		return err
	}
	canonical, err := a.Canonical()
	if err != nil {
		return err
	}
	digest, err := a.Digest()
	if err != nil {
		return err
	}
	switch {
	case c.Digest:
		fmt.Fprintln(s.out, digest)
	case s.json:
		return writeIndented(s.out, map[string]any{"id": a.ID, "version": a.Version, "digest": digest, "canonical": json.RawMessage(canonical)})
	default:
		fmt.Fprintf(s.out, "%s\n", canonical)
		fmt.Fprintf(s.err, "%s version %d, digest %s\n", a.ID, a.Version, digest)
	}
	return nil
}

type agreementExpandCmd struct {
	File string `arg:"" help:"The agreement; - reads standard input."`
}

func (c agreementExpandCmd) Run(s *streams) error {
	a, err := loadAgreement(s, c.File)
	if err != nil {
		return err
	}
	e := a.Expand()
	if s.json {
		return writeIndented(s.out, expandedView(a, e))
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tKIND\tCOMPARTMENT\tSOURCE")
	for _, m := range e.Modules {
		source := dash(m.Source.URL)
		if m.Every > 0 {
			source += fmt.Sprintf(" every %s", m.Every)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.ID, m.Kind, dash(m.Compartment), source)
	}
	fmt.Fprintln(w, "\nCOMPARTMENT\tOPENED BY\tFOR\t")
	for _, k := range e.Compartments {
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", k.ID, openedBy(k), dash(strings.Join(k.Recipients, ", ")))
	}
	fmt.Fprintln(w, "\nSTAGE\tOPENS\tFOR\tAPPROVALS\tTELLS")
	for _, st := range e.Stages {
		to := strings.Join(st.To, ", ")
		if st.ToClaimant {
			to = strings.TrimPrefix(to+", the claimant", ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", st.ID, dash(strings.Join(st.Opens, ", ")), dash(to), st.Approvals, dash(strings.Join(st.Audience, ", ")))
	}
	fmt.Fprintln(w, "\nEVENT\tSTAGES\tEVIDENCE\tDECIDED BY\t")
	for _, ev := range e.Events {
		evidence := make([]string, len(ev.Evidence))
		for i, x := range ev.Evidence {
			evidence[i] = string(x)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", ev.ID, dash(strings.Join(ev.Stages, ", ")), strings.Join(evidence, ", "), ev.Decide)
	}
	fmt.Fprintln(w, "\nPART\tSIGNED BY\tREAD BY\t")
	for _, p := range e.Parts {
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", p.ID, strings.Join(p.Parties, ", "), dash(strings.Join(p.Readers, ", ")))
	}
	return w.Flush()
}

// expandedModule is a module as the command line shows it to machines.
type expandedModule struct {
	ID          string   `json:"id"`
	Kind        string   `json:"kind"`
	Instance    string   `json:"instance,omitempty"`
	Compartment string   `json:"compartment,omitempty"`
	Mode        string   `json:"mode"`
	URL         string   `json:"url,omitempty"`
	LFS         bool     `json:"lfs,omitempty"`
	Exclude     []string `json:"exclude,omitempty"`
	Seconds     int64    `json:"every_seconds,omitempty"`
}

func expandedView(a *agreement.Agreement, e *agreement.Expanded) map[string]any {
	modules := make([]expandedModule, len(e.Modules))
	for i, m := range e.Modules {
		modules[i] = expandedModule{ID: m.ID, Kind: string(m.Kind), Instance: m.Instance, Compartment: m.Compartment,
			Mode: string(m.Source.Mode), URL: m.Source.URL, LFS: m.Source.LFS, Exclude: m.Source.Exclude, Seconds: int64(m.Every.Seconds())}
	}
	parties := make([]map[string]string, len(e.Parties))
	for i, p := range e.Parties {
		parties[i] = map[string]string{"id": p.ID, "role": string(p.Role), "name": p.Name}
	}
	return map[string]any{"arrangement": e.Arrangement, "version": a.Version, "parties": parties, "modules": modules,
		"compartments": e.Compartments, "stages": e.Stages, "events": e.Events, "parts": e.Parts, "service_levels": e.ServiceLevels}
}

func openedBy(k agreement.Compartment) string {
	if k.OnDemand {
		return k.Holder + ", on demand"
	}
	text := fmt.Sprintf("%d of %s", k.Quorum.Of, strings.Join(k.Quorum.From, ", "))
	for class, n := range k.Quorum.AtLeast {
		text += fmt.Sprintf("; at least %d %s (%s)", n, class, strings.Join(k.Quorum.Classes[class], ", "))
	}
	return text
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// readText reads a file, or standard input for "-", up to one byte more than
// an agreement may have.
func readText(s *streams, file string) ([]byte, error) {
	return readAtMost(s, file, yamltext.MaxBytes)
}

// readAtMost reads a file, or standard input for -, and one byte more than
// the limit where there is more: who parses it says that it is too long.
func readAtMost(s *streams, file string, limit int64) ([]byte, error) {
	in := s.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, escrow.Wrap(err, escrow.NotFound, "cannot read %s", file).WithHint("check the path")
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, escrow.Wrap(err, escrow.NotFound, "cannot read %s", file).WithHint("check that it is a file that may be read")
	}
	return data, nil
}

// loadAgreement reads an agreement that must pass.
func loadAgreement(s *streams, file string) (*agreement.Agreement, error) {
	data, err := readText(s, file)
	if err != nil {
		return nil, err
	}
	a, problems := agreement.Parse(file, data)
	if err := agreement.Refusal(problems); err != nil {
		return nil, err
	}
	return a, nil
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
