package server

import (
	"context"
	"slices"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/store"
)

// views tells the API how much of an arrangement an actor sees.
type views struct{ db *store.DB }

// View implements api.Views.
func (v views) View(ctx context.Context, actor escrow.Actor, arrangement string) (escrow.View, error) {
	if actor.Role == escrow.Administrator {
		return escrow.View{All: true, Text: true}, nil
	}
	var source []byte
	var modules []escrow.Module
	var cases []escrow.Case
	var left []escrow.Leaving
	err := v.db.View(ctx, func(tx *store.Tx) error {
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return err
		}
		source = a.Source
		if modules, err = tx.Modules(ctx, arrangement); err != nil {
			return err
		}
		if left, err = tx.Leavings(ctx, arrangement); err != nil {
			return err
		}
		cases, err = tx.Cases(ctx, arrangement)
		return err
	})
	if escrow.CodeOf(err) == escrow.NotFound && actor.Role != escrow.Beneficiary {
		return escrow.View{All: true}, nil // nothing is in force: there is no text yet, and nobody to hide
	}
	if err != nil {
		return escrow.View{}, err
	}
	parsed, problems := agreement.Parse(arrangement, source)
	if parsed == nil {
		return escrow.View{}, agreement.Refusal(problems)
	}
	e := parsed.Expand()
	// Whatever its role, a party reads the whole text only if it reads every
	// part of it.
	all := escrow.View{All: true, Text: readsAll(parsed, e, actor.Party)}
	if actor.Role != escrow.Beneficiary {
		return all, nil
	}
	out := escrow.View{Text: all.Text, Others: map[string]bool{}, Modules: map[string]string{},
		Compartments: map[string]string{}, Cases: map[string]escrow.Case{}, Parts: map[string]bool{}}
	for _, p := range e.Parties {
		if p.Role == escrow.Beneficiary && p.ID != actor.Party {
			out.Others[p.ID] = true
		}
	}
	for _, l := range left { // the text does not name it any more, and it is still another
		if l.Left() && l.Party != actor.Party {
			out.Others[l.Party] = true
		}
	}
	if len(out.Others) == 0 {
		return all, nil
	}
	for _, m := range modules {
		out.Modules[m.ID] = ownerOf(parsed, m.Instance)
	}
	for _, l := range left {
		for _, id := range l.Modules {
			out.Modules[id] = l.Party
		}
	}
	for _, c := range e.Compartments {
		out.Compartments[c.ID] = ownerOf(parsed, c.Instance)
	}
	for _, p := range e.Parts {
		out.Parts[p.ID] = slices.Contains(p.Parties, actor.Party) || slices.Contains(p.Readers, actor.Party)
	}
	for _, c := range cases {
		out.Cases[c.ID] = c
	}
	return out, nil
}

// readsAll reports whether a party signs or reads every part of the agreement,
// as it does when it has no parts.
func readsAll(a *agreement.Agreement, e *agreement.Expanded, party string) bool {
	if len(a.Parts) == 0 {
		return true
	}
	for _, p := range e.Parts {
		reads := false
		for _, list := range [][]string{p.Parties, p.Readers} {
			for _, id := range list {
				reads = reads || id == party
			}
		}
		if !reads {
			return false
		}
	}
	return true
}
