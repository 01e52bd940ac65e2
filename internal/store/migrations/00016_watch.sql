-- Watching services: what is measured, what was seen hour by hour, and every
-- change of state with its evidence. How far the hour that is not over has
-- come, reports of targets that report by themselves and which process is at
-- work are not recorded in the ledger: what follows from them is.

CREATE TABLE watch_target (
	arrangement TEXT NOT NULL,
	id          TEXT NOT NULL CHECK (id <> ''),
	component   TEXT NOT NULL,
	party       TEXT NOT NULL,
	kind        TEXT NOT NULL CHECK (kind IN ('http', 'tcp', 'tls', 'dns', 'icmp', 'push')),
	every_us    BIGINT NOT NULL CHECK (every_us > 0),
	shown       BYTEA NOT NULL,
	sealed      BYTEA NOT NULL,
	set_by      TEXT NOT NULL,
	set_us      BIGINT NOT NULL,
	removed_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id)
);

CREATE TABLE watch_stretch (
	arrangement TEXT NOT NULL,
	place       TEXT NOT NULL,
	from_us     BIGINT NOT NULL,
	to_us       BIGINT NOT NULL CHECK (to_us > from_us),
	target      TEXT NOT NULL,
	states      BYTEA NOT NULL,
	checks      BIGINT NOT NULL CHECK (checks >= 0),
	failed      BIGINT NOT NULL CHECK (failed >= 0),
	sketch      BYTEA NOT NULL,
	PRIMARY KEY (arrangement, place, from_us, to_us, target),
	FOREIGN KEY (arrangement, target) REFERENCES watch_target (arrangement, id)
);

CREATE INDEX watch_stretch_target ON watch_stretch (arrangement, target, from_us);

CREATE TABLE watch_change (
	arrangement TEXT NOT NULL,
	target      TEXT NOT NULL,
	place       TEXT NOT NULL,
	at_us       BIGINT NOT NULL,
	was         TEXT NOT NULL CHECK (was IN ('', 'up', 'down', 'unknown')),
	state       TEXT NOT NULL CHECK (state IN ('up', 'down', 'unknown')),
	reason      TEXT NOT NULL,
	evidence    BYTEA NOT NULL,
	PRIMARY KEY (arrangement, target, place, at_us),
	FOREIGN KEY (arrangement, target) REFERENCES watch_target (arrangement, id)
);

CREATE TABLE watch_now (
	arrangement TEXT NOT NULL,
	target      TEXT NOT NULL,
	place       TEXT NOT NULL,
	hour_us     BIGINT NOT NULL,
	states      BYTEA NOT NULL,
	checks      BIGINT NOT NULL,
	failed      BIGINT NOT NULL,
	sketch      BYTEA NOT NULL,
	state       TEXT NOT NULL,
	since_us    BIGINT NOT NULL,
	last_us     BIGINT NOT NULL,
	reason      TEXT NOT NULL,
	note        TEXT NOT NULL,
	PRIMARY KEY (arrangement, target, place)
);

CREATE TABLE watch_beat (
	arrangement TEXT NOT NULL,
	target      TEXT NOT NULL,
	at_us       BIGINT NOT NULL,
	failed      BOOLEAN NOT NULL,
	note        TEXT NOT NULL,
	PRIMARY KEY (arrangement, target)
);

CREATE TABLE watch_turn (
	place    TEXT NOT NULL PRIMARY KEY,
	process  TEXT NOT NULL,
	until_us BIGINT NOT NULL
);
