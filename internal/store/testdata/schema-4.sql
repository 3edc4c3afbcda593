PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version VALUES(1,0,1,'2026-12-01 03:09:12');
INSERT INTO goose_db_version VALUES(2,1,1,'2026-12-01 03:09:12');
INSERT INTO goose_db_version VALUES(3,2,1,'2026-12-01 03:09:12');
INSERT INTO goose_db_version VALUES(4,3,1,'2026-12-01 03:09:12');
INSERT INTO goose_db_version VALUES(5,4,1,'2026-12-01 03:09:12');
CREATE TABLE vaults (
	id       TEXT NOT NULL PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	revision INTEGER NOT NULL,
	settings TEXT NOT NULL
) STRICT;
INSERT INTO vaults VALUES('c58e3cf088e894f506e854472000606d','one',1,'{"ID":"c58e3cf088e894f506e854472000606d","Name":"one","TenantID":"","Subscription":"","ResourceGroup":"","Location":"","SKU":"standard","RBAC":false,"AccessPolicies":null,"RetentionDays":90,"PurgeProtection":false,"Network":{"PublicAccessDisabled":false,"DefaultDeny":false,"IPRules":null,"BypassNone":false},"Tags":null,"Created":"2026-11-22T10:00:00Z","Updated":"2026-11-22T10:00:00Z","Revision":1}');
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
INSERT INTO data_keys VALUES('c58e3cf088e894f506e854472000606d','k','c58e3cf088e894f506e854472000606d','r',X'77',1795341600);
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
INSERT INTO certificates VALUES('c58e3cf088e894f506e854472000606d','web-1','Web-1','000000000000000000000000000f4241',0,1,NULL,NULL,'{"Key":{"Type":"EC","Size":256,"Curve":"P-256","Exportable":true,"Reuse":false},"ContentType":"application/x-pkcs12","X509":{"Subject":"CN=web","SANs":{"Emails":null,"DNSNames":["web.example.com"],"UPNs":null,"URIs":null,"IPAddresses":null},"EKUs":[],"KeyUsage":null,"ValidityMonths":12,"CA":false,"PathLen":null},"Actions":null,"Issuer":{"Name":"Self","CertificateType":null,"Transparency":null},"Enabled":true,"Created":"2026-11-22T10:00:00Z","Updated":"2026-11-22T10:00:00Z"}');
INSERT INTO certificates VALUES('c58e3cf088e894f506e854472000606d','api','api','00000000000000000000000000000002',0,0,NULL,NULL,'{"Key":{"Type":"EC","Size":256,"Curve":"P-256","Exportable":true,"Reuse":false},"ContentType":"application/x-pkcs12","X509":{"Subject":"CN=web","SANs":{"Emails":null,"DNSNames":["web.example.com"],"UPNs":null,"URIs":null,"IPAddresses":null},"EKUs":[],"KeyUsage":null,"ValidityMonths":12,"CA":false,"PathLen":null},"Actions":null,"Issuer":{"Name":"Self","CertificateType":null,"Transparency":null},"Enabled":true,"Created":"2026-11-22T10:00:00Z","Updated":"2026-11-22T10:00:00Z"}');
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
INSERT INTO certificate_versions VALUES('c58e3cf088e894f506e854472000606d','web-1','000000000000000000000000000f4241',1,1,1,1,1795338000,1826877600,1795341600,1795341660,1818928800,X'04b147c7eda5ad4de22f6015f2d60862b16ffb19','{"team":"a\u0000b\u003c\u0026\u003e"}',X'308201073081afa003020102020101300a06082a8648ce3d040302300e310c300a06035504031303776562301e170d3236313132323130303030305a170d3237313132323130303030305a300e310c300a060355040313037765623059301306072a8648ce3d020106082a8648ce3d030107034200046e322ac0138c0dae40f12b2b7cc5d239598c5ac967198d1465c6031a4971f8ddd021075664236d41f4dee6488d3c077f82b6460a9104d16964351a21cae3beee300a06082a8648ce3d0403020347003044022069a7228bc5271f13fc180cabaa8182a0cd69c35564feb0c476eff12c5a613cf102202f08583594117438793e368e3a0c5febe42bf9b74a8da0e71ce4f61f49a554fb',X'028b02308201073081afa003020102020101300a06082a8648ce3d040302300e310c300a06035504031303776562301e170d3236313132323130303030305a170d3237313132323130303030305a300e310c300a060355040313037765623059301306072a8648ce3d020106082a8648ce3d030107034200046e322ac0138c0dae40f12b2b7cc5d239598c5ac967198d1465c6031a4971f8ddd021075664236d41f4dee6488d3c077f82b6460a9104d16964351a21cae3beee300a06082a8648ce3d0403020347003044022069a7228bc5271f13fc180cabaa8182a0cd69c35564feb0c476eff12c5a613cf102202f08583594117438793e368e3a0c5febe42bf9b74a8da0e71ce4f61f49a554fb00');
INSERT INTO certificate_versions VALUES('c58e3cf088e894f506e854472000606d','api','00000000000000000000000000000002',1,0,0,0,NULL,NULL,1795341600,1795341600,NULL,NULL,NULL,NULL,NULL);
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
	private        BLOB, hsm_id BLOB,
	PRIMARY KEY (vault, name),
	FOREIGN KEY (vault, name) REFERENCES certificates (vault, name) ON DELETE CASCADE
) STRICT;
INSERT INTO certificate_operations VALUES('c58e3cf088e894f506e854472000606d','web-1','00000000000000000000000000000001','completed',0,0,1,1795341600,1795341600,'{"Name":"self","CertificateType":null,"Transparency":null}','null','null','{"Key":{"Type":"EC","Size":256,"Curve":"P-256","Exportable":true,"Reuse":false},"ContentType":"application/x-pkcs12","X509":{"Subject":"CN=web","SANs":{"Emails":null,"DNSNames":["web.example.com"],"UPNs":null,"URIs":null,"IPAddresses":null},"EKUs":[],"KeyUsage":null,"ValidityMonths":12,"CA":false,"PathLen":null},"Actions":null,"Issuer":{"Name":"Self","CertificateType":null,"Transparency":null},"Enabled":true,"Created":"2026-11-22T10:00:00Z","Updated":"2026-11-22T10:00:00Z"}',X'637372',X'3059301306072a8648ce3d020106082a8648ce3d030107034200046e322ac0138c0dae40f12b2b7cc5d239598c5ac967198d1465c6031a4971f8ddd021075664236d41f4dee6488d3c077f82b6460a9104d16964351a21cae3beee',NULL,NULL);
INSERT INTO certificate_operations VALUES('c58e3cf088e894f506e854472000606d','api','00000000000000000000000000000002','inProgress',0,0,1,1795341600,1795341600,'{"Name":"self","CertificateType":null,"Transparency":null}','null','null','{"Key":{"Type":"EC","Size":256,"Curve":"P-256","Exportable":true,"Reuse":false},"ContentType":"application/x-pkcs12","X509":{"Subject":"CN=web","SANs":{"Emails":null,"DNSNames":["web.example.com"],"UPNs":null,"URIs":null,"IPAddresses":null},"EKUs":[],"KeyUsage":null,"ValidityMonths":12,"CA":false,"PathLen":null},"Actions":null,"Issuer":{"Name":"Self","CertificateType":null,"Transparency":null},"Enabled":true,"Created":"2026-11-22T10:00:00Z","Updated":"2026-11-22T10:00:00Z"}',X'637372',X'3059301306072a8648ce3d020106082a8648ce3d030107034200046e322ac0138c0dae40f12b2b7cc5d239598c5ac967198d1465c6031a4971f8ddd021075664236d41f4dee6488d3c077f82b6460a9104d16964351a21cae3beee',X'70656e64696e67',X'00010000000000000000000000000000');
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
INSERT INTO keys VALUES('c58e3cf088e894f506e854472000606d','web-1','Web-1',1,1,'000000000000000000000000000f4241',NULL,NULL);
INSERT INTO keys VALUES('c58e3cf088e894f506e854472000606d','api','api',1,0,'',NULL,NULL);
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
	private    BLOB, hsm_id BLOB,
	PRIMARY KEY (vault, name, version),
	UNIQUE (vault, name, seq),
	FOREIGN KEY (vault, name) REFERENCES keys (vault, name) ON DELETE CASCADE
) STRICT;
INSERT INTO key_versions VALUES('c58e3cf088e894f506e854472000606d','web-1','000000000000000000000000000f4241',1,'EC',256,'P-256','["sign","verify"]',1,1,1795338000,1826877600,1795341600,1795341660,'{}',X'3059301306072a8648ce3d020106082a8648ce3d030107034200046e322ac0138c0dae40f12b2b7cc5d239598c5ac967198d1465c6031a4971f8ddd021075664236d41f4dee6488d3c077f82b6460a9104d16964351a21cae3beee',X'6b6579206f66207765622d313030303030303030303030303030303030303030303030303030306634323431',NULL);
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
INSERT INTO secrets VALUES('c58e3cf088e894f506e854472000606d','web-1','Web-1',1,1,'000000000000000000000000000f4241',NULL,NULL);
INSERT INTO secrets VALUES('c58e3cf088e894f506e854472000606d','api','api',1,0,'',NULL,NULL);
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
INSERT INTO secret_versions VALUES('c58e3cf088e894f506e854472000606d','web-1','000000000000000000000000000f4241',1,'"text/\u0000plain; ä"','00000000000000000000000000000063',1,1795338000,1826877600,1795341600,1795341660,NULL,X'76616c7565206f66207765622d313030303030303030303030303030303030303030303030303030306634323431');
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
INSERT INTO jobs VALUES('00000000000000000000000000000002','issue','c58e3cf088e894f506e854472000606d','api','00000000000000000000000000000002',1795341600000,1,1795341720000);
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
CREATE TABLE memberships (
	group_id  TEXT NOT NULL REFERENCES principals (object_id) ON DELETE CASCADE,
	member_id TEXT NOT NULL,
	PRIMARY KEY (group_id, member_id)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE key_rotation (
	vault         TEXT NOT NULL,
	name          TEXT NOT NULL,
	rotate_after  TEXT NOT NULL,
	rotate_before TEXT NOT NULL,
	notify_before TEXT NOT NULL,
	expiry        TEXT NOT NULL,
	created       INTEGER NOT NULL,
	updated       INTEGER NOT NULL,
	PRIMARY KEY (vault, name),
	FOREIGN KEY (vault, name) REFERENCES keys (vault, name) ON DELETE CASCADE
) STRICT;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('goose_db_version',5);
CREATE UNIQUE INDEX data_keys_first ON data_keys (scope);
CREATE INDEX data_keys_vault ON data_keys (vault);
CREATE INDEX certificates_issued ON certificates (vault, deleted, issued, name);
CREATE INDEX certificates_all ON certificates (vault, deleted, name);
CREATE INDEX certificates_purge ON certificates (purge_at, vault, name) WHERE purge_at IS NOT NULL;
CREATE INDEX certificate_versions_action ON certificate_versions (next_action) WHERE next_action IS NOT NULL;
CREATE INDEX keys_listed ON keys (vault, listed, name);
CREATE INDEX secrets_listed ON secrets (vault, listed, name);
CREATE INDEX jobs_due ON jobs (due, id);
CREATE INDEX jobs_free ON jobs (due) WHERE lease IS NULL;
CREATE INDEX jobs_lease ON jobs (lease) WHERE lease IS NOT NULL;
CREATE INDEX jobs_ref ON jobs (vault, ref);
CREATE INDEX credentials_owner ON credentials (object_id, created, id);
CREATE INDEX memberships_member ON memberships (member_id, group_id);
CREATE INDEX assertions_until ON assertions (until);
CREATE INDEX secrets_deleted ON secrets (vault, name) WHERE deleted_at IS NOT NULL AND NOT managed;
CREATE INDEX secrets_purge ON secrets (purge_at, vault, name) WHERE purge_at IS NOT NULL AND NOT managed;
CREATE INDEX keys_deleted ON keys (vault, name) WHERE deleted_at IS NOT NULL AND NOT managed;
CREATE INDEX keys_purge ON keys (purge_at, vault, name) WHERE purge_at IS NOT NULL AND NOT managed;
CREATE INDEX key_versions_hsm ON key_versions (hsm_id) WHERE hsm_id IS NOT NULL;
CREATE INDEX certificate_operations_hsm ON certificate_operations (hsm_id) WHERE hsm_id IS NOT NULL;
COMMIT;
