// Package compare says in words what changed between two versions of an
// agreement, what that means, and which parts must be signed again by whom.
//
// It may import document and escrow. It does no I/O and keeps no state.
package compare

import (
	"slices"

	"holdfast/internal/document"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// Report is a comparison.
type Report struct {
	Arrangement string      `json:"arrangement"`
	From        int         `json:"from"` // versions
	To          int         `json:"to"`
	Changes     []Change    `json:"changes"`
	Parts       []Part      `json:"parts"` // in the order of the new version; ended ones last
	Wording     []Rewording `json:"wording"`
	TestsOnly   bool        `json:"tests_only,omitempty"` // nothing changed but the agreement's test cases
	Unchanged   bool        `json:"unchanged"`
}

// Change is one thing that is different, and what follows from it.
type Change struct {
	What  string `json:"what"`
	Means string `json:"means,omitempty"`
	Grave bool   `json:"grave,omitempty"` // it becomes easier to open, or harder to stop
}

// Why says why a part must be signed again.
type Why string

// The reasons.
const (
	New     Why = "new"      // the part did not exist
	Changed Why = "changed"  // it says something else, or other people sign it
	RestsOn Why = "rests_on" // a part it rests on changed
	Ended   Why = "ended"    // the part is no longer there
	Same    Why = "same"     // nothing to sign
)

// Part is what happens to the signatures of one part.
type Part struct {
	ID   string   `json:"id"`
	Why  Why      `json:"why"`
	On   []string `json:"on,omitempty"`   // the changed parts it rests on
	Sign []string `json:"sign,omitempty"` // ids of the parties that sign again
}

// Rewording is the clauses of parts that read differently.
type Rewording struct {
	Parts   []string           `json:"parts"`
	Clauses []document.Wording `json:"clauses"`
}

// Compare compares two versions of one arrangement. It refuses two texts that
// are about different ones.
func Compare(former, now *agreement.Agreement, l phrase.Lang) (*Report, error) {
	if former.ID != now.ID {
		return nil, escrow.Errorf(escrow.Invalid, "the texts are about different arrangements: %s and %s", former.ID, now.ID).
			WithHint("compare two versions of one arrangement")
	}
	r := &Report{Arrangement: now.ID, From: former.Version, To: now.Version, Changes: []Change{}, Parts: []Part{}, Wording: []Rewording{}}
	c := &comparison{Lang: l, former: former, now: now, was: document.NewWords(former, l), is: document.NewWords(now, l)}
	c.parties()
	c.keys()
	c.modules()
	c.stages()
	c.events()
	c.release()
	c.services()
	c.money()
	c.general()
	r.Changes = append(r.Changes, c.changes...)
	if err := r.parts(former, now, l); err != nil {
		return nil, err
	}
	same := !slices.ContainsFunc(r.Parts, func(p Part) bool { return p.Why != Same })
	before, err := former.Digest()
	if err != nil {
		return nil, err
	}
	after, err := now.Digest()
	if err != nil {
		return nil, err
	}
	r.Unchanged = before == after
	r.TestsOnly = same && len(r.Changes) == 0 && !r.Unchanged
	return r, nil
}

// parts finds out which parts must be signed again, and how they read now.
func (r *Report) parts(former, now *agreement.Agreement, l phrase.Lang) error {
	before := part.IDs(former)
	changed := map[string]bool{}
	for _, id := range part.IDs(now) {
		v, err := part.Of(now, id)
		if err != nil {
			return err
		}
		p := Part{ID: id, Why: New, Sign: v.Part.Parties}
		if slices.Contains(before, id) {
			old, err := part.Of(former, id)
			if err != nil {
				return err
			}
			switch {
			case old.OwnDigest() != v.OwnDigest():
				p.Why = Changed
				if err := r.reworded(former, now, id, l); err != nil {
					return err
				}
			case old.Digest() != v.Digest():
				p.Why = RestsOn
			default:
				p.Why, p.Sign = Same, nil
			}
		}
		changed[id] = p.Why == Changed || p.Why == RestsOn
		if p.Why == RestsOn {
			for _, other := range v.Part.RestsOn {
				was, errWas := part.Of(former, other)
				is, errIs := part.Of(now, other)
				if errWas != nil || errIs != nil || was.Digest() != is.Digest() {
					p.On = append(p.On, other)
				}
			}
		}
		r.Parts = append(r.Parts, p)
	}
	after := part.IDs(now)
	for _, id := range before {
		if !slices.Contains(after, id) {
			r.Parts = append(r.Parts, Part{ID: id, Why: Ended})
		}
	}
	return nil
}

// reworded adds how the clauses of a part read; parts that were reworded in
// the same way share an entry.
func (r *Report) reworded(former, now *agreement.Agreement, id string, l phrase.Lang) error {
	old, err := document.Part(former, id, l)
	if err != nil {
		return err
	}
	cur, err := document.Part(now, id, l)
	if err != nil {
		return err
	}
	clauses := document.Wordings(cur, old)
	if len(clauses) == 0 {
		return nil
	}
	for i := range r.Wording {
		if slices.Equal(r.Wording[i].Clauses, clauses) {
			r.Wording[i].Parts = append(r.Wording[i].Parts, id)
			return nil
		}
	}
	r.Wording = append(r.Wording, Rewording{Parts: []string{id}, Clauses: clauses})
	return nil
}
