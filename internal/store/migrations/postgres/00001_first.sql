-- +goose Up

-- Names and ids are compared byte by byte. Times are seconds since 1970, jobs.due
-- and jobs.lease milliseconds. Wide columns stand last: reading the others does
-- not touch their pages.

CREATE TABLE vaults (
	id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	name     TEXT COLLATE "C" NOT NULL UNIQUE,
	revision BIGINT NOT NULL,
	settings TEXT NOT NULL
);

-- A scope is a vault's id, or 'installation'. It has one key until keys have
-- successors.
CREATE TABLE data_keys (
	scope   TEXT COLLATE "C" NOT NULL,
	id      TEXT COLLATE "C" NOT NULL,
	vault   TEXT COLLATE "C" REFERENCES vaults (id) ON DELETE CASCADE,
	root_id TEXT NOT NULL,
	wrapped BYTEA NOT NULL,
	created BIGINT NOT NULL,
	PRIMARY KEY (scope, id),
	CHECK (vault IS NULL OR vault = scope)
);
CREATE UNIQUE INDEX data_keys_first ON data_keys (scope);
CREATE INDEX data_keys_vault ON data_keys (vault);

-- deleted: deleted_at is set; issued: a completed version exists. They are there
-- for the indices, so that a page of names costs the same whatever lies between.
CREATE TABLE certificates (
	vault      TEXT COLLATE "C" NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name       TEXT COLLATE "C" NOT NULL,
	display    TEXT NOT NULL,
	current    TEXT COLLATE "C" NOT NULL,
	deleted    BOOLEAN NOT NULL,
	issued     BOOLEAN NOT NULL,
	deleted_at BIGINT,
	purge_at   BIGINT,
	policy     TEXT NOT NULL,
	PRIMARY KEY (vault, name)
);
CREATE INDEX certificates_issued ON certificates (vault, deleted, issued, name);
CREATE INDEX certificates_all ON certificates (vault, deleted, name);
CREATE INDEX certificates_purge ON certificates (purge_at, vault, name) WHERE purge_at IS NOT NULL;

-- seq is the order of creation within the name, here and below.
CREATE TABLE certificate_versions (
	vault          TEXT COLLATE "C" NOT NULL,
	name           TEXT COLLATE "C" NOT NULL,
	version        TEXT COLLATE "C" NOT NULL,
	seq            BIGINT NOT NULL,
	completed      BOOLEAN NOT NULL,
	preserve_order BOOLEAN NOT NULL,
	enabled        BOOLEAN NOT NULL,
	not_before     BIGINT,
	expires        BIGINT,
	created        BIGINT NOT NULL,
	updated        BIGINT NOT NULL,
	next_action    BIGINT,
	thumbprint     BYTEA,
	tags           TEXT,
	leaf           BYTEA,
	chain          BYTEA,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES certificates (vault, name) ON DELETE CASCADE
);
CREATE INDEX certificate_versions_action ON certificate_versions (next_action) WHERE next_action IS NOT NULL;

CREATE TABLE certificate_operations (
	vault          TEXT COLLATE "C" NOT NULL,
	name           TEXT COLLATE "C" NOT NULL,
	request_id     TEXT COLLATE "C" NOT NULL,
	status         TEXT NOT NULL,
	cancel         BOOLEAN NOT NULL,
	preserve_order BOOLEAN NOT NULL,
	enabled        BOOLEAN NOT NULL,
	created        BIGINT NOT NULL,
	updated        BIGINT NOT NULL,
	issuer         TEXT NOT NULL,
	tags           TEXT NOT NULL,
	error          TEXT NOT NULL,
	policy         TEXT NOT NULL,
	csr            BYTEA,
	public         BYTEA,
	private        BYTEA,
	PRIMARY KEY (vault, name),
	FOREIGN KEY (vault, name) REFERENCES certificates (vault, name) ON DELETE CASCADE
);

-- listed: live, and it has a version; here and in secrets.
CREATE TABLE keys (
	vault      TEXT COLLATE "C" NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name       TEXT COLLATE "C" NOT NULL,
	display    TEXT NOT NULL,
	managed    BOOLEAN NOT NULL,
	listed     BOOLEAN NOT NULL,
	current    TEXT COLLATE "C" NOT NULL,
	deleted_at BIGINT,
	purge_at   BIGINT,
	PRIMARY KEY (vault, name)
);
CREATE INDEX keys_listed ON keys (vault, listed, name);

CREATE TABLE key_versions (
	vault      TEXT COLLATE "C" NOT NULL,
	name       TEXT COLLATE "C" NOT NULL,
	version    TEXT COLLATE "C" NOT NULL,
	seq        BIGINT NOT NULL,
	algorithm  TEXT NOT NULL,
	size       BIGINT NOT NULL,
	curve      TEXT NOT NULL,
	ops        TEXT NOT NULL,
	exportable BOOLEAN NOT NULL,
	enabled    BOOLEAN NOT NULL,
	not_before BIGINT,
	expires    BIGINT,
	created    BIGINT NOT NULL,
	updated    BIGINT NOT NULL,
	tags       TEXT,
	public     BYTEA,
	private    BYTEA,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES keys (vault, name) ON DELETE CASCADE
);

CREATE TABLE secrets (
	vault      TEXT COLLATE "C" NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name       TEXT COLLATE "C" NOT NULL,
	display    TEXT NOT NULL,
	managed    BOOLEAN NOT NULL,
	listed     BOOLEAN NOT NULL,
	current    TEXT COLLATE "C" NOT NULL,
	deleted_at BIGINT,
	purge_at   BIGINT,
	PRIMARY KEY (vault, name)
);
CREATE INDEX secrets_listed ON secrets (vault, listed, name);

CREATE TABLE secret_versions (
	vault        TEXT COLLATE "C" NOT NULL,
	name         TEXT COLLATE "C" NOT NULL,
	version      TEXT COLLATE "C" NOT NULL,
	seq          BIGINT NOT NULL,
	content_type TEXT NOT NULL,
	previous     TEXT COLLATE "C" NOT NULL,
	enabled      BOOLEAN NOT NULL,
	not_before   BIGINT,
	expires      BIGINT,
	created      BIGINT NOT NULL,
	updated      BIGINT NOT NULL,
	tags         TEXT,
	value        BYTEA,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES secrets (vault, name) ON DELETE CASCADE
);

CREATE TABLE contacts (
	vault TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES vaults (id) ON DELETE CASCADE,
	list  TEXT NOT NULL
);

CREATE TABLE issuers (
	vault    TEXT COLLATE "C" NOT NULL REFERENCES vaults (id) ON DELETE CASCADE,
	name     TEXT COLLATE "C" NOT NULL,
	display  TEXT NOT NULL,
	enabled  BOOLEAN NOT NULL,
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL,
	settings TEXT NOT NULL,
	password BYTEA,
	PRIMARY KEY (vault, name)
);

-- vault is NULL for a job of the installation; lease is NULL when nobody has it.
CREATE TABLE jobs (
	id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind    TEXT COLLATE "C" NOT NULL,
	vault   TEXT COLLATE "C" REFERENCES vaults (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	ref     TEXT COLLATE "C" NOT NULL,
	due     BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	lease   BIGINT
);
CREATE INDEX jobs_due ON jobs (due, id);
CREATE INDEX jobs_free ON jobs (due) WHERE lease IS NULL;
CREATE INDEX jobs_lease ON jobs (lease) WHERE lease IS NOT NULL;
CREATE INDEX jobs_ref ON jobs (vault, ref);

-- scope_key is the scope in lower case.
CREATE TABLE role_assignments (
	id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	scope_key    TEXT COLLATE "C" NOT NULL,
	scope        TEXT NOT NULL,
	role_id      TEXT COLLATE "C" NOT NULL,
	principal_id TEXT COLLATE "C" NOT NULL,
	condition    TEXT NOT NULL,
	UNIQUE (scope_key, role_id, principal_id)
);

CREATE TABLE principals (
	object_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	app_id    TEXT COLLATE "C" UNIQUE,
	name      TEXT NOT NULL,
	kind      TEXT NOT NULL,
	enabled   BOOLEAN NOT NULL,
	created   BIGINT NOT NULL
);

CREATE TABLE credentials (
	id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	object_id   TEXT COLLATE "C" NOT NULL REFERENCES principals (object_id) ON DELETE CASCADE,
	kind        TEXT COLLATE "C" NOT NULL,
	hash        BYTEA,
	federation  TEXT NOT NULL,
	hint        TEXT NOT NULL,
	created     BIGINT NOT NULL,
	expires     BIGINT,
	certificate BYTEA,
	UNIQUE (kind, hash)
);
CREATE INDEX credentials_owner ON credentials (object_id, created, id);

-- A member may be known to an external issuer only.
CREATE TABLE memberships (
	group_id  TEXT COLLATE "C" NOT NULL REFERENCES principals (object_id) ON DELETE CASCADE,
	member_id TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (group_id, member_id)
);
CREATE INDEX memberships_member ON memberships (member_id, group_id);

CREATE TABLE signing_keys (
	id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	created   BIGINT NOT NULL,
	retire_at BIGINT NOT NULL,
	public    BYTEA,
	private   BYTEA
);

CREATE TABLE assertions (
	id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	until BIGINT NOT NULL
);
CREATE INDEX assertions_until ON assertions (until);
