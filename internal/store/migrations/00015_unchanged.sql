-- The newest signed word of a module's depositor that its source holds nothing
-- that is not deposited, and what was found missing in a deposit of what the
-- agreement says must be in it. Every word is in the ledger, the newest here.

CREATE TABLE deposit_unchanged (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL CHECK (deposit >= 1),
	document    BYTEA NOT NULL,
	signature   BYTEA NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	at_us       BIGINT NOT NULL,
	received_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

CREATE TABLE deposit_defect (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL CHECK (deposit >= 1),
	defects     TEXT NOT NULL CHECK (defects <> ''),
	found_us    BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, deposit),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);
