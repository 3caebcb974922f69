-- Queries that people have saved for all of their tenant. Whoever made one stays known when a login or a token gets another name.

CREATE TABLE queries (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    sql TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    maker_kind TEXT NOT NULL,
    maker_id TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);
