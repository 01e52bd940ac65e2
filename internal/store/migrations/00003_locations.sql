-- Where sealed objects lie. The locations and what they are used for are
-- recorded in the ledger. What is known of single objects and copies is not:
-- it changes with every disk that fails and follows from the locations
-- themselves, which are read again all the time.

CREATE TABLE location (
	id          TEXT NOT NULL PRIMARY KEY,
	kind        TEXT NOT NULL CHECK (kind IN ('file', 's3')),
	place       TEXT NOT NULL,
	arrangement TEXT NOT NULL,
	counts      BOOLEAN NOT NULL,
	state       TEXT NOT NULL CHECK (state IN ('active', 'draining', 'retired')),
	added_us    BIGINT NOT NULL,
	changed_us  BIGINT NOT NULL
);

CREATE TABLE stored_object (
	name        TEXT NOT NULL PRIMARY KEY CHECK (length(name) = 64),
	size        BIGINT NOT NULL CHECK (size >= 0),
	tag_key     BYTEA NOT NULL,
	tags        BYTEA NOT NULL,
	arrangement TEXT NOT NULL,
	party       TEXT NOT NULL,
	arrived_us  BIGINT NOT NULL,
	used        BOOLEAN NOT NULL,
	going       BOOLEAN NOT NULL,
	cause       TEXT NOT NULL
);
CREATE INDEX stored_object_unused ON stored_object (arrived_us) WHERE used = FALSE;
CREATE INDEX stored_object_party ON stored_object (party, arrangement) WHERE used = FALSE;
CREATE INDEX stored_object_going ON stored_object (name) WHERE going = TRUE;

CREATE TABLE object_copy (
	name       TEXT NOT NULL,
	location   TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('due', 'held', 'damaged', 'missing')),
	since_us   BIGINT NOT NULL,
	attempts   BIGINT NOT NULL,
	next_us    BIGINT NOT NULL,
	reason     TEXT NOT NULL,
	PRIMARY KEY (name, location),
	FOREIGN KEY (name) REFERENCES stored_object (name)
);
CREATE INDEX object_copy_at ON object_copy (location, name);
CREATE INDEX object_copy_todo ON object_copy (location, next_us) WHERE state <> 'held';

-- The scrubber's place at each location, one pass after the other.
CREATE TABLE scrub (
	location    TEXT NOT NULL PRIMARY KEY,
	started_us  BIGINT NOT NULL,
	position    TEXT NOT NULL,
	objects     BIGINT NOT NULL,
	bytes       BIGINT NOT NULL,
	damaged     BIGINT NOT NULL,
	missing     BIGINT NOT NULL,
	healed      BIGINT NOT NULL,
	total       BIGINT NOT NULL,
	total_bytes BIGINT NOT NULL,
	urgent      BOOLEAN NOT NULL,
	wanted      BOOLEAN NOT NULL,
	taken_us    BIGINT NOT NULL,
	finished_us BIGINT NOT NULL
);
