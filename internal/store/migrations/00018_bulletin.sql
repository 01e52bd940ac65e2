-- What is said publicly about an application. What was said stays said:
-- updates are never changed.

CREATE TABLE status_page (
	arrangement  TEXT NOT NULL PRIMARY KEY,
	slug         TEXT NOT NULL UNIQUE CHECK (slug <> ''),
	publisher    TEXT NOT NULL CHECK (publisher <> ''),
	contact      TEXT NOT NULL,
	set_by       TEXT NOT NULL,
	published_us BIGINT NOT NULL,
	withdrawn_us BIGINT NOT NULL
);

CREATE TABLE incident (
	arrangement TEXT NOT NULL,
	id          TEXT NOT NULL CHECK (id <> ''),
	title_nl    TEXT NOT NULL,
	title_en    TEXT NOT NULL,
	components  TEXT NOT NULL,
	begun_us    BIGINT NOT NULL,
	ended_us    BIGINT NOT NULL,
	next_us     BIGINT NOT NULL,
	opened_by   TEXT NOT NULL,
	PRIMARY KEY (arrangement, id)
);

CREATE INDEX incident_begun ON incident (arrangement, begun_us);

CREATE TABLE incident_update (
	arrangement TEXT NOT NULL,
	incident    TEXT NOT NULL,
	number      BIGINT NOT NULL CHECK (number > 0),
	stage       TEXT NOT NULL CHECK (stage IN ('investigating', 'identified', 'monitoring', 'resolved')),
	text_nl     TEXT NOT NULL,
	text_en     TEXT NOT NULL,
	said_by     TEXT NOT NULL,
	said_us     BIGINT NOT NULL,
	PRIMARY KEY (arrangement, incident, number),
	FOREIGN KEY (arrangement, incident) REFERENCES incident (arrangement, id)
);
