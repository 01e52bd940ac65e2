package storetest

import (
	"testing"
)

// Run puts an engine through the suite. open makes a new database each time.
func Run(t *testing.T, open func(testing.TB) *Database) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *Database)
	}{
		{"arrangements", testArrangements},
		{"contacts", testContacts},
		{"modules", testModules},
		{"due modules", testDueModules},
		{"sync status", testSyncStatus},
		{"clock jump", testClockJump},
		{"credentials", testCredentials},
		{"epochs", testEpochs},
		{"shares", testShares},
		{"deposits", testDeposits},
		{"deposit guards", testDepositGuards},
		{"large deposit", testLargeDeposit},
		{"source state", testSourceState},
		{"cases", testCases},
		{"approvals", testApprovals},
		{"tokens", testTokens},
		{"webhooks", testWebhooks},
		{"settings", testSettings},
		{"restic", testRestic},
		{"repositories of an organisation", testForge},
		{"holds", testHolds},
		{"destructions", testDestructions},
		{"marks", testMarks},
		{"verified and running", testVerifiedAndRunning},
		{"duty", testDuty},
		{"unchanged", testUnchanged},
		{"shared objects", testShared},
		{"deliveries", testDeliveries},
		{"terms", testTerms},
		{"watch", testWatch},
		{"bulletin", testBulletin},
		{"accord", testAccord},
		{"accession", testAccession},
		{"forget unfinished", testForgetUnfinished},
		{"acting", testActing},
		{"text order", testTextOrder},
		{"bad text", testBadText},

		{"act without rows", testActWithoutRows},
		{"rows without act", testRowsWithoutAct},
		{"job without act", testJobWithoutAct},
		{"rollback leaves nothing", testRollback},
		{"read only view", testReadOnlyView},
		{"view is one moment", testViewIsOneMoment},
		{"rows of an act", testRowsOfAnAct},
		{"concurrent writers", testConcurrentWriters},
		{"no write skew", testNoWriteSkew},
		{"readers do not wait", testReadersDoNotWait},
		{"one deposit wins", testOneDepositWins},
		{"proof and checkpoint", testProofAndCheckpoint},
		{"entry about", testEntryAbout},
		{"cancelled", testCancelled},
		{"publish", testPublish},

		{"verify", testVerify},
		{"every table is recorded", testEveryTableIsRecorded},
		{"tampering", testTampering},
		{"tampered ledger", testTamperedLedger},
		{"erasure", testErasure},
		{"erasure hides nothing", testErasureHidesNothing},

		{"reopen", testReopen},
		{"concurrent start", testConcurrentStart},
		{"newer schema", testNewerSchema},
		{"schema", testSchema},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}
