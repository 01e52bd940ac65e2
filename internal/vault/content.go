package vault

import (
	"context"
	"slices"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// lacking compares a deposit with what must be in it, and records what it
// lacks. It is taken in all the same: what came is better than nothing. Where
// somebody has to judge deposits the defects are laid before them; where nobody
// does, they decide, and the deposit does not count as made.
func (v *Vault) lacking(ctx context.Context, tx Tx, m *evidence.DepositManifest, d escrow.Deposit) ([]escrow.Act, error) {
	a, err := tx.Arrangement(ctx, d.Arrangement)
	if err != nil {
		return nil, err
	}
	items, decides, err := v.terms.Content(a.Source, d.Module)
	if err != nil {
		return nil, err
	}
	module, err := tx.Module(ctx, d.Arrangement, d.Module)
	if err != nil || module.Source.Mode == escrow.Restic { // its names are its depositor's alone
		return nil, err
	}
	defects := defectsOf(items, m)
	if len(defects) == 0 {
		return nil, nil
	}
	if err := tx.PutDefects(ctx, escrow.FoundDefects{Arrangement: d.Arrangement, Module: d.Module, Deposit: d.Number, Defects: defects, FoundAt: d.AcceptedAt}); err != nil {
		return nil, err
	}
	act := escrow.Act{Kind: evidence.ActFindingContent, At: d.AcceptedAt, Actor: escrow.ByIntake, Arrangement: d.Arrangement, Subject: d.Digest,
		Data: map[string]any{"module": d.Module, "deposit": d.Number, "defects": defects}}
	if !decides {
		return []escrow.Act{act}, nil
	}
	word := escrow.Decision{Arrangement: d.Arrangement, Module: d.Module, Deposit: d.Number, Refused: true, Defects: defects, Party: escrow.ByIntake,
		Note: "found by the check at intake", DecidedAt: d.AcceptedAt}
	refused := escrow.Act{Kind: "deposit.refused", At: d.AcceptedAt, Actor: escrow.ByIntake, Arrangement: d.Arrangement, Subject: d.Digest,
		Data: map[string]any{"module": d.Module, "number": d.Number, "defects": defects, "note": word.Note, "late": false}}
	return []escrow.Act{act, refused}, tx.PutDecision(ctx, word)
}

// maxDefects keeps what is recorded of one deposit small.
const maxDefects = 100

// defectsOf says what a deposit lacks, where and what. The names in a deposit
// are sealed: what is in it, whoever checked it says. A depositor who keeps
// silent about a name that its own machine can look for is taken not to have it.
func defectsOf(items []string, m *evidence.DepositManifest) []string {
	said := m.Content
	if said == nil {
		said = &evidence.ContentCheck{}
	}
	var out []string
	for _, item := range items {
		switch {
		case slices.Contains(said.Held, item):
		case slices.Contains(said.Missing, item):
			out = append(out, shorten(item)+": it is not in the deposit, and the agreement says that it must be")
		case m.Checked.By == evidence.CheckedByDepositor:
			out = append(out, shorten(item)+": the depositor does not say whether it is in the deposit, and the agreement says that it must be")
		}
	}
	if n := len(out); n > maxDefects {
		out = out[:maxDefects]
	}
	return out
}
