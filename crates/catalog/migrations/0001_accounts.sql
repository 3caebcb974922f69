-- Tenants, the people and programs that belong to them, and what was done.
-- Only what SQLite and PostgreSQL both understand: TEXT, BIGINT, no flags but 0 and 1, no numbers that count themselves.

CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created BIGINT NOT NULL,
    disabled BIGINT,
    devices_max BIGINT,
    messages_per_day_max BIGINT,
    storage_bytes_max BIGINT
);

-- A row for each tenant, which every change of the tenant's things writes: so changes of one tenant wait for each other.
CREATE TABLE revisions (
    tenant TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    changed BIGINT NOT NULL,
    audited BIGINT NOT NULL
);

CREATE TABLE users (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    password TEXT,
    totp_secret TEXT,
    totp_on BIGINT NOT NULL,
    totp_step BIGINT NOT NULL,
    role TEXT NOT NULL,
    system BIGINT NOT NULL,
    only_groups TEXT,
    language TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_login BIGINT,
    disabled BIGINT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    peer TEXT,
    FOREIGN KEY (tenant, account) REFERENCES users (tenant, id) ON DELETE CASCADE
);

CREATE INDEX sessions_of_account ON sessions (tenant, account, created);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    system BIGINT NOT NULL,
    only_groups TEXT,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT,
    last_used BIGINT,
    revoked BIGINT,
    UNIQUE (tenant, id)
);

CREATE TABLE audit (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    peer TEXT,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    was TEXT,
    became TEXT,
    PRIMARY KEY (tenant, seq)
);

CREATE INDEX audit_of_object ON audit (tenant, kind, object, seq);
