-- What a deposit's source rewrote is in its manifest and in an act of the
-- ledger; the table that was meant for it was never written to.

DROP TABLE finding;
