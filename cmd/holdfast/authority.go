package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// authorityCmd keeps who may act for a party, beside the agreement's text.
type authorityCmd struct {
	Record authorityRecordCmd `cmd:"" help:"Put on record that a person may act for a party, on what proof and until when."`
	Fact   authorityFactCmd   `cmd:"" help:"Put on record that a party is insolvent or a person cannot act, or that it is over."`
	List   authorityListCmd   `cmd:"" help:"List what is on record."`
}

type authorityRecordCmd struct {
	scoped
	Who       string   `arg:"" help:"PARTY/PERSON."`
	May       []string `required:"" help:"What the person may do: claim, contest, approve, sign, vote, deposit, pay, receive."`
	From      string   `help:"First day (default: now)."`
	Until     string   `required:"" help:"Last day."`
	Proof     string   `required:"" help:"What it rests on: the decision, the extract, the power of attorney."`
	File      string   `help:"The proof itself: its digest is kept, not the file." type:"existingfile"`
	DeputyFor string   `help:"Only while this person cannot act."`
	CallBack  bool     `help:"What binds the party counts only after a call back."`
}

func (c *authorityRecordCmd) Run(ctx context.Context, s *streams) error {
	party, person, ok := strings.Cut(c.Who, "/")
	if !ok {
		return escrow.Errorf(escrow.Invalid, "%q is not PARTY/PERSON", c.Who).WithHint("write it like gem-a/j-jansen")
	}
	in := client.NewMandate{Party: party, Person: person, May: c.May, Proof: c.Proof, DeputyFor: c.DeputyFor, CallBack: c.CallBack}
	var err error
	if c.From != "" {
		from, err := time.Parse(time.DateOnly, c.From)
		if err != nil {
			return escrow.Errorf(escrow.Invalid, "%q is not a date", c.From).WithHint("write it like 2027-01-31")
		}
		in.From = from.Format(time.RFC3339)
	}
	if in.Until, err = moment(c.Until); err != nil {
		return err
	}
	if c.File != "" {
		data, err := readFile(c.File, maxCopy)
		if err != nil {
			return err
		}
		in.ProofDigest = evidence.Digest(data)
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	m, err := cl.RecordMandate(ctx, c.Arrangement, in)
	if err != nil {
		return err
	}
	return s.result(m, "recorded  %s/%s may %s until %s\n", m.Party, m.Person, strings.Join(m.May, ", "), m.Until.Add(-time.Second).Format(time.DateOnly))
}

type authorityFactCmd struct {
	scoped
	Kind  string `arg:"" help:"insolvent or away." enum:"insolvent,away"`
	About string `arg:"" help:"PARTY for insolvent, PARTY/PERSON for away."`
	From  string `help:"RFC 3339 time since when (default: now)."`
	Until string `help:"RFC 3339 time at which it was over; with --from as 'authority list' shows it."`
	Proof string `required:"" help:"How it is known."`
}

func (c *authorityFactCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	f, err := cl.RecordActingFact(ctx, c.Arrangement, client.NewActingFact{Kind: c.Kind, About: c.About, From: c.From, Until: c.Until, Proof: c.Proof})
	if err != nil {
		return err
	}
	return s.result(f, "recorded  %s is %s since %s\n", f.About, f.Kind, f.From.Format(time.RFC3339))
}

type authorityListCmd struct{ scoped }

func (c *authorityListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Acting(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHO\tMAY\tFROM\tUNTIL\tPROOF")
	for _, m := range list.Mandates {
		fmt.Fprintf(w, "%s/%s\t%s\t%s\t%s\t%s\n", m.Party, m.Person, strings.Join(m.May, ", "), m.From.Format(time.DateOnly), m.Until.Add(-time.Second).Format(time.DateOnly), m.Proof)
	}
	for _, f := range list.Facts {
		until := "-"
		if f.Until != nil {
			until = f.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\tis %s\t%s\t%s\t%s\n", f.About, f.Kind, f.From.Format(time.RFC3339), until, f.Proof)
	}
	return w.Flush()
}
