// Package watch keeps what probes saw: states as time, per place and hour,
// response times as sketches, every change of state with its raw evidence, and
// an act of the ledger for each hour.
//
// Checks come in by [Watch.Observe], which waits for nothing; [Watch.Flush]
// writes. A process that dies loses at most what it did not flush, and that
// time is unknown afterwards, neither up nor down.
//
// It may import evidence, escrow, sla and probe, and runs in
// escrow.Database[Tx].
package watch
