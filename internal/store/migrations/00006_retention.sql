-- What is kept and for how long, what stops deletion, who decided that
-- something goes, and whether deposits come as agreed. All of it is recorded
-- in the ledger but platform_pulse, which says only when a server was last
-- seen at work.

CREATE TABLE legal_hold (
	arrangement  TEXT NOT NULL,
	id           TEXT NOT NULL,
	module       TEXT NOT NULL,
	from_deposit BIGINT NOT NULL CHECK (from_deposit >= 0),
	to_deposit   BIGINT NOT NULL CHECK (to_deposit >= 0),
	ground       TEXT NOT NULL CHECK (ground <> ''),
	party        TEXT NOT NULL,
	person       TEXT NOT NULL,
	placed_us    BIGINT NOT NULL,
	until_us     BIGINT NOT NULL,
	lifted_us    BIGINT NOT NULL,
	lifted_by    TEXT NOT NULL,
	lift_reason  TEXT NOT NULL,
	PRIMARY KEY (arrangement, id)
);

CREATE TABLE destruction (
	arrangement        TEXT NOT NULL,
	id                 TEXT NOT NULL,
	module             TEXT NOT NULL,
	document           BYTEA NOT NULL,
	state              TEXT NOT NULL CHECK (state IN ('requested', 'cancelled', 'approved', 'certified')),
	party              TEXT NOT NULL,
	person             TEXT NOT NULL,
	signing_key        TEXT NOT NULL,
	signature          BYTEA NOT NULL,
	requested_us       BIGINT NOT NULL,
	expires_us         BIGINT NOT NULL,
	approver_party     TEXT NOT NULL,
	approver_person    TEXT NOT NULL,
	approver_key       TEXT NOT NULL,
	approver_signature BYTEA NOT NULL,
	approved_us        BIGINT NOT NULL,
	end_reason         TEXT NOT NULL,
	certificate        BYTEA NOT NULL,
	certificate_sig    BYTEA NOT NULL,
	certified_us       BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id)
);
CREATE INDEX destruction_state ON destruction (state);

-- The objects that a destroyed deposit had, instead of its deposit_object
-- rows. None of them can become part of a deposit again, unless others that
-- stayed were made of it as well.
CREATE TABLE destroyed_object (
	arrangement  TEXT NOT NULL,
	module       TEXT NOT NULL,
	deposit      BIGINT NOT NULL,
	seq          BIGINT NOT NULL CHECK (seq >= 0),
	name         TEXT NOT NULL CHECK (length(name) = 64),
	size         BIGINT NOT NULL CHECK (size > 0),
	kept         BOOLEAN NOT NULL,
	destruction  TEXT NOT NULL,
	destroyed_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, deposit, seq),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number),
	FOREIGN KEY (arrangement, destruction) REFERENCES destruction (arrangement, id)
);
CREATE INDEX destroyed_object_name ON destroyed_object (name);

CREATE TABLE deposit_mark (
	arrangement  TEXT NOT NULL,
	module       TEXT NOT NULL,
	deposit      BIGINT NOT NULL,
	reasons      TEXT NOT NULL,
	marked_us    BIGINT NOT NULL,
	first_party  TEXT NOT NULL,
	first_person TEXT NOT NULL,
	first_reason TEXT NOT NULL,
	first_us     BIGINT NOT NULL,
	party        TEXT NOT NULL,
	person       TEXT NOT NULL,
	reason       TEXT NOT NULL,
	released_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, deposit),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

CREATE TABLE deposit_verified (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL,
	level       BIGINT NOT NULL CHECK (level BETWEEN 1 AND 4),
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	note        TEXT NOT NULL,
	verified_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, deposit, level),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

CREATE TABLE running (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	deposit     BIGINT NOT NULL,
	version     TEXT NOT NULL,
	stated_us   BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, party),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

-- What an agent said about a deposit that was taken in: whether it is what was
-- agreed, and if not, where it is not.
CREATE TABLE deposit_decision (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL,
	refused     BOOLEAN NOT NULL,
	level       BIGINT NOT NULL CHECK (level BETWEEN 0 AND 4),
	defects     TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	note        TEXT NOT NULL,
	decided_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, deposit),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

CREATE TABLE software_release (
	arrangement  TEXT NOT NULL,
	module       TEXT NOT NULL,
	version      TEXT NOT NULL,
	party        TEXT NOT NULL,
	person       TEXT NOT NULL,
	announced_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, version)
);

-- A step of the ladder is taken once for each deposit that is waited for,
-- however often it is looked at.
CREATE TABLE duty_step (
	arrangement   TEXT NOT NULL,
	module        TEXT NOT NULL,
	after_deposit BIGINT NOT NULL CHECK (after_deposit >= 0),
	step          TEXT NOT NULL,
	entered_us    BIGINT NOT NULL,
	taken_us      BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, after_deposit, step)
);

CREATE TABLE notice (
	arrangement TEXT NOT NULL,
	id          TEXT NOT NULL,
	audience    TEXT NOT NULL,
	kind        TEXT NOT NULL,
	module      TEXT NOT NULL,
	subject     TEXT NOT NULL,
	due_us      BIGINT NOT NULL,
	made_us     BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id)
);
CREATE INDEX notice_audience ON notice (arrangement, audience, made_us);

CREATE TABLE platform_gap (
	from_us BIGINT NOT NULL PRIMARY KEY,
	to_us   BIGINT NOT NULL CHECK (to_us >= from_us),
	reason  TEXT NOT NULL
);

CREATE TABLE platform_pulse (
	name    TEXT NOT NULL PRIMARY KEY,
	seen_us BIGINT NOT NULL
);
