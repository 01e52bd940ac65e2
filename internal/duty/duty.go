// Package duty is the engine that sees to it that deposits come as agreed: it
// takes the steps of the ladder when they fall due, keeps the agent's own clock,
// and tells who is to be told. What stands is worked out by escrow/duty from
// stored times whenever it is read; this package only makes the events of it.
//
// It may import evidence and escrow. State is reached through the interface it
// declares; the server supplies it.
package duty

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	rules "holdfast/internal/escrow/duty"
)

// Tx is the state that the duty reads and writes.
type Tx interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	Arrangements(ctx context.Context) ([]escrow.Arrangement, error)
	Module(ctx context.Context, arrangement, id string) (escrow.Module, error)
	Modules(ctx context.Context, arrangement string) ([]escrow.Module, error)
	DepositHeads(ctx context.Context, arrangement, module string) ([]escrow.Deposit, error)
	Decisions(ctx context.Context, arrangement, module string) ([]escrow.Decision, error)
	PutDecision(ctx context.Context, d escrow.Decision) error
	PutVerified(ctx context.Context, v escrow.Verified) error
	SyncStatus(ctx context.Context, arrangement, module string) (escrow.SyncStatus, error)
	Unchanged(ctx context.Context, arrangement, module string) (escrow.Unchanged, error)
	Defects(ctx context.Context, arrangement, module string) ([]escrow.FoundDefects, error)
	Marks(ctx context.Context, arrangement, module string) ([]escrow.Mark, error)
	ForgeRepositories(ctx context.Context, arrangement, organisation string) ([]escrow.ForgeRepository, error)
	Releases(ctx context.Context, arrangement, module string) ([]escrow.SoftwareRelease, error)
	PutRelease(ctx context.Context, r escrow.SoftwareRelease) error
	DutySteps(ctx context.Context, arrangement, module string) ([]escrow.DutyStep, error)
	PutDutyStep(ctx context.Context, s escrow.DutyStep) (fresh bool, err error)
	Notices(ctx context.Context, arrangement, audience string, limit int) ([]escrow.Notice, error)
	PutNotice(ctx context.Context, n escrow.Notice) error
	Gaps(ctx context.Context) ([]escrow.PlatformGap, error)
	PutGap(ctx context.Context, g escrow.PlatformGap) error
}

// Terms answers from the text of an agreement.
type Terms interface {
	// Duties reads a text once and returns what was agreed in it about the
	// deposits of a module, and whether it names that.
	Duties(source []byte) (func(module string) (rules.Terms, bool), error)
	// Parties returns everybody with a role.
	Parties(source []byte) ([]escrow.Party, error)
	// Owner returns the party that a module's instance belongs to.
	Owner(source []byte, instance string) (string, error)
	// Language is the language of the text.
	Language(source []byte) (string, error)
}

// Pulse says that a server is at work and returns when one was seen before.
type Pulse interface {
	Pulse(ctx context.Context, now time.Time) (before time.Time, err error)
}

// Watch is the engine.
type Watch struct {
	db    escrow.Database[Tx]
	pulse Pulse
	terms Terms
	now   func() time.Time
}

// New returns a watch over db.
func New(db escrow.Database[Tx], pulse Pulse, terms Terms, now func() time.Time) *Watch {
	return &Watch{db: db, pulse: pulse, terms: terms, now: now}
}

// Standing is a module and whether its deposits come as agreed.
type Standing struct {
	Module    escrow.Module
	Terms     rules.Terms
	State     rules.State
	Steps     []escrow.DutyStep // that were ever taken
	Decisions []escrow.Decision // that are there, by deposit
	// Found is what was found missing in deposits of what must be in them and
	// nobody has decided about; of an organisation, which agreed repositories
	// are missing, as deposit 0.
	Found []escrow.FoundDefects
}

// List returns the standing of every module of an arrangement that the
// agreement in force names and something is deposited in.
func (w *Watch) List(ctx context.Context, arrangement string) ([]Standing, error) {
	var out []Standing
	err := w.db.View(ctx, func(tx Tx) error {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return err
		}
		modules, err := tx.Modules(ctx, arrangement)
		if err != nil {
			return err
		}
		agreed, err := w.terms.Duties(a.Source)
		if err != nil {
			return err
		}
		for _, m := range modules {
			s, named, err := w.standing(ctx, tx, a, m, agreed)
			if err != nil {
				return err
			}
			if named {
				out = append(out, s)
			}
		}
		return nil
	})
	return out, err
}

// silence is how long no server may be seen before that counts as the platform
// having been off. A tick comes every minute.
const silence = 10 * time.Minute

// Tick notices whether the platform was off, and takes every step that has
// fallen due. It may be run at any time, by several processes and after any
// interruption: each step is taken once.
func (w *Watch) Tick(ctx context.Context) error {
	now := w.now()
	before, err := w.pulse.Pulse(ctx, now)
	if err != nil {
		return err
	}
	if err := w.gap(ctx, before, now); err != nil {
		return err
	}
	var list []escrow.Arrangement
	err = w.db.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Arrangements(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range list {
		if err := w.look(ctx, a); err != nil {
			errs = append(errs, fmt.Errorf("duty of %s: %w", a.ID, err))
		}
	}
	return errors.Join(errs...)
}

// gap records that the platform was off, or that its clock stood wrong: a
// clock that was set ahead made a time off that never was, which is taken back
// when it is set right.
func (w *Watch) gap(ctx context.Context, before, now time.Time) error {
	ahead := !before.IsZero() && now.Before(before.Add(-silence))
	if before.IsZero() || !ahead && now.Sub(before) < silence {
		return nil
	}
	_, err := w.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		gaps, err := tx.Gaps(ctx)
		if err != nil {
			return nil, err
		}
		if !ahead {
			g := escrow.PlatformGap{From: before, To: now, Reason: "no server was at work, or its clock was set ahead"}
			if slices.ContainsFunc(gaps, func(o escrow.PlatformGap) bool { return o.From.Equal(g.From) }) {
				return nil, nil // another process was first
			}
			return []escrow.Act{{Kind: "platform.off", At: now, Actor: "server", Data: map[string]any{"from": text(g.From), "to": text(g.To),
				"note": "no deadline runs in this time"}}}, tx.PutGap(ctx, g)
		}
		var acts []escrow.Act
		for _, g := range gaps {
			if !g.To.After(now) {
				continue
			}
			g.To, g.Reason = latest(g.From, now), "the clock was set back"
			if err := tx.PutGap(ctx, g); err != nil {
				return nil, err
			}
			acts = append(acts, escrow.Act{Kind: "platform.clock_back", At: now, Actor: "server", Data: map[string]any{"from": text(g.From), "to": text(g.To), "was_at": text(before)}})
		}
		return acts, nil
	})
	return err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func text(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// look takes the steps that are due in one arrangement.
func (w *Watch) look(ctx context.Context, a escrow.Arrangement) error {
	var due []Standing
	err := w.db.View(ctx, func(tx Tx) error {
		modules, err := tx.Modules(ctx, a.ID)
		if err != nil {
			return err
		}
		agreed, err := w.terms.Duties(a.Source)
		if err != nil {
			return err
		}
		for _, m := range modules {
			s, named, err := w.standing(ctx, tx, a, m, agreed)
			if err != nil {
				return err
			}
			if named && len(w.open(s)) > 0 {
				due = append(due, s)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range due {
		if err := w.take(ctx, a.ID, s.Module.ID); err != nil {
			return err
		}
	}
	return nil
}

// The steps of the agent's own clock.
const (
	decideSoon = "decide_soon"
	decideLate = "decide_late"
)

// defective is the step of a deposit that lacks something agreed.
const defective = "defects"

// open lists the steps that have been reached and not been taken.
func (w *Watch) open(s Standing) []escrow.DutyStep {
	now := w.now()
	var out []escrow.DutyStep
	add := func(after int, step string, at time.Time, again bool) {
		taken := slices.ContainsFunc(s.Steps, func(t escrow.DutyStep) bool {
			// A ladder that a look has ended is climbed anew, after the same deposit.
			return t.After == after && t.Step == step && (!again || s.State.Current(t.EnteredAt))
		})
		if !at.IsZero() && !now.Before(at) && !taken {
			out = append(out, escrow.DutyStep{Arrangement: s.Module.Arrangement, Module: s.Module.ID, After: after, Step: step, EnteredAt: at, TakenAt: now})
		}
	}
	for _, step := range rules.Steps() {
		add(s.State.Last, string(step), s.State.Entered[step], true)
	}
	if s.State.Undecided > 0 {
		add(s.State.Waiting, decideSoon, s.State.HalfTime, false)
		add(s.State.Waiting, decideLate, s.State.DecideBy, false)
	}
	for _, d := range s.Found {
		if d.Deposit > 0 { // of an organisation each difference is a finding of its own
			add(d.Deposit, defective, d.FoundAt, false)
		}
	}
	return out
}

// take takes the steps of a module that are open, as they are in the
// transaction: what was looked at before may have moved on.
func (w *Watch) take(ctx context.Context, arrangement, module string) error {
	_, err := w.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return nil, err
		}
		agreed, err := w.terms.Duties(a.Source)
		if err != nil {
			return nil, err
		}
		s, named, err := w.standing(ctx, tx, a, m, agreed)
		if err != nil || !named {
			return nil, err
		}
		parties, err := w.audiences(a, m)
		if err != nil {
			return nil, err
		}
		language, err := w.terms.Language(a.Source)
		if err != nil {
			return nil, err
		}
		var acts []escrow.Act
		for _, step := range w.open(s) {
			fresh, err := tx.PutDutyStep(ctx, step)
			if err != nil {
				return nil, err
			}
			if !fresh {
				continue
			}
			told := parties(step.Step)
			if step.Step == defective && s.refused(step.After) {
				told = parties("refused")
			}
			for _, party := range told {
				if err := tx.PutNotice(ctx, noticeOf(s, step, party, language)); err != nil {
					return nil, err
				}
			}
			acts = append(acts, escrow.Act{Kind: "duty." + step.Step, At: step.TakenAt, Actor: "server", Arrangement: arrangement, Subject: module,
				Data: map[string]any{"module": module, "after_deposit": step.After, "since": text(step.EnteredAt), "missed": s.State.Count, "told": told}})
		}
		return acts, nil
	})
	return err
}

// audiences says who is told of a step: the depositor, then the agent, then
// those the material is held for.
func (w *Watch) audiences(a escrow.Arrangement, m escrow.Module) (func(step string) []string, error) {
	parties, err := w.terms.Parties(a.Source)
	if err != nil {
		return nil, err
	}
	owner, err := w.terms.Owner(a.Source, m.Instance)
	if err != nil {
		return nil, err
	}
	in := func(roles ...escrow.Role) []string {
		out := []string{}
		for _, p := range parties {
			if !slices.Contains(roles, p.Role) || p.Role == escrow.Beneficiary && owner != "" && p.ID != owner {
				continue
			}
			out = append(out, p.ID)
		}
		return out
	}
	return func(step string) []string {
		switch step {
		case string(rules.Reminder):
			return in(escrow.Supplier)
		case string(rules.Second):
			return in(escrow.Supplier, escrow.Agent)
		case decideSoon, decideLate:
			return in(escrow.Agent)
		case defective:
			return in(escrow.Supplier, escrow.Agent)
		}
		return in(escrow.Supplier, escrow.Agent, escrow.Beneficiary, escrow.Foundation)
	}, nil
}

// noticeOf writes a notice. Its id follows from what it is about, so that it
// is made once.
func noticeOf(s Standing, step escrow.DutyStep, party, language string) escrow.Notice {
	id := evidence.Digest([]byte(strings.Join([]string{step.Arrangement, step.Module, fmt.Sprint(step.After), step.Step, party, text(step.EnteredAt)}, "\x00")))
	n := escrow.Notice{Arrangement: step.Arrangement, ID: "n" + id[:16], Audience: party, Kind: "duty." + step.Step, Module: step.Module,
		Subject: subject(s, step.Step, language), DueAt: s.State.Missed, MadeAt: step.TakenAt}
	switch step.Step {
	case decideSoon, decideLate:
		n.DueAt = s.State.DecideBy
	case string(rules.Told):
		n.DueAt = s.State.Entered[rules.Event]
	case defective:
		n.DueAt, n.Subject = time.Time{}, lacking(s, step.After, language)
	}
	return n
}

// refused reports whether a deposit does not count as made.
func (s Standing) refused(number int) bool {
	return slices.ContainsFunc(s.Decisions, func(d escrow.Decision) bool { return d.Deposit == number && d.Refused })
}

// lacking says what a deposit lacks, the first of it in words.
func lacking(s Standing, number int, language string) string {
	for _, d := range s.Found {
		if d.Deposit != number {
			continue
		}
		en, nl := "lacks what was agreed", "mist wat is afgesproken"
		if s.refused(number) {
			en, nl = "was refused, it lacks what was agreed", "is geweigerd, er ontbreekt wat is afgesproken"
		}
		if language == "nl" {
			return fmt.Sprintf("Deposito %d van %s %s: %s", number, s.Module.ID, nl, d.Defects[0])
		}
		return fmt.Sprintf("Deposit %d of %s %s: %s", number, s.Module.ID, en, d.Defects[0])
	}
	return ""
}

func subject(s Standing, step, language string) string {
	module, count := s.Module.ID, s.State.Count
	if language == "nl" {
		switch step {
		case string(rules.Reminder):
			return fmt.Sprintf("Het deposito van %s had er moeten zijn", module)
		case string(rules.Second):
			return fmt.Sprintf("Het deposito van %s is gemist", module)
		case string(rules.Told):
			return fmt.Sprintf("Van %s zijn %d deposito's op rij gemist", module, count)
		case string(rules.Event):
			return fmt.Sprintf("Van %s zijn %d deposito's op rij gemist en niet hersteld: de gebeurtenis is er", module, count)
		case decideSoon:
			return fmt.Sprintf("Deposito %d van %s wacht op uw beoordeling", s.State.Undecided, module)
		}
		return fmt.Sprintf("Deposito %d van %s is niet op tijd beoordeeld", s.State.Undecided, module)
	}
	switch step {
	case string(rules.Reminder):
		return fmt.Sprintf("The deposit of %s is due", module)
	case string(rules.Second):
		return fmt.Sprintf("The deposit of %s was missed", module)
	case string(rules.Told):
		return fmt.Sprintf("%d deposits of %s in a row were missed", count, module)
	case string(rules.Event):
		return fmt.Sprintf("%d deposits of %s in a row were missed and not made good: the event is there", count, module)
	case decideSoon:
		return fmt.Sprintf("Deposit %d of %s waits for your word", s.State.Undecided, module)
	}
	return fmt.Sprintf("Deposit %d of %s was not decided on in time", s.State.Undecided, module)
}
