-- What stock restic has uploaded. A file is listed here from the moment it is
-- durable; the manifest of a deposit records it for good. Neither these rows
-- nor the locks, which come and go with every run, are recorded one by one in
-- the ledger: only a deposit is an act.

CREATE TABLE restic_file (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	kind        TEXT NOT NULL CHECK (kind IN ('config', 'keys', 'data', 'index', 'snapshots')),
	name        TEXT NOT NULL,
	object      TEXT NOT NULL CHECK (length(object) = 64),
	size        BIGINT NOT NULL CHECK (size > 0),
	received_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, kind, name),
	UNIQUE (arrangement, module, object)
);
CREATE INDEX restic_file_object ON restic_file (object);

CREATE TABLE restic_usage (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	files       BIGINT NOT NULL CHECK (files >= 0),
	bytes       BIGINT NOT NULL CHECK (bytes >= 0),
	PRIMARY KEY (arrangement, module)
);

CREATE TABLE restic_lock (
	arrangement TEXT NOT NULL,
	module      TEXT NOT NULL,
	name        TEXT NOT NULL,
	content     BYTEA NOT NULL CHECK (length(content) > 0),
	received_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, module, name)
);
