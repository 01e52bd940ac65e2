package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// scrubCmd has everything read again now.
type scrubCmd struct {
	remote
	NoWait bool `help:"Ask for it and return; 'holdfast location list' shows how far it is."`
}

// scrubResult is what a scrub found, for machines.
type scrubResult struct {
	Objects  int64             `json:"objects"`
	Bytes    int64             `json:"bytes"`
	Damaged  int64             `json:"damaged"`
	Missing  int64             `json:"missing"`
	Healed   int64             `json:"healed"`
	Unhealed int64             `json:"unhealed"`
	Away     []string          `json:"away,omitempty"` // locations that could not be read to the end
	At       []client.Location `json:"locations"`
}

func (c *scrubCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	asked, err := cl.Scrub(ctx)
	if err != nil {
		return err
	}
	if c.NoWait {
		return s.result(asked, "asked     every object at every location is read again from now on\n")
	}
	bar := newProgress(s, "scrub")
	defer bar.done()
	for {
		list, err := cl.Locations(ctx)
		if err != nil {
			return err
		}
		r, done, total, ended := scrubState(list, asked.AskedAt)
		bar.of(done, max(total, 1))
		if ended {
			bar.done()
			return c.print(s, r)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// scrubState adds the passes up. A location that is away is not waited for.
func scrubState(list []client.Location, asked time.Time) (r scrubResult, done, total int64, ended bool) {
	ended = true
	for _, l := range list {
		if l.State == "retired" {
			continue
		}
		r.At = append(r.At, l)
		p := l.Scrub
		begun := p.StartedAt != nil && !p.StartedAt.Before(asked)
		if !begun || p.FinishedAt == nil {
			if l.Away {
				r.Away = append(r.Away, l.ID)
			} else {
				ended = false
			}
		}
		if !begun {
			total += l.Bytes
			continue
		}
		done, total = done+p.Bytes, total+p.TotalBytes
		r.Objects += p.Objects
		r.Bytes += p.Bytes
		r.Damaged += p.Damaged
		r.Missing += p.Missing
		r.Healed += p.Healed
	}
	r.Unhealed = r.Damaged + r.Missing - r.Healed
	return r, done, total, ended
}

func (c *scrubCmd) print(s *streams, r scrubResult) error {
	err := s.result(r, "read      %d copies, %s\n", r.Objects, size(r.Bytes))
	if err != nil {
		return err
	}
	if !s.json {
		if r.Damaged+r.Missing == 0 {
			fmt.Fprintln(s.out, "found     nothing")
		} else {
			fmt.Fprintf(s.out, "found     %d damaged, %d missing; %d healed\n", r.Damaged, r.Missing, r.Healed)
		}
	}
	switch {
	case r.Unhealed > 0:
		return escrow.Errorf(escrow.Damaged, "ALARM: %d copies are bad and there is no good one", r.Unhealed).
			WithHint("'holdfast ledger list' names the deposits they hit (finding.unhealed); bring the objects back from elsewhere, or deposit again")
	case len(r.Away) > 0:
		return escrow.Errorf(escrow.Unavailable, "not everything could be read: %s", strings.Join(r.Away, ", ")+" is away").
			WithHint("it is read when it is back; see 'holdfast location list'")
	}
	return nil
}
