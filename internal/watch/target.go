package watch

import (
	"context"
	"encoding/json"
	"regexp"
	"time"
	"unicode"

	"holdfast/internal/escrow"
	"holdfast/internal/probe"
)

// maxTargets bounds the targets of one arrangement.
const maxTargets = 20000

// NewTarget is what somebody wants to be watched.
type NewTarget struct {
	ID        string
	Component string
	Party     string // the customer whose own it is; "" for all
	Probe     []byte // a target of package probe, as JSON
}

// SetTarget adds a target or changes it. What the agreement says about how the
// component is measured holds where the target does not say it itself.
func (w *Watch) SetTarget(ctx context.Context, actor escrow.Actor, arrangement string, n NewTarget) (escrow.WatchTarget, error) {
	out := escrow.WatchTarget{Arrangement: arrangement, ID: n.ID, Component: n.Component, Party: n.Party, SetBy: actor.String(), SetAt: w.o.Now().UTC().Truncate(time.Microsecond)}
	if ok, _ := regexp.MatchString(`^[a-z0-9][a-z0-9._-]{0,62}$`, n.ID); !ok {
		return out, escrow.Errorf(escrow.Invalid, "%.80q is no id of a target", n.ID).WithHint("use small letters, digits, dots, underscores and dashes, at most 63")
	}
	_, err := w.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		said, err := w.o.Terms.Watched(a.Source, n.Component, n.Party)
		if err != nil {
			return nil, err
		}
		p, err := fill(n.Probe, said)
		if err != nil {
			return nil, err
		}
		plain, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		out.Kind, out.Every = string(p.Kind), time.Duration(p.Every)
		if p.Kind == probe.Push { // how often it is looked whether a report came
			look := 30 * time.Second
			if out.Every > 0 {
				look = min(look, max(probe.MinEvery, out.Every/10))
			}
			out.Every = look
		}
		if out.Shown, err = json.Marshal(p.Shown()); err != nil {
			return nil, err
		}
		if out.Sealed, err = w.o.Secrets.Seal(plain); err != nil {
			return nil, err
		}
		list, err := tx.WatchTargets(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		if len(list) >= maxTargets {
			return nil, escrow.Errorf(escrow.Full, "%d targets are watched or were", len(list))
		}
		if err := tx.PutWatchTarget(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "watch.target_set", At: out.SetAt, Actor: actor.String(), Arrangement: arrangement, Subject: n.ID,
			Data: map[string]any{"target": n.ID, "component": n.Component, "kind": out.Kind, "every": out.Every.String()}}}, nil
	})
	return out, err
}

// fill reads a target and takes from the agreement what it does not say.
func fill(data []byte, said Measuring) (probe.Target, error) {
	t, err := probe.Parse(data) // refuses what is not one before anything is added
	if err != nil {
		return t, err
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(data, &own); err != nil {
		return t, escrow.Errorf(escrow.Invalid, "target: %w", err)
	}
	if _, ok := own["every"]; !ok && said.Every > 0 && t.Schedule == "" {
		t.Every = probe.Duration(max(said.Every, probe.MinEvery))
	}
	if _, ok := own["timeout"]; !ok {
		if said.Timeout > 0 {
			t.Timeout = probe.Duration(said.Timeout)
		}
		if t.Kind != probe.Push {
			t.Timeout = min(t.Timeout, t.Every)
		}
	}
	if t.Kind == probe.HTTP && t.Redirects == "" {
		t.Redirects = said.Redirects
	}
	return t.Checked()
}

// RemoveTarget ends the watching of a target. What was seen stays.
func (w *Watch) RemoveTarget(ctx context.Context, actor escrow.Actor, arrangement, id string) error {
	_, err := w.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		t, err := tx.WatchTarget(ctx, arrangement, id)
		if err != nil {
			return nil, err
		}
		if !t.RemovedAt.IsZero() {
			return nil, escrow.Errorf(escrow.Conflict, "%s is watched no more since %s", id, t.RemovedAt.Format(time.RFC3339))
		}
		t.RemovedAt, t.Sealed, t.SetBy = w.o.Now().UTC().Truncate(time.Microsecond), nil, actor.String()
		if err := tx.PutWatchTarget(ctx, t); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "watch.target_removed", At: t.RemovedAt, Actor: actor.String(), Arrangement: arrangement, Subject: id, Data: map[string]any{"target": id}}}, nil
	})
	return err
}

// Beat takes a report of a target that reports by itself.
func (w *Watch) Beat(ctx context.Context, arrangement, id string, failed bool, note string) error {
	if len(note) > 200 || containsControl(note) {
		return escrow.Errorf(escrow.Invalid, "the note has more than 200 bytes or characters that are not shown")
	}
	err := w.o.DB.View(ctx, func(tx Tx) error {
		t, err := tx.WatchTarget(ctx, arrangement, id)
		if err == nil && (t.Kind != string(probe.Push) || !t.RemovedAt.IsZero()) {
			err = escrow.Errorf(escrow.Conflict, "%s is not a target that reports by itself", id)
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.o.Journal.PutWatchBeat(ctx, escrow.WatchBeat{Arrangement: arrangement, Target: id, At: w.o.Now().UTC().Truncate(time.Microsecond), Failed: failed, Note: note})
}

func containsControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 {
			return true
		}
	}
	return false
}

// Standing is a target with how it stands, as each place saw it last.
type Standing struct {
	escrow.WatchTarget
	Places []escrow.WatchNow
}

// Standings lists the targets of an arrangement that are watched.
func (w *Watch) Standings(ctx context.Context, arrangement string) ([]Standing, error) {
	var out []Standing
	err := w.o.DB.View(ctx, func(tx Tx) error {
		out = nil
		list, err := tx.WatchTargets(ctx, arrangement)
		if err != nil {
			return err
		}
		nows, err := tx.WatchNows(ctx, arrangement)
		if err != nil {
			return err
		}
		by := map[string][]escrow.WatchNow{}
		for _, n := range nows {
			by[n.Target] = append(by[n.Target], n)
		}
		for _, t := range list {
			if t.RemovedAt.IsZero() {
				out = append(out, Standing{t, by[t.ID]})
			}
		}
		return nil
	})
	return out, err
}

// Target returns one target, whether it is watched still or not.
func (w *Watch) Target(ctx context.Context, arrangement, id string) (t escrow.WatchTarget, err error) {
	err = w.o.DB.View(ctx, func(tx Tx) error {
		t, err = tx.WatchTarget(ctx, arrangement, id)
		return err
	})
	return t, err
}
