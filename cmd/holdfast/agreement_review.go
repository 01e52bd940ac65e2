package main

import (
	"context"
	"fmt"
	"time"

	"holdfast/client"
	"holdfast/evidence"
)

type agreementReviewCmd struct {
	stating
	Part       string `arg:"" help:"Part."`
	Objections bool   `help:"You have objections; say them with --note. Without it you approve what you read."`
	Note       string `help:"One line for the record."`
}

func (c *agreementReviewCmd) Run(ctx context.Context, s *streams) error {
	cl, v, err := c.fetch(ctx, s)
	if err != nil {
		return err
	}
	p, err := partOf(v, c.Part)
	if err != nil {
		return err
	}
	if _, err := c.checked(ctx, s, cl, v, p); err != nil {
		return err
	}
	g, err := c.statement(v, p, time.Now(), func(st *evidence.PartStatement) {
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
