-- What a deposit's source rewrote is in its manifest and in an act of the
-- ledger; the table that was meant for it was never written to.

DROP TABLE finding;

-- A row here says that the installation goes on in another database: going on
-- in this one too would be a second ledger under the same name. It is not
-- state, and no act records it.

CREATE TABLE retired (
	at_us     BIGINT NOT NULL,
	successor TEXT NOT NULL
);
