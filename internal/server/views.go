package server

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/store"
)

// views tells the API how much of an arrangement an actor sees. A text and a
// party always give the same sight, and a text does not change: what was
// worked out is kept.
type views struct {
	db  *store.DB
	now func() time.Time

	mu    sync.Mutex
	seen  map[sightKey]part.Sight
	names map[string]map[string][]string // of a text's customers, by its digest
}

type sightKey struct{ arrangement, digest, party string }

// keptSights bounds what is kept.
const keptSights = 4096

func newViews(db *store.DB, now func() time.Time) *views {
	return &views{db: db, now: now, seen: map[sightKey]part.Sight{}, names: map[string]map[string][]string{}}
}

// wording is one text of an arrangement.
type wording struct {
	digest  string
	source  []byte
	counts  bool // it is, was or may come into force: what it lets a party see, it sees
	inForce bool
}

// View implements api.Views. A party sees what the text in force lets it see,
// what the former ones did, and what one does that is open to be read and
// signed. Whom all of those hide from it, it does not see.
func (v *views) View(ctx context.Context, actor escrow.Actor, arrangement string) (escrow.View, error) {
	if actor.Role == escrow.Administrator {
		return escrow.View{All: true, Text: true}, nil
	}
	var modules []escrow.Module
	var cases []escrow.Case
	var texts []wording
	err := v.db.View(ctx, func(tx *store.Tx) (err error) {
		if texts, err = v.texts(ctx, tx, arrangement); err != nil {
			return err
		}
		if modules, err = tx.Modules(ctx, arrangement); err != nil {
			return err
		}
		cases, err = tx.Cases(ctx, arrangement)
		return err
	})
	if err != nil {
		return escrow.View{}, err
	}
	out := escrow.View{Self: actor.Party, Runs: escrow.Allow(actor, escrow.RecordAuthority, arrangement) == nil,
		Parties: map[string]bool{}, People: map[string]bool{}, Modules: map[string]bool{}, Keys: map[string]escrow.KeyView{}, Cases: map[string]escrow.Case{}, Parts: map[string]bool{}}
	whole := false
	for _, t := range texts {
		if !t.counts {
			continue
		}
		s, err := v.sight(arrangement, t, actor.Party)
		if err != nil {
			return escrow.View{}, err
		}
		for _, add := range []struct{ to, from map[string]bool }{{out.Parties, s.Known}, {out.People, s.People}, {out.Modules, s.Modules}, {out.Parts, s.Parts}} {
			for id, yes := range add.from {
				add.to[id] = add.to[id] || yes
			}
		}
		for id, r := range s.Compartments {
			k := out.Keys[id]
			out.Keys[id] = escrow.KeyView{Holds: k.Holds || r.Holds, Receives: k.Receives || r.Receives, Deals: k.Deals || r.Deals}
		}
		if t.inForce {
			out.Text, whole = s.Whole, s.Whole
		}
	}
	for _, t := range texts {
		customers, err := v.customers(arrangement, t)
		if err != nil {
			return escrow.View{}, err
		}
		for id, words := range customers {
			if !out.Parties[id] {
				out.Hidden = append(out.Hidden, words...)
			}
		}
	}
	slices.Sort(out.Hidden)
	out.Hidden = slices.Compact(out.Hidden)
	if whole && len(out.Hidden) == 0 {
		return escrow.View{All: true, Text: true}, nil
	}
	for _, m := range modules { // one that no text names any more is for those who run the arrangement
		if _, named := out.Modules[m.ID]; !named && escrow.OrganisationOf(m.ID) == "" {
			out.Modules[m.ID] = out.Runs || actor.Role == escrow.Supplier
		}
	}
	for _, c := range cases {
		out.Cases[c.ID] = c
	}
	return out, nil
}

// texts lists every text of an arrangement.
func (v *views) texts(ctx context.Context, tx *store.Tx, arrangement string) ([]wording, error) {
	var out []wording
	versions, err := tx.AgreementVersions(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	last, err := tx.Arrangement(ctx, arrangement)
	if escrow.CodeOf(err) == escrow.NotFound && len(versions) > 0 {
		err = nil // it is being signed for the first time
	}
	if err != nil {
		return nil, err
	}
	for n := 1; n <= last.Version; n++ {
		a := last
		if n < last.Version {
			if a, err = tx.ArrangementVersion(ctx, arrangement, n); err != nil {
				return nil, err
			}
		}
		out = append(out, wording{a.Digest, a.Source, true, n == last.Version})
	}
	now := v.now()
	for _, x := range versions {
		if x.State != escrow.VersionActive { // which is among those above
			out = append(out, wording{x.Digest, x.Source, x.Open(now), false})
		}
	}
	return out, nil
}

func (v *views) sight(arrangement string, t wording, party string) (part.Sight, error) {
	key := sightKey{arrangement, t.digest, party}
	v.mu.Lock()
	s, known := v.seen[key]
	v.mu.Unlock()
	if known {
		return s, nil
	}
	parsed, problems := agreement.Parse(arrangement, t.source)
	if parsed == nil {
		return s, agreement.Refusal(problems)
	}
	s, err := part.Sees(parsed, party)
	if err != nil {
		return s, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= keptSights {
		clear(v.seen)
	}
	v.seen[key] = s
	return s, nil
}

// customers returns the names by which the customers of a text can be told.
func (v *views) customers(arrangement string, t wording) (map[string][]string, error) {
	v.mu.Lock()
	list, known := v.names[t.digest]
	v.mu.Unlock()
	if known {
		return maps.Clone(list), nil
	}
	parsed, problems := agreement.Parse(arrangement, t.source)
	if parsed == nil {
		return nil, agreement.Refusal(problems)
	}
	list = part.Customers(parsed)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.names) >= keptSights {
		clear(v.names)
	}
	v.names[t.digest] = list
	return list, nil
}
