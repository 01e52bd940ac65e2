-- The repositories of organisations, as the forge numbers them. A row is
-- written when something about it changes, never only because it was listed.

CREATE TABLE forge_repository (
	arrangement  TEXT NOT NULL,
	organisation TEXT NOT NULL,
	origin       TEXT NOT NULL CHECK (origin <> ''),
	remote       TEXT NOT NULL CHECK (remote <> ''),
	module       TEXT NOT NULL,
	name         TEXT NOT NULL CHECK (name <> ''),
	url          TEXT NOT NULL,
	private      BOOLEAN NOT NULL,
	state        TEXT NOT NULL CHECK (state IN ('present', 'archived', 'left_out', 'gone', 'missing')),
	changed_us   BIGINT NOT NULL,
	PRIMARY KEY (arrangement, organisation, origin, remote),
	FOREIGN KEY (arrangement, organisation) REFERENCES module (arrangement, id)
);
