-- How an agreement comes into force by signatures. What is in force stays in
-- the table arrangement; a signature is never changed and never removed.

CREATE TABLE agreement_version (
	arrangement TEXT NOT NULL,
	digest      TEXT NOT NULL CHECK (length(digest) = 64),
	version     BIGINT NOT NULL CHECK (version > 0),
	canonical   BYTEA NOT NULL,
	source      BYTEA NOT NULL,
	state       TEXT NOT NULL CHECK (state IN ('draft', 'offered', 'active', 'refused', 'withdrawn', 'replaced')),
	drafted_by  TEXT NOT NULL,
	drafted_us  BIGINT NOT NULL,
	offered_by  TEXT NOT NULL,
	offered_us  BIGINT NOT NULL,
	expires_us  BIGINT NOT NULL,
	ended_by    TEXT NOT NULL,
	ended_us    BIGINT NOT NULL,
	end_reason  TEXT NOT NULL,
	PRIMARY KEY (arrangement, digest)
);

CREATE TABLE part_signature (
	arrangement TEXT NOT NULL,
	agreement   TEXT NOT NULL,
	offered_us  BIGINT NOT NULL,
	part        TEXT NOT NULL,
	party       TEXT NOT NULL,
	copy        TEXT NOT NULL,
	digest      TEXT NOT NULL CHECK (length(digest) = 64),
	person      TEXT NOT NULL,
	deputy_for  TEXT NOT NULL,
	authority   TEXT NOT NULL,
	call_back   BOOLEAN NOT NULL,
	document    BYTEA NOT NULL,
	signature   BYTEA NOT NULL,
	signing_key TEXT NOT NULL,
	signed_us   BIGINT NOT NULL,
	PRIMARY KEY (arrangement, agreement, offered_us, part, party, copy),
	FOREIGN KEY (arrangement, agreement) REFERENCES agreement_version (arrangement, digest)
);

CREATE TABLE part_word (
	arrangement TEXT NOT NULL,
	agreement   TEXT NOT NULL,
	offered_us  BIGINT NOT NULL,
	part        TEXT NOT NULL,
	party       TEXT NOT NULL,
	copy        TEXT NOT NULL,
	states      TEXT NOT NULL CHECK (states IN ('copy_attests', 'called_back')),
	by_party    TEXT NOT NULL,
	by_person   TEXT NOT NULL,
	document    BYTEA NOT NULL,
	signature   BYTEA NOT NULL,
	signing_key TEXT NOT NULL,
	given_us    BIGINT NOT NULL,
	PRIMARY KEY (arrangement, agreement, offered_us, part, party, copy, states, by_party),
	FOREIGN KEY (arrangement, agreement, offered_us, part, party, copy) REFERENCES part_signature (arrangement, agreement, offered_us, part, party, copy)
);

CREATE TABLE signed_copy (
	arrangement TEXT NOT NULL,
	digest      TEXT NOT NULL CHECK (length(digest) = 64),
	part        TEXT NOT NULL,
	size        BIGINT NOT NULL CHECK (size > 0),
	sealed      BYTEA NOT NULL,
	added_us    BIGINT NOT NULL,
	PRIMARY KEY (arrangement, part, digest)
);

CREATE TABLE part_review (
	arrangement TEXT NOT NULL,
	agreement   TEXT NOT NULL,
	part        TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	reviewed_us BIGINT NOT NULL,
	digest      TEXT NOT NULL CHECK (length(digest) = 64),
	verdict     TEXT NOT NULL CHECK (verdict IN ('approved', 'objections')),
	note        TEXT NOT NULL,
	document    BYTEA NOT NULL,
	signature   BYTEA NOT NULL,
	signing_key TEXT NOT NULL,
	PRIMARY KEY (arrangement, agreement, part, party, person, reviewed_us),
	FOREIGN KEY (arrangement, agreement) REFERENCES agreement_version (arrangement, digest)
);

CREATE TABLE part_comment (
	arrangement TEXT NOT NULL,
	id          TEXT NOT NULL,
	agreement   TEXT NOT NULL,
	part        TEXT NOT NULL,
	clause      TEXT NOT NULL,
	party       TEXT NOT NULL,
	person      TEXT NOT NULL,
	body        TEXT NOT NULL CHECK (body <> ''),
	proposal    TEXT NOT NULL,
	made_us     BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id),
	FOREIGN KEY (arrangement, agreement) REFERENCES agreement_version (arrangement, digest)
);

CREATE TABLE mandate (
	arrangement  TEXT NOT NULL,
	id           TEXT NOT NULL,
	party        TEXT NOT NULL,
	person       TEXT NOT NULL CHECK (person <> ''),
	may          TEXT NOT NULL,
	from_us      BIGINT NOT NULL,
	until_us     BIGINT NOT NULL,
	proof        TEXT NOT NULL CHECK (proof <> ''),
	proof_digest TEXT NOT NULL,
	deputy_for   TEXT NOT NULL,
	call_back    BOOLEAN NOT NULL,
	recorded_by  TEXT NOT NULL,
	recorded_us  BIGINT NOT NULL,
	PRIMARY KEY (arrangement, id)
);

CREATE TABLE acting_fact (
	arrangement TEXT NOT NULL,
	kind        TEXT NOT NULL CHECK (kind IN ('insolvent', 'away')),
	about       TEXT NOT NULL,
	from_us     BIGINT NOT NULL,
	until_us    BIGINT NOT NULL,
	proof       TEXT NOT NULL CHECK (proof <> ''),
	recorded_by TEXT NOT NULL,
	recorded_us BIGINT NOT NULL,
	PRIMARY KEY (arrangement, kind, about, from_us)
);
