package release_test

import (
	"crypto/rand"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/release"
)

// TestNobodySaysThatThereIsAQuorum: what follows from notices, statements and
// approvals cannot be claimed by moving the case. The engine has no database
// here, so anything that is not refused at once would panic.
func TestNobodySaysThatThereIsAQuorum(t *testing.T) {
	r := release.New(nil, nil, time.Now, rand.Reader)
	for _, event := range []escrow.CaseEvent{escrow.EventQuorum, escrow.EventNotice, escrow.EventRequestApprove} {
		_, err := r.Step(t.Context(), escrow.Actor{Role: escrow.Agent}, "a", "case-1", event, "because")
		if escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%s: %v", event, err)
		}
	}
}
