-- What happened to promises with a date. A fact is never changed.

CREATE TABLE term_fact (
	arrangement TEXT NOT NULL,
	id          TEXT NOT NULL,
	kind        TEXT NOT NULL CHECK (kind IN ('fee_paid', 'arrears', 'cured', 'certificate', 'renewed', 'notice_given', 'reviewed')),
	about       TEXT NOT NULL CHECK (about <> ''),
	until_day   TEXT NOT NULL,
	document    TEXT NOT NULL,
	digest      TEXT NOT NULL,
	party       TEXT NOT NULL,
	recorded_by TEXT NOT NULL,
	recorded_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id)
);
