package server

import (
	"context"
	"errors"
	"time"

	"holdfast/client"
	"holdfast/internal/duty"
	"holdfast/internal/escrow/agreement"
	rules "holdfast/internal/escrow/duty"
	"holdfast/internal/store"
)

var _ duty.Tx = (*store.Tx)(nil)

// watch shows the duty engine to the API.
type watch struct{ *duty.Watch }

// Standing implements api.Duty.
func (w watch) Standing(ctx context.Context, arrangement string, pick func(module string) bool) ([]client.Duty, error) {
	list, err := w.Watch.List(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	out := []client.Duty{}
	for _, s := range list {
		if !pick(s.Module.ID) {
			continue
		}
		o := client.Duty{Module: s.Module.ID, Last: s.State.Last, Due: given(s.State.Due), Missed: given(s.State.Missed), Count: s.State.Count, Step: string(s.State.Step),
			Level: s.Terms.Level, Undecided: s.State.Undecided, DecideBy: given(s.State.DecideBy), Late: s.State.Late, Mandatory: s.Terms.Mandatory, Optional: s.Terms.Optional}
		if s.State.Last > 0 {
			o.LastAt = given(s.State.LastAt)
		}
		for _, step := range rules.Steps() {
			if at, ok := s.State.Entered[step]; ok && o.Next == nil && step != s.State.Step && !passed(s.State.Step, step) {
				o.Next = given(at)
			}
		}
		for _, d := range s.Decisions {
			if d.Refused {
				o.Refused = append(o.Refused, client.Refused{Deposit: d.Deposit, Defects: d.Defects})
			}
		}
		for _, d := range s.Found {
			o.Found = append(o.Found, client.Refused{Deposit: d.Deposit, Defects: d.Defects})
		}
		for _, t := range s.Steps {
			if t.After == s.State.Last && s.State.Step != rules.OnTime && s.State.Current(t.EnteredAt) || s.State.Undecided > 0 && t.After == s.State.Waiting {
				o.Taken = append(o.Taken, client.DutyStep{Step: t.Step, Since: t.EnteredAt.UTC(), TakenAt: t.TakenAt.UTC()})
			}
		}
		out = append(out, o)
	}
	return out, nil
}

// passed reports whether a ladder that stands at one step has left another
// behind.
func passed(at, step rules.Step) bool {
	for _, s := range rules.Steps() {
		switch s {
		case step:
			return at != rules.OnTime
		case at:
			return false
		}
	}
	return false
}

// given leaves zero times out.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Duties implements duty.Terms.
func (terms) Duties(source []byte) (func(module string) (rules.Terms, bool), error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return nil, agreement.Refusal(problems)
	}
	return parsed.Duty, nil
}

// Language implements duty.Terms.
func (terms) Language(source []byte) (string, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return "", agreement.Refusal(problems)
	}
	return string(parsed.Language), nil
}

// tickEvery is how often it is looked whether steps have fallen due.
const tickEvery = time.Minute

// watchDuty takes the steps that fall due until ctx ends.
func (s *Server) watchDuty(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		if err := s.duty.Tick(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.options.Log.ErrorContext(ctx, "watch over the duty to deposit", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
