package main

import (
	"context"
	"fmt"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/status"
)

type statusPublishCmd struct {
	scoped
	At        string `required:"" help:"Address of the page: the part after /status/."`
	Publisher string `required:"" help:"Name of who answers for the page; not the supplier, which it has to outlive."`
	Contact   string `help:"Where to ask: mailto: or https: address."`
}

func (c *statusPublishCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.PublishStatus(ctx, c.Arrangement, client.NewStatusPage{At: c.At, Publisher: c.Publisher, Contact: c.Contact}); err != nil {
		return err
	}
	return s.result(map[string]string{"page": "/status/" + c.At + "/"}, "public at /status/%s/\n", c.At)
}

type statusWithdrawCmd struct{ scoped }

func (c *statusWithdrawCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.WithdrawStatus(ctx, c.Arrangement); err != nil {
		return err
	}
	return s.result(map[string]bool{"withdrawn": true}, "no longer public\n")
}

// said is what is said about an incident at one moment.
type said struct {
	NL   string        `help:"What is known, in Dutch."`
	EN   string        `help:"The same in English; one of the two at least." name:"en"`
	Next time.Duration `help:"Within what time more is said, such as 30m." placeholder:"TIME"`
}

func (c said) word(stage status.Stage, now time.Time) client.IncidentWord {
	w := client.IncidentWord{Stage: string(stage), NL: c.NL, EN: c.EN}
	if c.Next > 0 {
		w.NextBy = now.Add(c.Next).UTC().Format(time.RFC3339)
	}
	return w
}

type statusIncidentCmd struct {
	scoped
	said
	TitleNL   string   `help:"What is wrong in a few words, in Dutch." name:"title-nl"`
	TitleEN   string   `help:"The same in English; one of the two at least." name:"title-en"`
	Component []string `help:"What it concerns, by the agreement's ids." sep:","`
	Begun     string   `help:"When it began, RFC 3339; left out: now."`
	Stage     string   `enum:"investigating,identified,monitoring" default:"investigating" help:"How far it is: ${enum}."`
}

func (c *statusIncidentCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	i, err := cl.OpenIncident(ctx, c.Arrangement, client.NewIncident{IncidentWord: c.word(status.Stage(c.Stage), time.Now()), TitleNL: c.TitleNL, TitleEN: c.TitleEN, Components: c.Component, Begun: c.Begun})
	if err != nil {
		return err
	}
	return s.result(i, "incident %s is told%s\nsay more with 'holdfast status update %s'\n", i.ID, promised(i), i.ID)
}

func promised(i client.Incident) string {
	if i.NextBy == nil {
		return ""
	}
	return fmt.Sprintf("; more is promised by %s", minute(i.NextBy))
}

type statusUpdateCmd struct {
	scoped
	said
	ID    string `arg:"" help:"The incident."`
	Stage string `required:"" enum:"investigating,identified,monitoring,resolved" help:"How far it is: ${enum}."`
	Ended string `help:"With resolved: when it was over, RFC 3339; left out: now."`
}

func (c *statusUpdateCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if c.Ended != "" && c.Stage != string(status.Resolved) {
		return escrow.Errorf(escrow.Invalid, "--ended goes with --stage resolved only")
	}
	w := c.word(status.Stage(c.Stage), time.Now())
	w.Ended = c.Ended
	i, err := cl.TellIncident(ctx, c.Arrangement, c.ID, w)
	if err != nil {
		return err
	}
	if i.Ended != nil {
		return s.result(i, "incident %s is over, after %s\n", i.ID, i.Ended.Sub(i.Begun).Round(time.Second))
	}
	return s.result(i, "incident %s is told%s\n", i.ID, promised(i))
}
