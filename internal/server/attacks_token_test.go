package server_test

import (
	"strings"
	"testing"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// TestTokensEndWithTheirParty: who leaves the agreement, or gets another role
// in it, does not go on with the old role's token.
func TestTokensEndWithTheirParty(t *testing.T) {
	in := install(t, nil)
	ctx := t.Context()
	expert, notary, foundation := in.as("expert"), in.as("notary"), in.as("foundation")
	text := strings.NewReplacer("version: 1", "version: 2\nreplaces: "+in.digest,
		"  - {id: expert, role: trustee, name: Example Experts B.V.}\n", "",
		"notary, accountant, expert]", "notary, accountant]",
		"{id: foundation, role: foundation,", "{id: foundation, role: trustee,").Replace(string(agreementText(t)))
	if _, err := in.admin.RegisterAgreement(ctx, []byte(text)); err != nil {
		t.Fatal(err)
	}
	for name, cl := range map[string]*client.Client{"a party that left": expert, "a party in another role": foundation} {
		if _, err := cl.Arrangement(ctx, arrangementID); code(err) != escrow.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := notary.Arrangement(ctx, arrangementID); err != nil {
		t.Errorf("a party that stayed: %v", err)
	}
}
