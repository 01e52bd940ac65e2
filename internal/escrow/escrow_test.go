package escrow_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"holdfast/internal/escrow"
)

// TestAllowMatrix states for every action which roles may do it. What is not
// in the row is refused, the administrator included: he can run the machine
// and open nothing.
func TestAllowMatrix(t *testing.T) {
	all := escrow.Roles()
	except := func(out ...escrow.Role) []escrow.Role {
		var list []escrow.Role
	next:
		for _, r := range all {
			for _, o := range out {
				if r == o {
					continue next
				}
			}
			list = append(list, r)
		}
		return list
	}
	type R = []escrow.Role
	handOver := R{escrow.Beneficiary, escrow.Operator, escrow.Foundation, escrow.Agent, escrow.Acquirer}
	agent := R{escrow.Agent}
	holders := except(escrow.Supplier, escrow.Host, escrow.Regulator, escrow.Auditor)
	matrix := map[escrow.Action]R{
		escrow.ReadArrangement:    append(except(), escrow.Administrator),
		escrow.ReadDeposits:       append(except(), escrow.Administrator),
		escrow.ReadLedger:         append(except(), escrow.Administrator),
		escrow.ReadCase:           except(),
		escrow.RegisterAgreement:  {escrow.Administrator},
		escrow.AddContact:         except(),
		escrow.DealEpoch:          {escrow.Supplier},
		escrow.SetCredential:      {escrow.Supplier},
		escrow.AcceptShare:        holders,
		escrow.FetchPackage:       holders,
		escrow.Approve:            holders,
		escrow.ConfigureModule:    {escrow.Supplier, escrow.Agent, escrow.Administrator},
		escrow.RequestSync:        {escrow.Supplier, escrow.Agent, escrow.Administrator},
		escrow.MakeDeposit:        {escrow.Supplier, escrow.Beneficiary},
		escrow.ReportUnchanged:    {escrow.Supplier, escrow.Beneficiary},
		escrow.OpenCase:           {escrow.Beneficiary, escrow.Foundation, escrow.Agent, escrow.Curator, escrow.Regulator},
		escrow.RecordNotice:       agent,
		escrow.RequestApprovals:   agent,
		escrow.CloseCase:          agent,
		escrow.ExportArrangement:  agent,
		escrow.IssueToken:         {escrow.Agent, escrow.Administrator},
		escrow.RevokeToken:        {escrow.Agent, escrow.Administrator},
		escrow.ErasePayload:       {escrow.Agent, escrow.Administrator},
		escrow.FetchHandOver:      handOver,
		escrow.FetchObject:        handOver,
		escrow.PlaceHold:          {escrow.Supplier, escrow.Beneficiary, escrow.Foundation, escrow.Agent, escrow.Curator, escrow.Regulator, escrow.Arbiter},
		escrow.LiftHold:           {escrow.Supplier, escrow.Beneficiary, escrow.Foundation, escrow.Agent, escrow.Curator, escrow.Regulator, escrow.Arbiter},
		escrow.RequestDestruction: {escrow.Supplier, escrow.Beneficiary, escrow.Foundation, escrow.Agent},
		escrow.ApproveDestruction: {escrow.Supplier, escrow.Beneficiary, escrow.Foundation, escrow.Agent},
		escrow.CancelDestruction:  {escrow.Supplier, escrow.Beneficiary, escrow.Foundation, escrow.Agent},
		escrow.ReleaseSuspect:     {escrow.Supplier, escrow.Beneficiary, escrow.Foundation, escrow.Agent},
		escrow.RecordVerification: {escrow.Agent, escrow.Auditor},
		escrow.DecideDeposit:      {escrow.Agent},
		escrow.AnnounceRelease:    {escrow.Supplier, escrow.Beneficiary, escrow.Agent},
		escrow.StateRunning:       {escrow.Beneficiary, escrow.Operator},
		escrow.DraftAgreement:     {escrow.Administrator, escrow.Supplier, escrow.Agent},
		escrow.OfferAgreement:     {escrow.Administrator, escrow.Agent},
		escrow.JoinBeneficiary:    {escrow.Administrator, escrow.Agent},
		escrow.LeaveArrangement:   {escrow.Beneficiary},
		escrow.ReadVersions:       append(except(), escrow.Administrator),
		escrow.SignPart:           except(),
		escrow.CommentPart:        except(),
		escrow.RecordAuthority:    {escrow.Administrator, escrow.Foundation, escrow.Agent},
		escrow.ReadNotice:         except(),
		escrow.SetChannel:         except(),
		escrow.RecordDelivery:     agent,
		escrow.ReadTerms:          append(except(), escrow.Administrator),
		escrow.RecordTerm:         except(),
		escrow.ReadWatch:          append(except(), escrow.Administrator),
		escrow.SetWatch:           agent,
		escrow.ReportBeat:         {escrow.Supplier, escrow.Operator, escrow.Host, escrow.Agent},
		escrow.PublishStatus:      {escrow.Agent, escrow.Foundation},
		escrow.TellIncident:       {escrow.Agent, escrow.Foundation, escrow.Supplier, escrow.Operator, escrow.Host},
		escrow.ReadInstallation:   {escrow.Administrator},
		escrow.ManageInstallation: {escrow.Administrator},
	}
	if len(matrix) != len(escrow.Actions()) {
		t.Fatalf("the matrix has %d actions, the domain %d", len(matrix), len(escrow.Actions()))
	}
	for _, action := range escrow.Actions() {
		allowed := map[escrow.Role]bool{}
		for _, r := range matrix[action] {
			allowed[r] = true
		}
		for _, role := range append(except(), escrow.Administrator) {
			actor := escrow.Actor{Party: "p", Role: role, Arrangement: "a"}
			if err := escrow.Allow(actor, action, "a"); (err == nil) != allowed[role] {
				t.Errorf("%s %s: %v, want allowed=%v", role, action, err, allowed[role])
			}
			if role == escrow.Administrator {
				continue
			}
			// Another arrangement does not exist as far as this party is concerned.
			if err := escrow.Allow(actor, action, "b"); escrow.CodeOf(err) != escrow.NotFound {
				t.Errorf("%s %s on another arrangement: %v, want not_found", role, action, err)
			}
		}
	}
}

// TestAdministratorOpensNothing is the promise of the threat model, apart
// from the matrix so that no edit of the matrix can take it away unseen.
func TestAdministratorOpensNothing(t *testing.T) {
	admin := escrow.Actor{Role: escrow.Administrator}
	for _, action := range []escrow.Action{escrow.FetchPackage, escrow.Approve, escrow.FetchHandOver, escrow.FetchObject,
		escrow.AcceptShare, escrow.DealEpoch, escrow.SetCredential, escrow.OpenCase, escrow.RequestApprovals, escrow.MakeDeposit, escrow.ReportUnchanged,
		escrow.SignPart, escrow.CommentPart} {
		if err := escrow.Allow(admin, action, "a"); escrow.CodeOf(err) != escrow.Forbidden {
			t.Errorf("administrator %s: %v", action, err)
		}
	}
}

// TestCaseMachine walks every event from every state and compares with the
// table of the procedure: no state is left out by being forgotten.
func TestCaseMachine(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	want := map[escrow.CaseState]map[escrow.CaseEvent]escrow.CaseState{
		escrow.CaseOpened:    {escrow.EventNotice: escrow.CaseNoticed, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseNoticed:   {escrow.EventStartContest: escrow.CaseContest, escrow.EventRequestApprove: escrow.CaseApproving, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseContest:   {escrow.EventObject: escrow.CaseContested, escrow.EventRequestApprove: escrow.CaseApproving, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseContested: {escrow.EventRuleFor: escrow.CaseRuled, escrow.EventRuleAgainst: escrow.CaseClosed, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseRuled:     {escrow.EventRequestApprove: escrow.CaseApproving, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseApproving: {escrow.EventQuorum: escrow.CaseInForce, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseInForce:   {escrow.EventEnd: escrow.CaseEnding, escrow.EventAssume: escrow.CaseAssumed},
		escrow.CaseEnding:    {escrow.EventReverse: escrow.CaseReversed, escrow.EventAssume: escrow.CaseAssumed, escrow.EventClose: escrow.CaseClosed},
		escrow.CaseReversed:  {},
		escrow.CaseAssumed:   {},
		escrow.CaseClosed:    {},
	}
	for _, state := range escrow.CaseStates() {
		row, ok := want[state]
		if !ok {
			t.Fatalf("no row for state %s", state)
		}
		for _, event := range escrow.CaseEvents() {
			got, err := state.Next(event, now, time.Time{})
			if next, ok := row[event]; ok {
				if err != nil || got != next {
					t.Errorf("%s + %s = %s, %v; want %s", state, event, got, err, next)
				}
			} else if escrow.CodeOf(err) != escrow.Conflict || got != state {
				t.Errorf("%s + %s = %s, %v; want a conflict and no change", state, event, got, err)
			}
		}
		if state.Ended() != (len(row) == 0) {
			t.Errorf("%s: Ended() = %v", state, state.Ended())
		}
	}
}

func TestApprovalsWaitForContestPeriod(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	ends := now.Add(time.Second)
	if _, err := escrow.CaseContest.Next(escrow.EventRequestApprove, now, ends); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("one second early: %v", err)
	}
	if got, err := escrow.CaseContest.Next(escrow.EventRequestApprove, ends, ends); err != nil || got != escrow.CaseApproving {
		t.Errorf("at the end: %s, %v", got, err)
	}
	// A ruling ends the waiting.
	if got, err := escrow.CaseRuled.Next(escrow.EventRequestApprove, now, ends); err != nil || got != escrow.CaseApproving {
		t.Errorf("after a ruling: %s, %v", got, err)
	}
}

func TestErrorKeepsCauseAndCode(t *testing.T) {
	err := escrow.Errorf(escrow.Missing, "object %s: %w", "abc", fs.ErrNotExist)
	if err.Error() != "object abc: file does not exist" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", err, errors.Is(err, fs.ErrNotExist))
	}
	outer := escrow.Wrap(err, escrow.Unavailable, "read deposit 3")
	if escrow.CodeOf(outer) != escrow.Unavailable || !errors.Is(outer, fs.ErrNotExist) {
		t.Errorf("%v", outer)
	}
	if escrow.CodeOf(fs.ErrNotExist) != escrow.Internal || escrow.CodeOf(nil) != "" {
		t.Error("unknown errors are internal, nil is nothing")
	}
}
