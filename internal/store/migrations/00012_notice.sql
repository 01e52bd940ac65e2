-- How notices reach people: where they are told, each message with what came
-- of it, and who has read what. The notices themselves are in the table
-- notice, which never changes.

CREATE TABLE notice_address (
	arrangement TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL CHECK (person <> ''),
	channel     TEXT NOT NULL CHECK (channel IN ('email', 'webhook', 'letter', 'registered_letter', 'phone')),
	address     TEXT NOT NULL,
	language    TEXT NOT NULL,
	second      BOOLEAN NOT NULL,
	quiet_from  TEXT NOT NULL,
	quiet_to    TEXT NOT NULL,
	zone        TEXT NOT NULL,
	sealed      BYTEA NOT NULL,
	set_by      TEXT NOT NULL,
	set_us      BIGINT NOT NULL,
	removed_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, party, person, channel)
);

CREATE TABLE notice_delivery (
	arrangement TEXT NOT NULL,
	notice      TEXT NOT NULL,
	number      BIGINT NOT NULL CHECK (number > 0),
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	channel     TEXT NOT NULL CHECK (channel IN ('portal', 'email', 'webhook', 'letter', 'registered_letter', 'phone')),
	address     TEXT NOT NULL,
	reason      TEXT NOT NULL CHECK (reason IN ('first', 'reminder', 'second')),
	state       TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'to_post', 'failed', 'folded', 'tried')),
	independent BOOLEAN NOT NULL,
	due_us      BIGINT NOT NULL,
	tries       BIGINT NOT NULL CHECK (tries >= 0),
	error       TEXT NOT NULL,
	sent_us     BIGINT NOT NULL,
	reference   TEXT NOT NULL,
	proof       TEXT NOT NULL,
	presumed_us BIGINT NOT NULL,
	done_by     TEXT NOT NULL,
	token_hash  TEXT NOT NULL,
	PRIMARY KEY (arrangement, notice, number),
	FOREIGN KEY (arrangement, notice) REFERENCES notice (arrangement, id)
);

CREATE INDEX notice_delivery_due ON notice_delivery (state, due_us);

CREATE INDEX notice_delivery_token ON notice_delivery (token_hash);

CREATE TABLE notice_read (
	arrangement TEXT NOT NULL,
	notice      TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	via         TEXT NOT NULL,
	read_us     BIGINT NOT NULL,
	PRIMARY KEY (arrangement, notice, party, person),
	FOREIGN KEY (arrangement, notice) REFERENCES notice (arrangement, id)
);
