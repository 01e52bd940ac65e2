package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
)

// termsCmd shows the dates of an agreement and records what happened to them.
type termsCmd struct {
	List   termsListCmd   `cmd:"" default:"withargs" help:"Every promise with a date that you may see, and how it stands."`
	Record termsRecordCmd `cmd:"" help:"Put on record that a fee was paid, a certificate filed, notice given."`
}

type termsListCmd struct{ scoped }

func (c *termsListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Terms(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROMISE\tSTATE\tLAST DAY\tNOTICE BY\tREMARK")
	for _, t := range list {
		state := strings.ReplaceAll(t.State, "_", " ")
		if t.Bad {
			state = "! " + state
		}
		var remark []string
		if t.State == "arrears" {
			if t.MayCure {
				remark = append(remark, "a beneficiary may pay")
			}
			if !t.MaySuspend {
				remark = append(remark, "nothing is suspended")
			}
		}
		date := lastDay(t.Date)
		if t.State == "arrears" && t.Date != nil {
			date = "since " + t.Date.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.ID, state, date, lastDay(t.Notice), dash(strings.Join(remark, "; ")))
	}
	return w.Flush()
}

// lastDay is the day before a moment at which something is over. The moment is
// a midnight in the agreement's zone: an instant before it is within the last
// day there, and half a day before in every zone near it.
func lastDay(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Add(-12 * time.Hour).Format(time.DateOnly)
}

type termsRecordCmd struct {
	scoped
	Kind     string `arg:"" enum:"fee_paid,arrears,cured,certificate,renewed,notice_given,reviewed" help:"fee_paid, arrears, cured (a beneficiary paid), certificate, renewed, notice_given, reviewed."`
	About    string `arg:"" help:"The promise, as 'holdfast terms' calls it; or certificate/NAME."`
	Until    string `help:"Last day: paid until, expires, goes on until. Such as 2027-12-31."`
	Document string `help:"File it rests on; its name and digest are recorded." type:"existingfile"`
	Party    string `help:"Who did it, when the agent records it."`
}

func (c *termsRecordCmd) Run(ctx context.Context, s *streams) error {
	f := client.NewTermFact{Kind: c.Kind, About: c.About, Until: c.Until, Party: c.Party}
	if c.Document != "" {
		var err error
		if f.Digest, err = digestOf(c.Document); err != nil {
			return err
		}
		f.Document = filepath.Base(c.Document)
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.RecordTerm(ctx, c.Arrangement, f); err != nil {
		return err
	}
	return s.result(f, "recorded  %s of %s\n", strings.ReplaceAll(c.Kind, "_", " "), c.About)
}
