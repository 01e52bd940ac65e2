-- The state of an installation. Written for both engines: TEXT compares by
-- bytes (COLLATE "C" is added for PostgreSQL), BYTEA is BLOB on SQLite, times
-- are microseconds since 1970 in UTC and 0 where there is none, lists are JSON.
-- Nothing is NULL. Every table here is recorded in the ledger, see table.go,
-- but two: act_subject is drawn from the ledger, and job_lease says only which
-- process is at work.

CREATE TABLE arrangement (
	arrangement TEXT NOT NULL,
	version     BIGINT NOT NULL CHECK (version >= 1),
	digest      TEXT NOT NULL CHECK (length(digest) = 64),
	canonical   BYTEA NOT NULL,
	source      BYTEA NOT NULL,
	created_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, version)
);

CREATE TABLE contact (
	arrangement TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	recipient   TEXT NOT NULL,
	signing_key TEXT NOT NULL,
	document    BYTEA NOT NULL,
	added_us    BIGINT NOT NULL,
	PRIMARY KEY (arrangement, party, person)
);

CREATE TABLE module (
	arrangement TEXT NOT NULL,
	id          TEXT NOT NULL,
	kind        TEXT NOT NULL,
	instance    TEXT NOT NULL,
	compartment TEXT NOT NULL,
	source_mode TEXT NOT NULL,
	source_url  TEXT NOT NULL,
	lfs         BOOLEAN NOT NULL,
	exclude     TEXT NOT NULL,
	host_key    TEXT NOT NULL,
	every_us    BIGINT NOT NULL CHECK (every_us >= 0),
	rebase      BIGINT NOT NULL CHECK (rebase >= 0),
	PRIMARY KEY (arrangement, id)
);

CREATE TABLE module_sync (
	arrangement  TEXT NOT NULL,
	module       TEXT NOT NULL,
	attempted_us BIGINT NOT NULL,
	succeeded_us BIGINT NOT NULL,
	failures     BIGINT NOT NULL CHECK (failures >= 0),
	error        TEXT NOT NULL,
	error_code   TEXT NOT NULL,
	error_hint   TEXT NOT NULL,
	next_due_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module),
	FOREIGN KEY (arrangement, module) REFERENCES module (arrangement, id)
);
CREATE INDEX module_sync_due ON module_sync (next_due_us);

CREATE TABLE credential (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	kind        TEXT NOT NULL,
	sealed      BYTEA NOT NULL CHECK (length(sealed) > 0),
	updated_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, kind),
	FOREIGN KEY (arrangement, module) REFERENCES module (arrangement, id)
);

CREATE TABLE epoch (
	arrangement  TEXT NOT NULL,
	compartment  TEXT NOT NULL,
	number       BIGINT NOT NULL CHECK (number >= 1),
	set_id       TEXT NOT NULL,
	recipient    TEXT NOT NULL,
	manifest     BYTEA NOT NULL,
	signature    BYTEA NOT NULL,
	required     BIGINT NOT NULL CHECK (required >= 0),
	state        TEXT NOT NULL CHECK (state IN ('dealt', 'active', 'ended', 'abandoned')),
	dealt_us     BIGINT NOT NULL,
	activated_us BIGINT NOT NULL,
	ended_us     BIGINT NOT NULL,
	end_reason   TEXT NOT NULL,
	PRIMARY KEY (arrangement, compartment, number),
	UNIQUE (arrangement, set_id)
);
CREATE UNIQUE INDEX epoch_one_active ON epoch (arrangement, compartment) WHERE state = 'active';

CREATE TABLE share_package (
	arrangement TEXT NOT NULL,
	compartment TEXT NOT NULL,
	epoch       BIGINT NOT NULL,
	trustee     TEXT NOT NULL,
	person      TEXT NOT NULL,
	digest      TEXT NOT NULL CHECK (length(digest) = 64),
	sealed      BYTEA NOT NULL CHECK (length(sealed) > 0),
	PRIMARY KEY (arrangement, compartment, epoch, trustee, person),
	FOREIGN KEY (arrangement, compartment, epoch) REFERENCES epoch (arrangement, compartment, number)
);

CREATE TABLE acceptance (
	arrangement TEXT NOT NULL,
	compartment TEXT NOT NULL,
	epoch       BIGINT NOT NULL,
	trustee     TEXT NOT NULL,
	person      TEXT NOT NULL,
	document    BYTEA NOT NULL,
	signature   BYTEA NOT NULL,
	accepted_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, compartment, epoch, trustee, person),
	FOREIGN KEY (arrangement, compartment, epoch) REFERENCES epoch (arrangement, compartment, number)
);

CREATE TABLE deposit (
	arrangement  TEXT NOT NULL,
	module       TEXT NOT NULL,
	number       BIGINT NOT NULL CHECK (number >= 1),
	kind         TEXT NOT NULL CHECK (kind IN ('FULL', 'INCREMENTAL')),
	predecessor  TEXT NOT NULL,
	digest       TEXT NOT NULL CHECK (length(digest) = 64),
	manifest     BYTEA NOT NULL,
	signature    BYTEA NOT NULL,
	compartment  TEXT NOT NULL,
	epoch        BIGINT NOT NULL CHECK (epoch >= 1),
	completeness TEXT NOT NULL CHECK (completeness IN ('complete', 'incomplete')),
	stored_bytes BIGINT NOT NULL CHECK (stored_bytes >= 0),
	accepted_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, number),
	UNIQUE (digest),
	UNIQUE (arrangement, module, predecessor),
	CHECK ((number = 1) = (predecessor = '') AND (number > 1 OR kind = 'FULL'))
);

CREATE TABLE deposit_object (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL,
	seq         BIGINT NOT NULL CHECK (seq >= 0),
	name        TEXT NOT NULL CHECK (length(name) = 64),
	size        BIGINT NOT NULL CHECK (size > 0),
	PRIMARY KEY (arrangement, module, deposit, seq),
	UNIQUE (arrangement, module, deposit, name),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);
CREATE INDEX deposit_object_name ON deposit_object (name);

CREATE TABLE finding (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL,
	seq         BIGINT NOT NULL CHECK (seq >= 0),
	ref         TEXT NOT NULL,
	kind        TEXT NOT NULL,
	old_id      TEXT NOT NULL,
	new_id      TEXT NOT NULL,
	PRIMARY KEY (arrangement, module, deposit, seq),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

CREATE TABLE source_state (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	deposit     BIGINT NOT NULL,
	state       TEXT NOT NULL CHECK (length(state) = 64),
	segments    TEXT NOT NULL,
	chain       BIGINT NOT NULL CHECK (chain >= 1 AND chain <= deposit),
	PRIMARY KEY (arrangement, module),
	FOREIGN KEY (arrangement, module, deposit) REFERENCES deposit (arrangement, module, number)
);

CREATE TABLE release_case (
	arrangement  TEXT NOT NULL,
	id           TEXT NOT NULL,
	event        TEXT NOT NULL,
	stage        TEXT NOT NULL,
	claimant     TEXT NOT NULL,
	reason       TEXT NOT NULL,
	compartment  TEXT NOT NULL,
	epoch        BIGINT NOT NULL,
	recipients   TEXT NOT NULL,
	state        TEXT NOT NULL,
	statement    BYTEA NOT NULL,
	opened_us    BIGINT NOT NULL,
	noticed_us   BIGINT NOT NULL,
	contest_us   BIGINT NOT NULL,
	in_force_us  BIGINT NOT NULL,
	ended_us     BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id)
);

CREATE TABLE approval (
	arrangement TEXT NOT NULL,
	case_id     TEXT NOT NULL,
	trustee     TEXT NOT NULL,
	person      TEXT NOT NULL,
	document    BYTEA NOT NULL,
	signature   BYTEA NOT NULL,
	received_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, case_id, trustee, person),
	FOREIGN KEY (arrangement, case_id) REFERENCES release_case (arrangement, id)
);

CREATE TABLE token (
	id          TEXT NOT NULL PRIMARY KEY,
	hash        BYTEA NOT NULL CHECK (length(hash) = 32),
	person      TEXT NOT NULL,
	party       TEXT NOT NULL,
	role        TEXT NOT NULL,
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	created_us  BIGINT NOT NULL,
	expires_us  BIGINT NOT NULL,
	revoked_us  BIGINT NOT NULL,
	UNIQUE (hash)
);
CREATE INDEX token_arrangement ON token (arrangement);

CREATE TABLE webhook (
	source      TEXT NOT NULL,
	id          TEXT NOT NULL,
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	received_us BIGINT NOT NULL,
	PRIMARY KEY (source, id)
);
CREATE INDEX webhook_received ON webhook (received_us);

CREATE TABLE setting (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

CREATE TABLE act_subject (
	subject TEXT NOT NULL,
	seq     BIGINT NOT NULL,
	PRIMARY KEY (subject, seq)
);
CREATE INDEX act_subject_seq ON act_subject (seq);

CREATE TABLE job_lease (
	name       TEXT NOT NULL PRIMARY KEY,
	owner      TEXT NOT NULL,
	job        BIGINT NOT NULL,
	attempt    BIGINT NOT NULL,
	expires_us BIGINT NOT NULL
);
