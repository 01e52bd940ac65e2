package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/probe"
)

// watchCmd measures services.
type watchCmd struct {
	List   watchListCmd   `cmd:"" default:"withargs" help:"What is measured, and how it stands."`
	Add    watchAddCmd    `cmd:"" help:"Begin to measure something, or change how (the agent)."`
	Remove watchRemoveCmd `cmd:"" help:"Measure something no more; what was seen stays (the agent)."`
	Show   watchShowCmd   `cmd:"" help:"What was seen of a target: time up, down and unknown by place, and each change."`
	Beat   watchBeatCmd   `cmd:"" help:"Report that a job ran, or that it failed."`
}

type watchListCmd struct{ scoped }

func (c *watchListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Watched(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(s.out, "nothing is measured")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tSTATE\tSINCE\tKIND\tEVERY\tCOMPONENT\tOF\tWHAT")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.State, minute(t.Since), t.Kind, t.Every, orDash(t.Component), orDash(t.Party), orDash(what(t.Target)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range list {
		for _, p := range t.Places {
			if p.Reason != "" || p.Note != "" {
				fmt.Fprintf(s.out, "%s from %s: %s\n", t.ID, p.Place, strings.TrimPrefix(strings.TrimSuffix(p.Reason+": "+p.Note, ": "), ": "))
			}
		}
	}
	return nil
}

// what names in one word what a target checks.
func what(shown json.RawMessage) string {
	var t probe.Target
	if json.Unmarshal(shown, &t) != nil {
		return ""
	}
	switch {
	case t.URL != "":
		return t.URL
	case t.Schedule != "":
		return t.Schedule
	}
	return t.Address
}

type watchAddCmd struct {
	scoped
	Target    string        `arg:"" help:"Id, such as website."`
	What      string        `arg:"" help:"An address (https://…, tcp://host:port, tls://host:port, icmp://host, dns://name), push, or '-' or @FILE for a target as JSON (docs/watch.md). What may be secret belongs in a file."`
	Component string        `help:"Component of the agreement that it is measured for; what its service levels say about measuring holds then."`
	Of        string        `help:"The customer whose own it is. Default everybody's."`
	Every     time.Duration `help:"Time between two checks. Default what the agreement says, or 1m."`
	Timeout   time.Duration `help:"After how long a check has failed. Default what the agreement says, or 10s."`
	Contains  []string      `sep:"none" help:"Text that the answer must hold. Repeat it for more."`
	Status    []string      `help:"Status that is right, such as 200 or 200-299."`
	Schedule  string        `help:"Of push: when it must report, as cron: '30 2 * * *'."`
	Zone      string        `help:"Of push: the zone of the schedule."`
	Grace     time.Duration `help:"Of push: how late it may be. Default 5m."`
}

func (c *watchAddCmd) Run(ctx context.Context, s *streams) error {
	target, err := c.target(s.in)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	t, err := cl.SetWatchTarget(ctx, c.Arrangement, c.Target, client.NewWatchTarget{Component: c.Component, Party: c.Of, Target: target})
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(t)
	}
	fmt.Fprintf(s.out, "watching  %s: %s every %s\n", t.ID, t.Kind, t.Every)
	return nil
}

// target makes JSON of what was given.
func (c *watchAddCmd) target(in io.Reader) (json.RawMessage, error) {
	if c.What == "-" || strings.HasPrefix(c.What, "@") {
		if c.Every != 0 || c.Timeout != 0 || len(c.Contains)+len(c.Status) > 0 || c.Schedule+c.Zone != "" || c.Grace != 0 {
			return nil, escrow.Errorf(escrow.Invalid, "a target as JSON says everything itself").WithHint("leave the flags about the check out")
		}
		if name, ok := strings.CutPrefix(c.What, "@"); ok {
			f, err := os.Open(name)
			if err != nil {
				return nil, escrow.Wrap(err, escrow.NotFound, "target")
			}
			defer f.Close()
			in = f
		}
		data, err := io.ReadAll(io.LimitReader(in, probe.MaxTargetBytes+1))
		if err != nil {
			return nil, err
		}
		_, err = probe.Parse(data)
		return data, err
	}
	fields := map[string]any{}
	scheme, rest, found := strings.Cut(c.What, "://")
	switch {
	case c.What == "push":
		fields["kind"] = "push"
	case !found:
		return nil, escrow.Errorf(escrow.Invalid, "%q is no address", c.What).WithHint("write https://…, tcp://host:port, tls://host:port, icmp://host, dns://name or push")
	case scheme == "http" || scheme == "https":
		fields["kind"], fields["url"] = "http", c.What
	default:
		fields["kind"], fields["address"] = scheme, rest
	}
	for name, d := range map[string]time.Duration{"every": c.Every, "timeout": c.Timeout, "grace": c.Grace} {
		if d != 0 {
			fields[name] = d.String()
		}
	}
	for name, v := range map[string]string{"schedule": c.Schedule, "zone": c.Zone} {
		if v != "" {
			fields[name] = v
		}
	}
	expect := map[string]any{}
	if len(c.Status) > 0 {
		expect["status"] = c.Status
	}
	var texts []map[string]string
	for _, text := range c.Contains {
		texts = append(texts, map[string]string{"contains": text})
	}
	if len(texts) > 0 {
		expect["body"] = texts
	}
	if len(expect) > 0 {
		fields["expect"] = expect
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	_, err = probe.Parse(data)
	return data, err
}

type watchRemoveCmd struct {
	scoped
	Target string `arg:"" help:"Id."`
}

func (c *watchRemoveCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.RemoveWatchTarget(ctx, c.Arrangement, c.Target); err != nil {
		return err
	}
	return s.result(map[string]any{"target": c.Target, "removed": true}, "removed   %s; what was seen stays\n", c.Target)
}

type watchShowCmd struct {
	scoped
	Target string `arg:"" help:"Id."`
	From   string `help:"Beginning, as 2026-09-01T00:00:00Z. Default 24 hours before the end."`
	To     string `help:"End, likewise. Default now."`
}

func (c *watchShowCmd) Run(ctx context.Context, s *streams) error {
	var span [2]time.Time
	for i, text := range []string{c.From, c.To} {
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return escrow.Errorf(escrow.Invalid, "%q is not a moment with its offset, such as 2026-09-01T00:00:00Z", text)
		}
		span[i] = t
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	h, err := cl.WatchHistory(ctx, c.Arrangement, c.Target, span[0], span[1])
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(h)
	}
	total := h.To.Sub(h.From).Milliseconds()
	fmt.Fprintf(s.out, "%s from %s to %s (UTC): %d checks, %d failed\n", c.Target, h.From.Format("2006-01-02 15:04"), h.To.Format("2006-01-02 15:04"), h.Checks, h.Failed)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLACE\tUP\tDOWN\tUNKNOWN\tCOVERAGE")
	for _, p := range h.Places {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Place, length(p.UpMS), length(p.DownMS), length(p.UnknownMS), share(p.UpMS+p.DownMS, total))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(h.Places) == 0 {
		fmt.Fprintln(s.out, "nobody looked in that time")
	}
	if r := h.Response; r != nil {
		fmt.Fprintf(s.out, "response  half within %.0f ms, 95%% within %.0f ms, 99%% within %.0f ms (each to 1%%)\n", r.P50, r.P95, r.P99)
	}
	for _, ch := range h.Changes {
		reason := ""
		if ch.Reason != "" {
			reason = " (" + strings.ReplaceAll(ch.Reason, "_", " ") + ")"
		}
		fmt.Fprintf(s.out, "%s  %s from %s%s, evidence %s\n", ch.At.Format("2006-01-02 15:04:05"), ch.Is, ch.Place, reason, ch.Digest[:12])
	}
	return nil
}

func length(ms int64) string {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}

// share writes a part of a whole in percent with two decimals, cut.
func share(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	n := part * 10000 / whole
	return fmt.Sprintf("%d.%02d%%", n/100, n%100)
}

type watchBeatCmd struct {
	scoped
	Target string `arg:"" help:"Id."`
	Failed bool   `help:"The job failed."`
	Note   string `help:"A line about it."`
}

func (c *watchBeatCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.Beat(ctx, c.Arrangement, c.Target, client.NewBeat{Failed: c.Failed, Note: c.Note}); err != nil {
		return err
	}
	return s.result(map[string]any{"target": c.Target, "failed": c.Failed}, "reported  %s\n", c.Target)
}
