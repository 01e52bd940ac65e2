-- Beneficiaries that gave notice, and what became of it. A row is kept for
-- ever: who has left does not come back under the same id.

CREATE TABLE leaving (
	arrangement     TEXT NOT NULL,
	party           TEXT NOT NULL,
	state           TEXT NOT NULL CHECK (state IN ('noticed', 'withdrawn', 'ended', 'certified')),
	person          TEXT NOT NULL CHECK (person <> ''),
	authority       TEXT NOT NULL,
	document        BYTEA NOT NULL,
	signature       BYTEA NOT NULL,
	signing_key     TEXT NOT NULL,
	noticed_us      BIGINT NOT NULL,
	ends_us         BIGINT NOT NULL,
	readers         TEXT NOT NULL,
	blocked         TEXT NOT NULL,
	withdrawn       TEXT NOT NULL,
	withdrawn_us    BIGINT NOT NULL,
	version         BIGINT NOT NULL,
	agreement       TEXT NOT NULL,
	ended_us        BIGINT NOT NULL,
	modules         TEXT NOT NULL,
	compartments    TEXT NOT NULL,
	certificate     BYTEA NOT NULL,
	certificate_sig BYTEA NOT NULL,
	certified_us    BIGINT NOT NULL,
	PRIMARY KEY (arrangement, party)
);
