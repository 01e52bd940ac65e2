package retention

import (
	"context"
	"slices"

	rules "holdfast/internal/escrow/retention"
)

// left returns what is agreed about a module of a beneficiary that has left:
// the contract has ended for it, and nothing but a legal hold keeps what was
// deposited. The text in force does not name the module any more.
func left(ctx context.Context, tx Reader, arrangement, module string, agreed rules.Policy) (rules.Policy, error) {
	list, err := tx.Leavings(ctx, arrangement)
	if err != nil {
		return agreed, err
	}
	for _, l := range list {
		if l.Left() && slices.Contains(l.Modules, module) {
			return rules.Policy{EndsAt: l.EndedAt}, nil
		}
	}
	return agreed, nil
}
