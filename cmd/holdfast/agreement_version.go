package main

import (
	"context"
	"time"

	"holdfast/client"
)

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

// fetch connects and returns the version as its reader sees it.
func (c *ofVersion) fetch(ctx context.Context, s *streams) (*client.Client, client.AgreementVersion, error) {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return nil, client.AgreementVersion{}, err
	}
	v, err := cl.AgreementVersion(ctx, c.Arrangement, c.Version)
	return cl, v, err
}

// ending is embedded by the verbs that end an offer.
type ending struct {
	ofVersion
	Reason string `required:"" help:"Why, for the record: the other parties read it."`
}

// end connects and ends the offer in one of the two ways.
func (c *ending) end(ctx context.Context, s *streams, way func(*client.Client) func(context.Context, string, int, string) (client.AgreementVersion, error), said string) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	v, err := way(cl)(ctx, c.Arrangement, c.Version, c.Reason)
	if err != nil {
		return err
	}
	return s.result(v, said, v.Version, c.Arrangement)
}

type agreementWithdrawCmd struct{ ending }

func (c *agreementWithdrawCmd) Run(ctx context.Context, s *streams) error {
	return c.end(ctx, s, func(cl *client.Client) func(context.Context, string, int, string) (client.AgreementVersion, error) {
		return cl.WithdrawAgreement
	}, "withdrawn version %d of %s\n")
}

type agreementRefuseCmd struct{ ending }

func (c *agreementRefuseCmd) Run(ctx context.Context, s *streams) error {
	return c.end(ctx, s, func(cl *client.Client) func(context.Context, string, int, string) (client.AgreementVersion, error) {
		return cl.RefuseAgreement
	}, "refused   version %d of %s: the offer has ended\n")
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
