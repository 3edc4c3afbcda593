-- +goose Up

-- Names and ids are compared byte by byte. Times are seconds since 1970, jobs.due
-- and jobs.lease milliseconds. Wide columns stand last: reading the others does
-- not touch their pages.

CREATE TABLE vaults (
	id       TEXT NOT NULL PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	revision INTEGER NOT NULL,
	settings TEXT NOT NULL
) STRICT;

-- A scope is a vault's id, or 'installation'. It has one key until keys have
-- successors.
CREATE TABLE data_keys (
	scope   TEXT NOT NULL,
	id      TEXT NOT NULL,
	vault   TEXT REFERENCES vaults (id) ON DELETE CASCADE,
	root_id TEXT NOT NULL,
	wrapped BLOB NOT NULL,
	created INTEGER NOT NULL,
	PRIMARY KEY (scope, id),
	CHECK (vault IS NULL OR vault = scope)
) STRICT;
CREATE UNIQUE INDEX data_keys_first ON data_keys (scope);
CREATE INDEX data_keys_vault ON data_keys (vault);

-- deleted: deleted_at is set; issued: a completed version exists. They are there
-- for the indices, so that a page of names costs the same whatever lies between.
CREATE TABLE certificates (
	vault      TEXT NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name       TEXT NOT NULL,
	display    TEXT NOT NULL,
	current    TEXT NOT NULL,
	deleted    INTEGER NOT NULL,
	issued     INTEGER NOT NULL,
	deleted_at INTEGER,
	purge_at   INTEGER,
	policy     TEXT NOT NULL,
	PRIMARY KEY (vault, name)
) STRICT;
CREATE INDEX certificates_issued ON certificates (vault, deleted, issued, name);
CREATE INDEX certificates_all ON certificates (vault, deleted, name);
CREATE INDEX certificates_purge ON certificates (purge_at, vault, name) WHERE purge_at IS NOT NULL;

-- seq is the order of creation within the name, here and below.
CREATE TABLE certificate_versions (
	vault          TEXT NOT NULL,
	name           TEXT NOT NULL,
	version        TEXT NOT NULL,
	seq            INTEGER NOT NULL,
	completed      INTEGER NOT NULL,
	preserve_order INTEGER NOT NULL,
	enabled        INTEGER NOT NULL,
	not_before     INTEGER,
	expires        INTEGER,
	created        INTEGER NOT NULL,
	updated        INTEGER NOT NULL,
	next_action    INTEGER,
	thumbprint     BLOB,
	tags           TEXT,
	leaf           BLOB,
	chain          BLOB,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES certificates (vault, name) ON DELETE CASCADE
) STRICT;
CREATE INDEX certificate_versions_action ON certificate_versions (next_action) WHERE next_action IS NOT NULL;

CREATE TABLE certificate_operations (
	vault          TEXT NOT NULL,
	name           TEXT NOT NULL,
	request_id     TEXT NOT NULL,
	status         TEXT NOT NULL,
	cancel         INTEGER NOT NULL,
	preserve_order INTEGER NOT NULL,
	enabled        INTEGER NOT NULL,
	created        INTEGER NOT NULL,
	updated        INTEGER NOT NULL,
	issuer         TEXT NOT NULL,
	tags           TEXT NOT NULL,
	error          TEXT NOT NULL,
	policy         TEXT NOT NULL,
	csr            BLOB,
	public         BLOB,
	private        BLOB,
	PRIMARY KEY (vault, name),
	FOREIGN KEY (vault, name) REFERENCES certificates (vault, name) ON DELETE CASCADE
) STRICT;

-- listed: live, and it has a version; here and in secrets.
CREATE TABLE keys (
	vault      TEXT NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name       TEXT NOT NULL,
	display    TEXT NOT NULL,
	managed    INTEGER NOT NULL,
	listed     INTEGER NOT NULL,
	current    TEXT NOT NULL,
	deleted_at INTEGER,
	purge_at   INTEGER,
	PRIMARY KEY (vault, name)
) STRICT;
CREATE INDEX keys_listed ON keys (vault, listed, name);

CREATE TABLE key_versions (
	vault      TEXT NOT NULL,
	name       TEXT NOT NULL,
	version    TEXT NOT NULL,
	seq        INTEGER NOT NULL,
	algorithm  TEXT NOT NULL,
	size       INTEGER NOT NULL,
	curve      TEXT NOT NULL,
	ops        TEXT NOT NULL,
	exportable INTEGER NOT NULL,
	enabled    INTEGER NOT NULL,
	not_before INTEGER,
	expires    INTEGER,
	created    INTEGER NOT NULL,
	updated    INTEGER NOT NULL,
	tags       TEXT,
	public     BLOB,
	private    BLOB,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES keys (vault, name) ON DELETE CASCADE
) STRICT;

CREATE TABLE secrets (
	vault      TEXT NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name       TEXT NOT NULL,
	display    TEXT NOT NULL,
	managed    INTEGER NOT NULL,
	listed     INTEGER NOT NULL,
	current    TEXT NOT NULL,
	deleted_at INTEGER,
	purge_at   INTEGER,
	PRIMARY KEY (vault, name)
) STRICT;
CREATE INDEX secrets_listed ON secrets (vault, listed, name);

CREATE TABLE secret_versions (
	vault        TEXT NOT NULL,
	name         TEXT NOT NULL,
	version      TEXT NOT NULL,
	seq          INTEGER NOT NULL,
	content_type TEXT NOT NULL,
	previous     TEXT NOT NULL,
	enabled      INTEGER NOT NULL,
	not_before   INTEGER,
	expires      INTEGER,
	created      INTEGER NOT NULL,
	updated      INTEGER NOT NULL,
	tags         TEXT,
	value        BLOB,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES secrets (vault, name) ON DELETE CASCADE
) STRICT;

CREATE TABLE contacts (
	vault TEXT NOT NULL PRIMARY KEY REFERENCES vaults (id) ON DELETE CASCADE,
	list  TEXT NOT NULL
) STRICT;

CREATE TABLE issuers (
	vault    TEXT NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name     TEXT NOT NULL,
	display  TEXT NOT NULL,
	enabled  INTEGER NOT NULL,
	created  INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	settings TEXT NOT NULL,
	password BLOB,
	PRIMARY KEY (vault, name)
) STRICT;

-- vault is NULL for a job of the installation; lease is NULL when nobody has it.
CREATE TABLE jobs (
	id      TEXT NOT NULL PRIMARY KEY,
	kind    TEXT NOT NULL,
	vault   TEXT REFERENCES vaults (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	ref     TEXT NOT NULL,
	due     INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	lease   INTEGER
) STRICT;
CREATE INDEX jobs_due ON jobs (due, id);
CREATE INDEX jobs_free ON jobs (due) WHERE lease IS NULL;
CREATE INDEX jobs_lease ON jobs (lease) WHERE lease IS NOT NULL;
CREATE INDEX jobs_ref ON jobs (vault, ref);

-- scope_key is the scope in lower case.
CREATE TABLE role_assignments (
	id           TEXT NOT NULL PRIMARY KEY,
	scope_key    TEXT NOT NULL,
	scope        TEXT NOT NULL,
	role_id      TEXT NOT NULL,
	principal_id TEXT NOT NULL,
	condition    TEXT NOT NULL,
	UNIQUE (scope_key, role_id, principal_id)
) STRICT;

CREATE TABLE principals (
	object_id TEXT NOT NULL PRIMARY KEY,
	app_id    TEXT UNIQUE,
	name      TEXT NOT NULL,
	kind      TEXT NOT NULL,
	enabled   INTEGER NOT NULL,
	created   INTEGER NOT NULL
) STRICT;

CREATE TABLE credentials (
	id          TEXT NOT NULL PRIMARY KEY,
	object_id   TEXT NOT NULL REFERENCES principals (object_id) ON DELETE CASCADE,
	kind        TEXT NOT NULL,
	hash        BLOB,
	federation  TEXT NOT NULL,
	hint        TEXT NOT NULL,
	created     INTEGER NOT NULL,
	expires     INTEGER,
	certificate BLOB,
	UNIQUE (kind, hash)
) STRICT;
CREATE INDEX credentials_owner ON credentials (object_id, created, id);

-- A member may be known to an external issuer only.
CREATE TABLE memberships (
	group_id  TEXT NOT NULL REFERENCES principals (object_id) ON DELETE CASCADE,
	member_id TEXT NOT NULL,
	PRIMARY KEY (group_id, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_member ON memberships (member_id, group_id);

CREATE TABLE signing_keys (
	id        TEXT NOT NULL PRIMARY KEY,
	created   INTEGER NOT NULL,
	retire_at INTEGER NOT NULL,
	public    BLOB,
	private   BLOB
) STRICT;

CREATE TABLE assertions (
	id    TEXT NOT NULL PRIMARY KEY,
	until INTEGER NOT NULL
) STRICT;
CREATE INDEX assertions_until ON assertions (until);
