// Package scrub keeps what is kept: it reads every object at every location
// again within a set time, heals what is damaged or missing from a good copy,
// raises an alarm where there is none, and removes what nothing refers to.
//
// It may import evidence and escrow. State, journal and copies are reached
// through the interfaces it declares; the server supplies them.
package scrub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Tx is the state that findings and the collector read and write.
type Tx interface {
	Locations(ctx context.Context) ([]escrow.Location, error)
	// ObjectHits returns what refers to an object.
	ObjectHits(ctx context.Context, name string) ([]escrow.ObjectHit, error)
	DestroyedLeft(ctx context.Context, most int) ([]string, error)
	Collectables(ctx context.Context, before time.Time, most int) ([]string, error)
	CollectObjects(ctx context.Context, before time.Time, names []string) ([]escrow.GoingObject, error)
	Going(ctx context.Context, after string, most int) ([]string, error)
}

// Journal remembers where objects are and how far the scrubber is.
type Journal interface {
	// TakeScrub returns the pass at a location for this process alone until a
	// time, and says whether it is free. Put keeps it longer or gives it back.
	TakeScrub(ctx context.Context, location string, until time.Time) (escrow.ScrubPass, bool, error)
	PutScrub(ctx context.Context, p escrow.ScrubPass, until time.Time) error
	// WantScrub asks for a pass at once.
	WantScrub(ctx context.Context, location string) error
	// Totals counts what is at a location.
	Totals(ctx context.Context, location string) (objects, bytes int64, err error)
	// CopiesAt returns copies at a location by name, after one.
	CopiesAt(ctx context.Context, location, after string, most int) ([]escrow.LocatedCopy, error)
	Settle(ctx context.Context, name string, results []escrow.CopyResult) error
	Adopt(ctx context.Context, o escrow.StoredObject, location string) error
	// Forget drops what is remembered of objects that went before a time.
	Forget(ctx context.Context, before time.Time) error
	Known(ctx context.Context, location string, names []string) (map[string]bool, error)
}

// Copies reaches the objects at the locations.
type Copies interface {
	// Verify reads a copy to its end and compares it with its name and size.
	Verify(ctx context.Context, name, location string, size int64) error
	// Heal replaces a copy by a good one from elsewhere.
	Heal(ctx context.Context, name, location string) error
	// List walks what is at a location.
	List(ctx context.Context, location string, fn func(name string, size int64) error) error
	Delete(ctx context.Context, name string) error
}

// Config is what an [Engine] is made of.
type Config struct {
	DB      escrow.Database[Tx]
	Journal Journal
	Copies  Copies
	Now     func() time.Time
	Log     *slog.Logger
	Period  time.Duration // in which everything is read once
	Grace   time.Duration // how long an object stays that nothing refers to
}

// Engine scrubs and collects.
type Engine struct {
	c    Config
	kick chan struct{}
}

// New returns an engine; it works while [Engine.Run] runs.
func New(c Config) *Engine { return &Engine{c: c, kick: make(chan struct{}, 1)} }

const (
	stepEvery    = 5 * time.Second
	stepFor      = 20 * time.Second // of one location, before others are looked at
	leaseFor     = 2 * time.Minute  // a pass of a process that died goes on after this
	copiesAtOnce = 64
	// An object costs a request beside its bytes.
	objectCost = 64 << 10
	// A pass is to end a little early.
	periodUsed = 0.9
)

// Run scrubs and collects until ctx ends. Several processes may run.
func (e *Engine) Run(ctx context.Context) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	var collected time.Time
	for {
		e.step(ctx)
		if now := time.Now(); now.Sub(collected) >= collectEvery {
			collected = now
			if _, err := e.Collect(ctx); err != nil && ctx.Err() == nil {
				e.c.Log.ErrorContext(ctx, "remove what nothing refers to", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.kick:
		}
	}
}

func (e *Engine) step(ctx context.Context) {
	list, err := e.locations(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.c.Log.ErrorContext(ctx, "scrub", "error", err)
		}
		return
	}
	for _, l := range list {
		if err := e.StepAt(ctx, l.ID, stepFor); err != nil && ctx.Err() == nil {
			e.c.Log.WarnContext(ctx, "scrub", "location", l.ID, "error", err)
		}
	}
}

func (e *Engine) locations(ctx context.Context) ([]escrow.Location, error) {
	var out []escrow.Location
	err := e.c.DB.View(ctx, func(tx Tx) error {
		list, err := tx.Locations(ctx)
		for _, l := range list {
			if l.State != escrow.LocationRetired {
				out = append(out, l)
			}
		}
		return err
	})
	return out, err
}

// Begin asks for a pass at full speed over every location and returns when it
// asked: the passes that begin later are what was asked for.
func (e *Engine) Begin(ctx context.Context, actor string) (time.Time, error) {
	asked := e.c.Now()
	list, err := e.locations(ctx)
	if err != nil {
		return asked, err
	}
	if _, err := e.c.DB.Update(ctx, func(Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: evidence.ActScrubRequested, At: asked, Actor: actor}}, nil
	}); err != nil {
		return asked, err
	}
	for _, l := range list {
		if err := e.c.Journal.WantScrub(ctx, l.ID); err != nil {
			return asked, err
		}
	}
	select {
	case e.kick <- struct{}{}:
	default:
	}
	return asked, nil
}

// StepAt goes on with the pass at a location for a while: as far as the pace
// asks, or at full speed when somebody waits. It returns the first error of
// the location, and the next step goes on from the same place.
func (e *Engine) StepAt(ctx context.Context, location string, most time.Duration) error {
	p, free, err := e.c.Journal.TakeScrub(ctx, location, e.c.Now().Add(leaseFor))
	if err != nil || !free {
		return err
	}
	defer func() { // given back, whatever happened
		if err := e.c.Journal.PutScrub(context.WithoutCancel(ctx), p, time.Time{}); err != nil {
			e.c.Log.ErrorContext(ctx, "keep the place of the scrubber", "location", location, "error", err)
		}
	}()
	if p.StartedAt.IsZero() || !p.FinishedAt.IsZero() {
		if !p.StartedAt.IsZero() && !p.Urgent && e.c.Now().Before(p.StartedAt.Add(e.c.Period)) {
			return nil
		}
		if err := e.begin(ctx, &p); err != nil {
			return err
		}
	}
	for end := time.Now().Add(most); time.Now().Before(end); {
		if !p.Urgent && e.ahead(p) {
			return nil
		}
		copies, err := e.c.Journal.CopiesAt(ctx, location, p.Position, copiesAtOnce)
		if err != nil {
			return err
		}
		if len(copies) == 0 {
			return e.finish(ctx, &p)
		}
		for _, c := range copies {
			if err := e.look(ctx, &p, c); err != nil {
				return err
			}
			p.Position = c.Name
			p.Objects++
			p.Bytes += c.Size
			if time.Now().After(end) || !p.Urgent && e.ahead(p) {
				break
			}
		}
		if err := e.c.Journal.PutScrub(ctx, p, e.c.Now().Add(leaseFor)); err != nil {
			return err
		}
	}
	return nil
}

// ahead reports whether a pass is as far as its pace asks for.
func (e *Engine) ahead(p escrow.ScrubPass) bool {
	gone := float64(e.c.Now().Sub(p.StartedAt)) / (float64(e.c.Period) * periodUsed)
	total := float64(p.TotalBytes + p.Total*objectCost)
	return float64(p.Bytes+p.Objects*objectCost) > total*gone
}

// begin starts a pass: objects that nobody knew of are noted, then what is to
// be read is counted.
func (e *Engine) begin(ctx context.Context, p *escrow.ScrubPass) error {
	if err := e.sweep(ctx, p.Location); err != nil {
		return err
	}
	objects, bytes, err := e.c.Journal.Totals(ctx, p.Location)
	if err != nil {
		return err
	}
	*p = escrow.ScrubPass{Location: p.Location, StartedAt: e.c.Now(), Total: objects, TotalBytes: bytes, Urgent: p.Urgent}
	return e.c.Journal.PutScrub(ctx, *p, e.c.Now().Add(leaseFor))
}

// sweep notes the objects at a location that the journal does not have: those
// of an older version, and what a crash left.
func (e *Engine) sweep(ctx context.Context, location string) error {
	sizes := map[string]int64{}
	flush := func() error {
		names := make([]string, 0, len(sizes))
		for name := range sizes {
			names = append(names, name)
		}
		known, err := e.c.Journal.Known(ctx, location, names)
		if err != nil {
			return err
		}
		for name, size := range sizes {
			if !known[name] {
				if err := e.c.Journal.Adopt(ctx, escrow.StoredObject{Name: name, Size: size}, location); err != nil {
					return err
				}
			}
		}
		clear(sizes)
		return nil
	}
	err := e.c.Copies.List(ctx, location, func(name string, size int64) error {
		sizes[name] = size
		if len(sizes) < 500 {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (e *Engine) finish(ctx context.Context, p *escrow.ScrubPass) error {
	p.FinishedAt, p.Urgent = e.c.Now(), false
	_, err := e.c.DB.Update(ctx, func(Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: evidence.ActScrubFinished, At: p.FinishedAt, Actor: "server", Subject: p.Location,
			Data: map[string]any{"started": evidence.FormatTime(p.StartedAt), "objects": p.Objects, "bytes": p.Bytes,
				"damaged": p.Damaged, "missing": p.Missing, "healed": p.Healed}}}, nil
	})
	if err != nil {
		p.FinishedAt = time.Time{}
	}
	return err
}

// look verifies one copy and heals it.
func (e *Engine) look(ctx context.Context, p *escrow.ScrubPass, c escrow.LocatedCopy) error {
	if c.State == escrow.CopyDue { // not made yet
		return nil
	}
	err := e.c.Copies.Verify(ctx, c.Name, p.Location, c.Size)
	state := escrow.CopyHeld
	switch escrow.CodeOf(err) {
	case "":
		if c.State == escrow.CopyHeld {
			return nil
		}
		// It is good again: an operator brought it back.
		return e.c.Journal.Settle(ctx, c.Name, []escrow.CopyResult{{Location: p.Location, State: escrow.CopyHeld}})
	case escrow.Damaged:
		state = escrow.CopyDamaged
		p.Damaged++
	case escrow.Missing:
		state = escrow.CopyMissing
		p.Missing++
	default: // the location's fault: try again later
		return err
	}
	reason := text(err)
	if err := e.c.Journal.Settle(ctx, c.Name, []escrow.CopyResult{{Location: p.Location, State: state, Reason: reason, Retry: time.Hour}}); err != nil {
		return err
	}
	if c.State == escrow.CopyHeld {
		if err := e.record(ctx, kindOf(state), p.Location, c.Name, reason); err != nil {
			return err
		}
	}
	herr := e.c.Copies.Heal(ctx, c.Name, p.Location)
	switch {
	case herr == nil:
		p.Healed++
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	e.c.Log.ErrorContext(ctx, "ALARM: a bad copy could not be healed", "object", c.Name, "location", p.Location, "state", state, "error", herr)
	return e.record(ctx, evidence.ActFindingUnhealed, p.Location, c.Name, text(herr))
}

func kindOf(state escrow.CopyState) string {
	if state == escrow.CopyMissing {
		return evidence.ActFindingMissing
	}
	return evidence.ActFindingDamaged
}

func text(err error) string {
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return e.Message
	}
	return "internal error; see the server's log"
}

// Found takes what others than the scrubber came across.
func (e *Engine) Found(ctx context.Context, object, location string, state escrow.CopyState, reason string, healed bool) {
	kind := kindOf(state)
	if healed {
		kind = evidence.ActObjectHealed
	}
	if err := e.record(ctx, kind, location, object, reason); err != nil {
		e.c.Log.ErrorContext(ctx, "record a finding", "object", object, "location", location, "error", err)
	}
}

// maxHits bounds how many deposits an act names.
const maxHits = 100

// record writes an act about an object, with the deposits that it hits, one
// act for each arrangement: its parties read their own.
func (e *Engine) record(ctx context.Context, kind, location, object, reason string) error {
	_, err := e.c.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		hits, err := tx.ObjectHits(ctx, object)
		if err != nil {
			return nil, err
		}
		deposits := map[string][]string{}
		var order []string
		for _, h := range hits {
			if _, seen := deposits[h.Arrangement]; !seen {
				order = append(order, h.Arrangement)
			}
			what := fmt.Sprintf("%s deposit %d", h.Module, h.Deposit)
			if h.Deposit == 0 {
				what = h.Module + " " + h.What
			}
			deposits[h.Arrangement] = append(deposits[h.Arrangement], what)
		}
		if len(order) == 0 {
			order = []string{""}
		}
		var acts []escrow.Act
		for _, a := range order {
			list := deposits[a]
			data := map[string]any{"location": location, "reason": reason, "hits": list[:min(len(list), maxHits)], "hits_count": len(list)}
			if list == nil {
				data["hits"] = []string{}
			}
			acts = append(acts, escrow.Act{Kind: kind, At: e.c.Now(), Actor: "server", Arrangement: a, Subject: object, Data: data})
		}
		return acts, nil
	})
	return err
}
