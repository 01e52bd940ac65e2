package duty

import (
	"context"
	"fmt"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

const (
	maxDefects = 100
	maxText    = 1000
)

// Decide records what the agent says about a deposit: that it is what was
// agreed, to which level, or that it is refused, with what is wrong and where.
// A refused deposit stays where it is and does not count as made.
func (w *Watch) Decide(ctx context.Context, actor escrow.Actor, d escrow.Decision) (escrow.Decision, error) {
	switch {
	case d.Refused && len(d.Defects) == 0:
		return d, escrow.Errorf(escrow.Invalid, "a deposit is refused for defects, and none is named").WithHint("say where and what: --defect 'README.md: it does not say how to build'")
	case !d.Refused && len(d.Defects) > 0:
		return d, escrow.Errorf(escrow.Invalid, "a deposit with defects is refused, not accepted")
	case d.Refused && d.Level != 0, !d.Refused && (d.Level < 1 || d.Level > 4):
		return d, escrow.Errorf(escrow.Invalid, "level %d does not go with that", d.Level).WithHint("1 integrity, 2 content, 3 build or restore, 4 operate; none for a refused one")
	case len(d.Defects) > maxDefects || len(d.Note) > maxText:
		return d, escrow.Errorf(escrow.Invalid, "that is more than a decision holds: at most %d defects, %d bytes of note", maxDefects, maxText)
	}
	for _, defect := range d.Defects {
		where, what, ok := strings.Cut(defect, ": ")
		if !ok || strings.TrimSpace(where) == "" || strings.TrimSpace(what) == "" || len(defect) > maxText {
			return d, escrow.Errorf(escrow.Invalid, "the defect %.80q does not say where and what", defect).WithHint("write it like 'README.md: it does not say how to build'")
		}
	}
	d.Party, d.Person, d.DecidedAt = actor.Party, actor.Person, w.now()
	_, err := w.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		a, err := tx.Arrangement(ctx, d.Arrangement)
		if err != nil {
			return nil, err
		}
		m, err := tx.Module(ctx, d.Arrangement, d.Module)
		if err != nil {
			return nil, err
		}
		agreed, err := w.terms.Duties(a.Source)
		if err != nil {
			return nil, err
		}
		s, named, err := w.standing(ctx, tx, a, m, agreed)
		if err != nil {
			return nil, err
		}
		heads, err := tx.DepositHeads(ctx, d.Arrangement, d.Module)
		if err != nil {
			return nil, err
		}
		if d.Deposit < 1 || d.Deposit > len(heads) {
			return nil, escrow.Errorf(escrow.NotFound, "module %q has no deposit %d", d.Module, d.Deposit)
		}
		if !d.Refused && named && d.Level < s.Terms.Level {
			return nil, escrow.Errorf(escrow.Conflict, "module %s is accepted at level %d, not at %d", d.Module, s.Terms.Level, d.Level).
				WithHint("verify it to that level first, or refuse it with what stands in the way")
		}
		if err := tx.PutDecision(ctx, d); err != nil {
			return nil, err
		}
		act := escrow.Act{Kind: "deposit.agreed", At: d.DecidedAt, Actor: actor.String(), Arrangement: d.Arrangement, Subject: heads[d.Deposit-1].Digest,
			Data: map[string]any{"module": d.Module, "number": d.Deposit, "level": d.Level, "note": d.Note, "late": s.State.Late}}
		if !d.Refused {
			return []escrow.Act{act}, tx.PutVerified(ctx, escrow.Verified{Arrangement: d.Arrangement, Module: d.Module, Deposit: d.Deposit, Level: d.Level,
				Party: d.Party, Person: d.Person, Note: orElse(d.Note, "accepted"), At: d.DecidedAt})
		}
		act.Kind = "deposit.refused"
		act.Data = map[string]any{"module": d.Module, "number": d.Deposit, "defects": d.Defects, "note": d.Note, "late": s.State.Late}
		return []escrow.Act{act}, w.tellRefused(ctx, tx, a, m, d)
	})
	return d, err
}

func orElse(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}

// tellRefused tells the depositor, and those who rely on the deposit.
func (w *Watch) tellRefused(ctx context.Context, tx Tx, a escrow.Arrangement, m escrow.Module, d escrow.Decision) error {
	language, err := w.terms.Language(a.Source)
	if err != nil {
		return err
	}
	told, err := w.audiences(a, m)
	if err != nil {
		return err
	}
	for _, party := range told("refused") {
		if party == d.Party {
			continue
		}
		id := evidence.Digest(fmt.Appendf(nil, "%s\x00%s\x00%d\x00refused\x00%s\x00%d", d.Arrangement, d.Module, d.Deposit, party, d.DecidedAt.UnixMicro()))
		n := escrow.Notice{Arrangement: d.Arrangement, ID: "n" + id[:16], Audience: party, Kind: "deposit.refused", Module: d.Module, MadeAt: d.DecidedAt,
			Subject: fmt.Sprintf("Deposit %d of %s was refused: %s", d.Deposit, d.Module, d.Defects[0])}
		if language == "nl" {
			n.Subject = fmt.Sprintf("Deposito %d van %s is geweigerd: %s", d.Deposit, d.Module, d.Defects[0])
		}
		if err := tx.PutNotice(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// Announce records that a new version of a module's software is there: where
// the agreement says so, a deposit of it is due.
func (w *Watch) Announce(ctx context.Context, actor escrow.Actor, r escrow.SoftwareRelease) error {
	if strings.TrimSpace(r.Version) == "" || len(r.Version) > 100 {
		return escrow.Errorf(escrow.Invalid, "the version %.40q is empty or longer than 100 bytes", r.Version)
	}
	r.Party, r.Person, r.AnnouncedAt = actor.Party, actor.Person, w.now()
	_, err := w.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if _, err := tx.Module(ctx, r.Arrangement, r.Module); err != nil {
			return nil, err
		}
		if err := tx.PutRelease(ctx, r); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "release.announced", At: r.AnnouncedAt, Actor: actor.String(), Arrangement: r.Arrangement, Subject: r.Module,
			Data: map[string]any{"module": r.Module, "version": r.Version}}}, nil
	})
	return err
}

// maxNotices is how many notices are shown at once.
const maxNotices = 500

// Notices returns the newest notices to a party, or to everybody for "".
func (w *Watch) Notices(ctx context.Context, arrangement, audience string) ([]escrow.Notice, error) {
	var list []escrow.Notice
	err := w.db.View(ctx, func(tx Tx) (err error) {
		if _, err := tx.Arrangement(ctx, arrangement); err != nil {
			return err
		}
		list, err = tx.Notices(ctx, arrangement, audience, maxNotices)
		return err
	})
	return list, err
}
