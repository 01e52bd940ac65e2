package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// moduleResticCmd shows the restic repository of a module and bounds it.
type moduleResticCmd struct {
	scoped
	Module string  `arg:"" help:"Module id."`
	Quota  *string `help:"Bound what restic may store, such as 200GB or 1TiB; 0 lifts the bound. For the administrator."`
}

func (c *moduleResticCmd) Run(ctx context.Context, s *streams) error {
	var quota int64
	if c.Quota != nil {
		var err error
		if quota, err = parseBytes(*c.Quota); err != nil {
			return err
		}
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	var r client.ResticRepository
	if c.Quota != nil {
		r, err = cl.SetResticQuota(ctx, c.Arrangement, c.Module, quota)
	} else {
		r, err = cl.Restic(ctx, c.Arrangement, c.Module)
	}
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r)
	}
	of := "no bound"
	if r.Quota > 0 {
		of = "of " + size(r.Quota)
	}
	place, err := newResticPlace(c.scoped, c.Module)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "restic    %s\n", place.public())
	fmt.Fprintf(s.out, "  holds   %d files, %s, %s\n", r.Files, size(r.Bytes), of)
	last := "none yet"
	if r.LastSnapshot != nil {
		last = "the last arrived " + r.LastSnapshot.Format(time.DateTime) + " UTC"
	}
	fmt.Fprintf(s.out, "  has     %d snapshots, %s\n", r.Snapshots, last)
	if r.Waiting > 0 {
		fmt.Fprintf(s.out, "  waiting %d snapshots are in no deposit yet\n", r.Waiting)
	}
	if r.Refuses != "" {
		fmt.Fprintf(s.out, "  refuses %s\n", r.Refuses)
		fmt.Fprintf(s.out, "  what to do: %s\n", r.RefusesHint)
	}
	return nil
}

// parseBytes reads a size such as 200GB, 1TiB or 4096.
func parseBytes(text string) (int64, error) {
	number, unit := strings.TrimSpace(text), int64(1)
	for i, u := range []string{"K", "M", "G", "T"} {
		for suffix, base := range map[string]int64{u + "iB": 1024, u + "B": 1000, u: 1024} {
			if n, ok := strings.CutSuffix(number, suffix); ok && unit == 1 {
				number, unit = n, 1
				for range i + 1 {
					unit *= base
				}
			}
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || unit > 1 && n > (1<<62)/unit {
		return 0, escrow.Errorf(escrow.Invalid, "%q is not a size such as 200GB or 1TiB", text)
	}
	return n * unit, nil
}
